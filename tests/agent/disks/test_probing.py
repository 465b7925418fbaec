"""What a look at one disk finds out, and how it says what it could not."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from artesian.agent.disks.errors import DisksUnknown
from artesian.agent.disks.facts import Probe
from artesian.agent.disks.label import read_label
from artesian.agent.disks.parallel import ParallelProber
from artesian.agent.disks.probing import links_to_devices, list_block_devices, probe_disk
from artesian.agent.disks.system_disks import SystemDisks
from artesian.embedded.device.superblock import SUPERBLOCK_BYTES
from artesian.host.tools import RunTool, ToolAnswer
from artesian.model.disk import EngineLabel
from tests.agent.disks.media import DEVICE_ID, SYSTEM_ID, label_by_engine, sparse_file

NOTHING = ToolAnswer(2, "", "")
EMPTY_LIST = ToolAnswer(0, '{"signatures": []}', "")


def answering(blkid: ToolAnswer = NOTHING, wipefs: ToolAnswer = EMPTY_LIST) -> RunTool:
    """Tools that answer this."""

    def run(command: Sequence[str]) -> ToolAnswer:
        return {"blkid": blkid, "wipefs": wipefs}[command[0]]

    return run


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return sparse_file(tmp_path / "disk")


def test_a_disk_on_which_no_tool_finds_anything_is_empty(disk: Path) -> None:
    assert probe_disk(str(disk), answering()) == Probe()


@pytest.mark.parametrize(
    ("blkid", "wipefs", "signatures"),
    [
        (ToolAnswer(0, "DEVNAME=/x\nTYPE=ext4\nPTTYPE=dos\n", ""), EMPTY_LIST, ("ext4", "dos")),
        (ToolAnswer(0, "USAGE=crypto\n", ""), EMPTY_LIST, ("crypto",)),
        (ToolAnswer(0, "DEVNAME=/x\n", ""), EMPTY_LIST, ("unknown",)),
        (ToolAnswer(8, "", "ambivalent result"), EMPTY_LIST, ("ambivalent",)),
        (
            NOTHING,
            ToolAnswer(0, '{"signatures": [{"type": "zfs_member"}, {}]}', ""),
            ("zfs_member", "unknown"),
        ),
        (NOTHING, ToolAnswer(0, "", ""), ()),
        (
            ToolAnswer(0, "PTTYPE=gpt\n", ""),
            ToolAnswer(0, '{"signatures": [{"type": "gpt"}, {"type": "gpt"}, {"type": "PMBR"}]}', ""),
            ("gpt", "PMBR"),
        ),
    ],
)
def test_signatures_of_both_tools_count(
    disk: Path, blkid: ToolAnswer, wipefs: ToolAnswer, signatures: tuple[str, ...]
) -> None:
    assert probe_disk(str(disk), answering(blkid, wipefs)) == Probe(signatures=signatures)


@pytest.mark.parametrize(
    ("blkid", "wipefs", "words"),
    [
        (ToolAnswer(4, "", "usage"), EMPTY_LIST, "blkid cannot examine it: usage"),
        (ToolAnswer(-9, "", ""), EMPTY_LIST, "blkid cannot examine it: exit code -9"),
        (ToolAnswer(2, "", "error: /x: Input/output error"), EMPTY_LIST, "Input/output error"),
        (NOTHING, ToolAnswer(1, "", "probing failed"), "wipefs cannot examine it: probing failed"),
        (NOTHING, ToolAnswer(0, "{", ""), "wipefs is not understood"),
        (NOTHING, ToolAnswer(0, "[]", ""), "wipefs is not understood"),
        (NOTHING, ToolAnswer(0, '{"signatures": null}', ""), "wipefs is not understood"),
    ],
)
def test_a_tool_that_fails_leaves_the_disk_unknown(
    disk: Path, blkid: ToolAnswer, wipefs: ToolAnswer, words: str
) -> None:
    assert words in probe_disk(str(disk), answering(blkid, wipefs)).unreadable


def test_a_missing_disk_is_trouble_and_no_empty_disk(tmp_path: Path) -> None:
    assert "No such file" in probe_disk(str(tmp_path / "gone"), answering()).unreadable


def test_a_tool_that_is_missing_is_named(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(disk.parent))
    assert "blkid (util-linux) is missing" in probe_disk(str(disk)).unreadable


def test_our_label_is_read_from_the_start_or_else_from_the_end(disk: Path) -> None:
    name = label_by_engine(disk)
    assert (read_label(str(disk)).label, read_label(str(disk)).uuid) == (
        EngineLabel(SYSTEM_ID, DEVICE_ID),
        name,
    )
    overwrite(disk, 0, bytes(SUPERBLOCK_BYTES))
    assert read_label(str(disk)).uuid == name


def test_a_damaged_label_is_not_an_absent_one(disk: Path) -> None:
    label_by_engine(disk)
    size_bytes = disk.stat().st_size
    overwrite(disk, 50, b"?")
    overwrite(disk, size_bytes - SUPERBLOCK_BYTES + 50, b"?")
    reading = read_label(str(disk))
    assert (reading.label, "damaged" in reading.unreadable) == (None, True)


def test_a_disk_that_hangs_holds_up_no_other_and_is_not_asked_twice() -> None:
    released, asked = threading.Event(), []

    def probe(path: str) -> Probe:
        asked.append(path)
        if path == "/dev/dead":
            released.wait(10)
        return Probe(signatures=(path,))

    prober = ParallelProber(probe, workers=2, patience_s=0.1)
    try:
        for _ in range(2):
            found = prober.probe_all(["/dev/dead", "/dev/a", "/dev/b"])
            assert found["/dev/a"] == Probe(signatures=("/dev/a",))
            assert found["/dev/b"] == Probe(signatures=("/dev/b",))
            assert "did not answer" in found["/dev/dead"].unreadable
        assert asked.count("/dev/dead") == 1
    finally:
        released.set()


@pytest.mark.parametrize(
    "answer", [ToolAnswer(1, "", "unknown column"), ToolAnswer(0, "[]", ""), ToolAnswer(0, "", "")]
)
def test_a_list_that_cannot_be_had_is_no_node_without_disks(answer: ToolAnswer) -> None:
    with pytest.raises(DisksUnknown):
        list_block_devices(lambda command: answer)


def test_a_node_without_lsblk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DisksUnknown, match="lsblk"):
        SystemDisks().find()


def test_links_are_found_by_the_device_that_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "sda").touch()
    for folder, name in (("by-id", "wwn-1"), ("by-id", "ata-X_1"), ("by-path", "pci-1")):
        (tmp_path / "disk" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "disk" / folder / name).symlink_to("../../sda")
    root = str(tmp_path / "disk")
    assert links_to_devices(tmp_path / "disk") == {
        str(tmp_path / "sda"): (f"{root}/by-id/ata-X_1", f"{root}/by-id/wwn-1", f"{root}/by-path/pci-1")
    }
    assert links_to_devices(tmp_path / "missing") == {}


def test_importing_the_discovery_is_light() -> None:
    program = (
        "import sys, artesian.agent.disks.system_disks, artesian.agent.disks.folder_disks;"
        "print([name for name in ('uvloop', 'pydantic', 'asyncio', 'yaml') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
