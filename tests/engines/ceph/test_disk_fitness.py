"""Which disks may become OSDs: real files with what real tools write."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from artesian.engines.ceph.disk_fitness import MIN_BYTES, find, look
from tests.engines.ceph.labels import WHOLE, label_block

OWNER = str(uuid.UUID(int=7))
OTHER = str(uuid.UUID(int=8))
SIZE = 2 << 30


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


def write(disk: Path, block: bytes) -> None:
    with disk.open("r+b") as file:
        file.write(block)


def run(*words: str | Path) -> None:
    if shutil.which(str(words[0])) is None:
        pytest.skip(f"{words[0]} is not installed")
    subprocess.run(words, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def test_an_empty_disk_is_fit(disk: Path) -> None:
    found = look(str(disk), OWNER)
    assert (found.size_bytes, found.label, found.wrong, found.failed) == (SIZE, None, "", False)


@pytest.mark.parametrize(
    ("command", "named"),
    [(("mkswap",), "swap"), (("mkfs.ext4", "-q", "-F"), "ext4"), (("mkfs.xfs", "-q"), "xfs")],
)
def test_what_somebody_has_written_is_named_and_kept(
    disk: Path, command: tuple[str, ...], named: str
) -> None:
    run(*command, disk)
    before = disk.stat().st_mtime_ns
    assert named in look(str(disk), OWNER).wrong
    assert disk.stat().st_mtime_ns == before


def test_a_disk_that_is_too_small_is_not_fit(disk: Path) -> None:
    with disk.open("r+b") as file:
        file.truncate(MIN_BYTES - 1)
    assert str(MIN_BYTES) in look(str(disk), OWNER).wrong


@pytest.mark.parametrize("meta", [WHOLE, {}])
def test_our_own_disk_is_fit(disk: Path, meta: dict[str, str]) -> None:
    write(disk, label_block(OWNER, meta))
    found = look(str(disk), OWNER)
    assert not found.wrong and found.label is not None
    assert found.label.is_complete == bool(meta)


def test_what_is_in_volumes_of_our_own_disk_does_not_matter(disk: Path) -> None:
    run("mkfs.ext4", "-q", "-F", disk)
    write(disk, label_block(OWNER, WHOLE)[:1024])
    assert not look(str(disk), OWNER).wrong


def test_the_disk_of_another_osd_is_not_fit(disk: Path) -> None:
    write(disk, label_block(OTHER, WHOLE))
    assert OTHER in look(str(disk), OWNER).wrong


def test_a_label_of_ours_that_is_not_understood_is_left_alone(disk: Path) -> None:
    write(disk, label_block(OWNER, WHOLE)[:80])
    with disk.open("r+b") as file:
        file.seek(80)
        file.write(b"\xff" * 4016)
    assert "not understood" in look(str(disk), OWNER).wrong


def test_a_disk_that_is_not_there_has_failed(tmp_path: Path) -> None:
    assert look(None, OWNER).failed
    found = look(str(tmp_path / "none"), OWNER)
    assert found.failed and "none" in found.wrong


def test_what_is_no_disk_is_not_fit(tmp_path: Path) -> None:
    found = look(str(tmp_path), OWNER)
    assert found.wrong and not found.failed


def test_the_first_name_that_means_something_is_taken(disk: Path) -> None:
    gone = str(disk.with_name("gone"))
    assert find([gone, str(disk), str(disk.parent)]) == str(disk)
    assert find([gone]) is None
