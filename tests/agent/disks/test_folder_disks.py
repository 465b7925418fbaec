"""Files that stand for disks."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from artesian.agent.disks.errors import DisksUnknown
from artesian.agent.disks.folder_disks import FolderDisks
from artesian.host.tools import ToolAnswer
from artesian.model.disk import Disk, EngineLabel, Media
from artesian.strategy.verdicts import obstacle_to_taking
from tests.agent.disks.media import (
    DEVICE_ID,
    MIB,
    SYSTEM_ID,
    CountingRun,
    label_by_engine,
    let_times_settle,
    make_ext4,
    sparse_file,
    write_gpt,
)

pytestmark = pytest.mark.skipif(
    not (shutil.which("blkid") and shutil.which("wipefs")), reason="blkid and wipefs are missing"
)


def only_disk(folder: Path) -> Disk:
    (disk,) = FolderDisks(folder).find()
    return disk


def test_an_empty_file_is_a_free_disk(tmp_path: Path) -> None:
    sparse_file(tmp_path / "sda", 8 * MIB)
    disk = only_disk(tmp_path)
    assert (disk.path, disk.size_bytes, disk.media) == (str(tmp_path / "sda"), 8 * MIB, Media.UNKNOWN)
    assert (disk.signatures, disk.label, disk.holders, disk.unreadable) == ((), None, (), "")
    assert not disk.read_only
    assert disk.identity is not None
    assert disk.identity.startswith(f"file:{(tmp_path / 'sda').stat().st_ino}-")
    assert obstacle_to_taking(disk, "ours") is None


@pytest.mark.skipif(not shutil.which("mkfs.ext4"), reason="mkfs.ext4 is missing")
def test_a_file_system_shows(tmp_path: Path) -> None:
    make_ext4(sparse_file(tmp_path / "sda"))
    assert only_disk(tmp_path).signatures == ("ext4",)


def test_a_partition_table_shows(tmp_path: Path) -> None:
    write_gpt(sparse_file(tmp_path / "sda"))
    assert "gpt" in only_disk(tmp_path).signatures


def test_a_bare_boot_sector_shows(tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "sda")
    with path.open("r+b") as file:
        file.seek(510)
        file.write(b"\x55\xaa")
    assert only_disk(tmp_path).signatures == ("dos",)


def test_only_regular_files_that_are_not_hidden_are_disks(tmp_path: Path) -> None:
    sparse_file(tmp_path / "sda")
    sparse_file(tmp_path / ".hidden")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "sda")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "socket"))  # absolute ones may be too long
        assert only_disk(tmp_path).path == str(tmp_path / "sda")


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dev").mkdir()
    sparse_file(tmp_path / "dev" / "sda")
    monkeypatch.chdir(tmp_path)
    assert only_disk(Path("dev")).path == str(tmp_path / "dev" / "sda")


def test_a_folder_that_is_missing_is_no_node_without_disks(tmp_path: Path) -> None:
    with pytest.raises(DisksUnknown, match="No such file"):
        FolderDisks(tmp_path / "missing").find()


def test_a_renamed_file_stays_the_same_disk(tmp_path: Path) -> None:
    sparse_file(tmp_path / "sda")
    disks = FolderDisks(tmp_path)
    (before,) = disks.find()
    (tmp_path / "sda").rename(tmp_path / "sdb")
    (after,) = disks.find()
    assert (after.identity, after.path) == (before.identity, str(tmp_path / "sdb"))


def test_a_new_file_in_an_inode_that_was_used_before_is_another_disk(tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "sda")
    before, inode = only_disk(tmp_path).identity, path.stat().st_ino
    path.unlink()
    sparse_file(path)
    after = only_disk(tmp_path).identity
    if path.stat().st_ino == inode and str(before).endswith("-0"):
        pytest.skip("this file system uses inodes again, and has no generations")
    assert after != before


def test_a_copy_is_another_disk_with_the_same_label(tmp_path: Path) -> None:
    label_by_engine(sparse_file(tmp_path / "sda"))
    shutil.copy(tmp_path / "sda", tmp_path / "sdb")
    first, second = FolderDisks(tmp_path).find()
    assert first.identity != second.identity
    assert first.label == second.label == EngineLabel(SYSTEM_ID, DEVICE_ID)


def test_a_truncated_file_is_the_same_disk_of_another_size(tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "sda", 8 * MIB)
    disks = FolderDisks(tmp_path)
    (before,) = disks.find()
    os.truncate(path, 3 * MIB + 17)
    (after,) = disks.find()
    assert (after.identity, after.size_bytes, after.unreadable) == (before.identity, 3 * MIB + 17, "")


def test_a_file_of_no_bytes_is_a_disk_too_small_for_anything(tmp_path: Path) -> None:
    sparse_file(tmp_path / "sda", 0)
    disk = only_disk(tmp_path)
    assert (disk.size_bytes, disk.signatures, disk.unreadable) == (0, (), "")


def test_a_disk_of_our_engine_has_its_label_and_no_foreign_signature(tmp_path: Path) -> None:
    label_by_engine(sparse_file(tmp_path / "sda"))
    disk = only_disk(tmp_path)
    assert (disk.label, disk.signatures, disk.unreadable) == (EngineLabel(SYSTEM_ID, DEVICE_ID), (), "")


def test_a_file_without_write_permission_is_read_only(tmp_path: Path) -> None:
    sparse_file(tmp_path / "sda").chmod(0o444)
    assert only_disk(tmp_path).read_only


@pytest.mark.parametrize("content", ["{", "[1]", '"ssd"', "\x00"])
def test_media_are_what_the_media_file_says(tmp_path: Path, content: str) -> None:
    for name in ("sda", "sdb", "sdc", "sdd"):
        sparse_file(tmp_path / name)
    disks = FolderDisks(tmp_path)
    (tmp_path / ".media.json").write_text(json.dumps({"sda": "ssd", "sdb": "hdd", "sdc": ["odd"]}))
    assert [disk.media for disk in disks.find()] == [Media.SSD, Media.HDD, Media.UNKNOWN, Media.UNKNOWN]
    (tmp_path / ".media.json").write_text(content)
    assert {disk.media for disk in disks.find()} == {Media.UNKNOWN}


def test_an_unchanged_file_costs_no_process(tmp_path: Path) -> None:
    sparse_file(tmp_path / "sda")
    let_times_settle()
    run = CountingRun()
    disks = FolderDisks(tmp_path, run=run)
    first = disks.find()
    assert run.commands == ["blkid", "wipefs"]
    assert disks.find() == first
    assert run.commands == ["blkid", "wipefs"]


def test_a_file_that_may_have_changed_within_one_tick_is_looked_at_again(tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "sda")
    os.utime(path, ns=(1 << 62, 1 << 62))  # as if written to after any look
    run = CountingRun()
    disks = FolderDisks(tmp_path, run=run)
    disks.find()
    disks.find()
    assert run.commands == ["blkid", "wipefs"] * 2


def test_a_file_that_is_replaced_during_the_look_is_unknown(tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "sda")
    other = sparse_file(tmp_path / ".other")
    counting = CountingRun()

    def run(command: Sequence[str]) -> ToolAnswer:
        if other.exists():
            other.rename(path)
        return counting(command)

    disks = FolderDisks(tmp_path, run=run)
    (disk,) = disks.find()
    assert "replaced" in disk.unreadable
    (disk,) = disks.find()
    assert disk.unreadable == ""


def test_two_names_of_one_file_are_two_claims_to_one_identity(tmp_path: Path) -> None:
    os.link(sparse_file(tmp_path / "sda"), tmp_path / "sdb")
    first, second = FolderDisks(tmp_path).find()
    assert first.identity == second.identity


def test_a_changed_file_is_looked_at_again(tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "sda")
    let_times_settle()
    disks = FolderDisks(tmp_path)
    disks.find()
    write_gpt(path)
    (disk,) = disks.find()
    assert "gpt" in disk.signatures


def test_a_change_that_hides_its_time_is_seen_all_the_same(tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "sda")
    os.utime(path, ns=(1, 1))
    let_times_settle()
    disks = FolderDisks(tmp_path)
    disks.find()
    write_gpt(path)
    os.utime(path, ns=(1, 1))
    (disk,) = disks.find()
    assert "gpt" in disk.signatures


def test_what_a_volume_holds_says_nothing_of_the_disk_that_it_is_on(tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "sda")
    label_by_engine(path)
    run = CountingRun()
    with path.open("r+b") as file:
        file.seek(1 * MIB)
        file.write(bytes.fromhex("0dd001c0"))  # what libblkid takes for a member of a VMFS volume
    (disk,) = FolderDisks(tmp_path, run).find()
    assert disk.label == EngineLabel(SYSTEM_ID, DEVICE_ID)
    assert disk.signatures == ()
    assert run.commands == []


def test_a_disk_that_lost_our_label_is_looked_at_at_once(tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "sda")
    label_by_engine(path)
    disks = FolderDisks(tmp_path)
    disks.find()
    sparse_file(path)
    write_gpt(path)
    (disk,) = disks.find()
    assert disk.label is None
    assert "gpt" in disk.signatures


def test_trouble_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sparse_file(tmp_path / "sda")
    let_times_settle()
    disks = FolderDisks(tmp_path)
    with monkeypatch.context() as without_tools:
        without_tools.setenv("PATH", str(tmp_path))
        (disk,) = disks.find()
        assert disk.unreadable == "blkid (util-linux) is missing; wipefs (util-linux) is missing"
    (disk,) = disks.find()
    assert disk.unreadable == ""


def test_a_stable_name_means_the_same_disk_when_names_are_swapped(tmp_path: Path) -> None:
    dev, links = tmp_path / "dev", tmp_path / "links"
    dev.mkdir()
    one, other = sparse_file(dev / "sda"), sparse_file(dev / "sdb")
    disks = FolderDisks(dev, links=links)
    before = {disk.identity: disk.stable_path for disk in disks.find()}
    inodes = {identity: Path(path).stat().st_ino for identity, path in before.items()}
    one.rename(dev / "x")
    other.rename(one)
    (dev / "x").rename(other)
    assert {identity: Path(path).stat().st_ino for identity, path in before.items()} == inodes
    assert {disk.identity: disk.stable_path for disk in disks.find()} == before


def test_a_disk_that_was_pulled_out_has_no_stable_name_any_more(tmp_path: Path) -> None:
    dev, links = tmp_path / "dev", tmp_path / "links"
    dev.mkdir()
    path = sparse_file(dev / "sda")
    disks = FolderDisks(dev, links=links)
    (disk,) = disks.find()
    path.unlink()
    assert disks.find() == ()
    assert not Path(disk.stable_path).exists()


def test_a_name_that_is_not_utf8_is_shown_and_refused(tmp_path: Path) -> None:
    sparse_file(tmp_path / "sda")
    with open(os.fsencode(tmp_path) + b"/sd\xff\xe4", "wb") as file:
        file.truncate(8 * MIB)
    os.mkdir(os.fsencode(tmp_path) + b"/folder\xff")
    bad, good = FolderDisks(tmp_path).find()
    assert (good.path, good.unreadable) == (str(tmp_path / "sda"), "")
    assert (bad.path, bad.identity) == (f"{tmp_path}/sd\\xff\\xe4", None)
    assert bad.unreadable == "its name is not UTF-8"
    assert obstacle_to_taking(bad, "ours") is not None
    json.dumps([good.path, bad.path], ensure_ascii=False).encode()
