"""What is on a device, and what may be put there. On plain files: the tools do not mind."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from artesian.attach import filesystem, tools
from artesian.attach.errors import Damaged, FilesystemError, NotEmpty, ToolFailed
from artesian.attach.filesystem import FsType

MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    if absent := tools.missing("blkid", "mkfs.ext4", "e2fsck", "resize2fs"):
        pytest.skip(absent)
    path = tmp_path / "disk.img"
    path.touch()
    os.truncate(path, 64 * MIB)
    return path


def run(*command: str | Path) -> None:
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


def test_nothing_is_found_on_an_empty_disk(disk: Path) -> None:
    assert filesystem.probe(disk) is None


def test_what_is_on_a_disk_is_named(disk: Path) -> None:
    filesystem.make(disk, FsType.EXT4, label="orders")
    found = filesystem.probe(disk)
    assert found is not None
    assert (found.kind, found.label) == ("ext4", "orders")
    assert found.uuid


def test_a_partition_table_is_not_nothing(disk: Path) -> None:
    entry = struct.pack("<B3sB3sII", 0, b"\0\x21\0", 0x83, b"\0\0\0", 2048, 65536)
    with disk.open("r+b") as file:
        file.seek(446)
        file.write(entry + bytes(48) + b"\x55\xaa")
    found = filesystem.probe(disk)
    assert found is not None
    assert found.kind == "dos partition table"


@pytest.mark.parametrize("present", ["swap", "ext4", "xfs"])
def test_a_file_system_is_made_only_where_there_is_nothing(disk: Path, present: str) -> None:
    os.truncate(disk, 400 * MIB)
    maker = {"swap": "mkswap"}.get(present, f"mkfs.{present}")
    if absent := tools.missing(maker):
        pytest.skip(absent)
    run(maker, disk)
    before = disk.read_bytes()[: 4 * MIB]
    for fstype in FsType:
        with pytest.raises(NotEmpty, match=f"carries an? {present}"):
            filesystem.make(disk, fstype)
    assert disk.read_bytes()[: 4 * MIB] == before


def test_it_is_overwritten_if_that_is_asked_for(disk: Path) -> None:
    os.truncate(disk, 400 * MIB)
    filesystem.make(disk, FsType.EXT4)
    if absent := tools.missing("mkfs.xfs"):
        pytest.skip(absent)
    filesystem.make(disk, FsType.XFS, overwrite=True)
    found = filesystem.probe(disk)
    assert found is not None
    assert found.kind == "xfs"


def test_a_disk_that_cannot_be_read_is_not_taken_for_empty(tmp_path: Path) -> None:
    """blkid gives the same exit code for both."""
    with pytest.raises(FilesystemError, match="cannot be read"):
        filesystem.probe(tmp_path / "absent")
    with pytest.raises(FilesystemError, match="cannot be read"):
        filesystem.probe(tmp_path)


def test_a_disk_too_small_for_xfs_is_told_so(disk: Path) -> None:
    with pytest.raises(FilesystemError, match="XFS needs at least 300 MiB"):
        filesystem.make(disk, FsType.XFS)


@pytest.mark.parametrize("fstype", list(FsType))
def test_the_size_of_a_file_system_is_read_from_it(disk: Path, fstype: FsType) -> None:
    if absent := tools.missing(f"mkfs.{fstype}"):
        pytest.skip(absent)
    os.truncate(disk, 512 * MIB)
    filesystem.make(disk, fstype)
    assert filesystem.size_bytes(disk, fstype) == 512 * MIB
    assert not filesystem.has_outgrown(disk, fstype)
    os.truncate(disk, 600 * MIB)
    assert filesystem.has_outgrown(disk, fstype)


def test_the_size_of_nothing_is_an_error(disk: Path) -> None:
    with pytest.raises(FilesystemError, match="no ext4"):
        filesystem.size_bytes(disk, "ext4")


def test_an_unmounted_ext4_takes_the_whole_disk(disk: Path) -> None:
    filesystem.make(disk, FsType.EXT4)
    os.truncate(disk, 200 * MIB)
    filesystem.grow_unmounted_ext4(disk)
    assert filesystem.size_bytes(disk, "ext4") == 200 * MIB
    run("e2fsck", "-f", "-n", disk)


def test_small_damage_is_repaired_before_a_mount(disk: Path) -> None:
    filesystem.make(disk, FsType.EXT4)
    run("debugfs", "-w", "-R", "ssv state 2", disk)  # it had errors
    run("debugfs", "-w", "-R", "ssv free_blocks_count 7", disk)
    filesystem.check(disk, "ext4", read_only=False)
    run("e2fsck", "-f", "-n", disk)


def test_damage_that_needs_a_decision_is_left_alone(disk: Path) -> None:
    filesystem.make(disk, FsType.EXT4)
    run("debugfs", "-w", "-R", "ssv state 2", disk)
    run("debugfs", "-w", "-R", "clri <2>", disk)  # the root folder is gone
    with pytest.raises(Damaged, match="e2fsck -f"):
        filesystem.check(disk, "ext4", read_only=False)


def test_a_read_only_volume_is_not_checked(disk: Path) -> None:
    filesystem.check(disk, "ext4", read_only=True)


def test_a_tool_that_fails_is_named_with_what_it_said() -> None:
    with pytest.raises(ToolFailed, match=r"mkfs\.ext4: .*does not exist") as caught:
        tools.run("mkfs.ext4", "/absent/disk")
    assert caught.value.exit_code
    with pytest.raises(ToolFailed, match="no-such-tool is not installed"):
        tools.run("no-such-tool")
    with pytest.raises(ToolFailed, match=r"sleep did not end within 0\.1 s"):
        tools.run("sleep", "5", timeout_s=0.1)
