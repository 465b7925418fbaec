"""Disks that are OSDs: of our own Ceph, of another one, half made or damaged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from artesian.agent.disks.facts import disks_from_lsblk
from artesian.agent.disks.folder_disks import FolderDisks
from artesian.agent.disks.probing import probe_disk
from artesian.agent.disks.recognising import recognised
from artesian.engines.ceph import names
from artesian.engines.ceph.bluestore_label import Label, read_label
from artesian.model.disk import Disk, EngineLabel
from artesian.model.node import Node
from artesian.model.topology import VerdictKind
from artesian.strategy.verdicts import Memory, judge_disks
from tests.agent.disks.media import CountingRun, sparse_file
from tests.engines.ceph.labels import CEPH_FSID, CEPH_OSD, being_made, label_block, label_by_ceph

OURS = str(uuid.UUID(int=9))
TOOLS = pytest.mark.skipif(
    not (shutil.which("blkid") and shutil.which("wipefs")), reason="blkid and wipefs are missing"
)


def only_disk(folder: Path, run: CountingRun | None = None) -> Disk:
    (disk,) = FolderDisks(folder, run or CountingRun()).find()
    return disk


def our_osd(path: Path, is_made: bool = True) -> str:
    """Make a disk an OSD of ours, or one that is being made; its UUID."""
    identity = only_disk(path.parent).identity
    assert identity is not None
    osd = names.osd_uuid(OURS, identity)
    label_by_ceph(path, label_block(osd, {"ceph_fsid": OURS}) if is_made else being_made(osd))
    return osd


def verdict(disk: Disk, system_id: str | None) -> tuple[VerdictKind, str]:
    node = Node("n1", "10.0.0.1", disks=(disk,))
    (found,) = judge_disks([node], Memory(), minimum_bytes=0, system_id=system_id)
    return found.kind, found.because


def test_an_osd_of_ours_is_known_whoever_looks_and_keeps_its_identity(tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "sda")
    before = only_disk(tmp_path).identity
    osd = our_osd(path)
    run = CountingRun()
    for system_id in ("", "another", OURS):  # also a node whose engine's store was lost
        (disk,) = recognised([only_disk(tmp_path, run)], system_id)
        assert (disk.label, disk.signatures, disk.unreadable) == (EngineLabel(OURS, osd), (), "")
        assert disk.identity == before
    assert run.commands == []
    assert verdict(disk, OURS) == (
        VerdictKind.REFUSED,
        "it belongs to this engine, but to no pool that is known here",
    )


def test_an_osd_of_another_ceph_belongs_to_that(tmp_path: Path) -> None:
    label_by_ceph(sparse_file(tmp_path / "sda"))
    (disk,) = recognised([only_disk(tmp_path)], OURS)
    assert disk.label == EngineLabel(CEPH_FSID, CEPH_OSD, foreign=True)
    assert disk.signatures == ()
    for system_id in (None, OURS):
        assert verdict(disk, system_id) == (
            VerdictKind.REFUSED,
            f"it belongs to another engine, {CEPH_FSID}",
        )


@TOOLS
def test_an_osd_of_ours_that_is_being_made_is_ours_already(tmp_path: Path) -> None:
    osd = our_osd(sparse_file(tmp_path / "sda"), is_made=False)
    (disk,) = recognised([only_disk(tmp_path)], OURS)
    assert (disk.label, disk.signatures) == (EngineLabel(OURS, osd), ())


@TOOLS
@pytest.mark.parametrize("system_id", ["", "another"])
def test_one_that_somebody_else_is_making_is_left_alone(tmp_path: Path, system_id: str) -> None:
    our_osd(sparse_file(tmp_path / "sda"), is_made=False)
    (disk,) = recognised([only_disk(tmp_path)], system_id)
    assert (disk.label, set(disk.signatures)) == (None, {"ceph_bluestore"})
    assert verdict(disk, system_id or None) == (
        VerdictKind.REFUSED,
        "it carries a signature: ceph_bluestore",
    )


@TOOLS
def test_a_damaged_osd_is_left_alone_whoever_made_it(tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "sda")
    our_osd(path)
    with path.open("r+b") as file:
        file.seek(80)
        file.write(b"?")
    (disk,) = recognised([only_disk(tmp_path)], OURS)
    assert (disk.label, set(disk.signatures)) == (None, {"ceph_bluestore"})


@pytest.mark.parametrize(
    ("numbers", "identity"),
    [
        ({"wwn": "0x5000", "serial": "S1"}, "wwn:0x5000"),
        ({"wwn": None, "serial": "S1"}, "serial:Disk:S1"),
        ({"wwn": None, "serial": None}, f"uuid:{CEPH_OSD}"),
    ],
)
def test_what_identified_a_disk_before_it_was_an_osd_still_does(
    tmp_path: Path, numbers: dict[str, str | None], identity: str
) -> None:
    path = sparse_file(tmp_path / "sda")
    row = {
        "name": "sda", "kname": "sda", "path": str(path), "type": "disk", "size": 8 << 20, "ro": False,
        "rota": False, "mountpoints": [], "model": "Disk", **numbers,
    }  # fmt: skip
    bare = disks_from_lsblk({"blockdevices": [row]}, {str(path): probe_disk(str(path))})[0].identity
    label_by_ceph(path)
    (disk,) = disks_from_lsblk({"blockdevices": [row]}, {str(path): probe_disk(str(path))})
    assert disk.identity == identity
    assert bare in (identity, None)  # and what nothing identifies is never given to an engine


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("ceph-osd"), reason="ceph-osd is missing")
def test_what_a_real_osd_writes_is_what_ceph_itself_reads(tmp_path: Path) -> None:
    dev, data = tmp_path / "dev", tmp_path / "data"
    dev.mkdir()
    data.mkdir()
    path = sparse_file(dev / "sda", 2 << 30)
    identity = only_disk(dev).identity
    assert identity is not None
    os.symlink(path, data / "block")
    (tmp_path / "ceph.conf").write_text(
        f"[global]\nfsid = {OURS}\nauth_cluster_required = none\nlog_file =\n"
    )
    osd = names.osd_uuid(OURS, identity)
    subprocess.run(
        [
            "ceph-osd", "--conf", str(tmp_path / "ceph.conf"), "--mkfs", "--no-mon-config", "--id", "3",
            "--osd-data", str(data), "--osd-uuid", osd, "--osd-objectstore", "bluestore",
        ],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    told = subprocess.run(
        ["ceph-bluestore-tool", "show-label", "--dev", str(path)], check=True, capture_output=True
    )
    (label,) = json.loads(told.stdout).values()
    said = Label(
        label["osd_uuid"], label["ceph_fsid"], label["whoami"], is_complete=label["ready"] == "ready"
    )
    assert read_label(str(path)) == said
    (disk,) = recognised([only_disk(dev)], "")
    assert (disk.identity, disk.label, disk.signatures) == (identity, EngineLabel(OURS, osd), ())
