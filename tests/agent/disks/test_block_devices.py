"""Real block devices, where the machine lets us make some: loop devices over files of our own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from artesian.agent.disks.facts import SOMEBODY
from artesian.agent.disks.folder_disks import FolderDisks
from artesian.agent.disks.system_disks import SystemDisks
from artesian.host.tools import ToolAnswer, run_tool
from artesian.model.disk import Disk, EngineLabel
from tests.agent.disks.media import DEVICE_ID, SYSTEM_ID, label_by_engine, make_ext4, sparse_file


@pytest.fixture
def backing(tmp_path: Path) -> Path:
    (tmp_path / "dev").mkdir()
    return sparse_file(tmp_path / "dev" / "sda")


@pytest.fixture
def loop(backing: Path) -> Iterator[str]:
    """A loop device over the backing file."""
    if shutil.which("losetup") is None:
        pytest.skip("losetup is missing")
    made = subprocess.run(["losetup", "--find", "--show", str(backing)], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"loop devices cannot be made here: {made.stderr.strip()}")
    path = made.stdout.strip()
    try:
        yield path
    finally:
        subprocess.run(["losetup", "--detach", path], check=True)


def disks_at(path: str, *also: str) -> tuple[Disk, ...]:
    """As if the node had this device only: those of others on this machine are left in peace."""

    def run(command: Sequence[str]) -> ToolAnswer:
        return run_tool((*command, path) if command[0] == "lsblk" else command)

    return SystemDisks(also, run).find()


def system_disk(path: str) -> Disk:
    (disk,) = disks_at(path, "loop")
    return disk


def test_a_loop_device_holds_its_backing_file(backing: Path, loop: str) -> None:
    (disk,) = FolderDisks(backing.parent).find()
    assert disk.holders == (loop,)


def test_an_empty_block_device_shows_nothing_against_it_but_has_no_identity(loop: str) -> None:
    disk = system_disk(loop)
    assert (disk.size_bytes, disk.identity) == (8 << 20, None)
    assert (disk.signatures, disk.holders, disk.mounted_at, disk.unreadable) == ((), (), (), "")
    assert disks_at(loop) == ()


def test_a_block_device_with_our_label_is_known_by_it(backing: Path, loop: str) -> None:
    name = label_by_engine(Path(loop))
    disk = system_disk(loop)
    assert (disk.identity, disk.label) == (f"uuid:{name}", EngineLabel(SYSTEM_ID, DEVICE_ID))


def test_somebody_who_opened_the_device_exclusively_is_a_holder(loop: str) -> None:
    descriptor = os.open(loop, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC)
    try:
        assert system_disk(loop).holders == (SOMEBODY,)
    finally:
        os.close(descriptor)
    assert system_disk(loop).holders == ()


@pytest.mark.skipif(not shutil.which("mkfs.ext4"), reason="mkfs.ext4 is missing")
def test_a_mounted_device_is_seen_as_mounted(loop: str, tmp_path: Path) -> None:
    make_ext4(Path(loop))
    assert system_disk(loop).signatures == ("ext4",)
    place = tmp_path / "mounted"
    place.mkdir()
    mounted = subprocess.run(["mount", "-o", "ro", loop, str(place)], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    try:
        assert system_disk(loop).mounted_at == (str(place),)
    finally:
        subprocess.run(["umount", str(place)], check=True)
