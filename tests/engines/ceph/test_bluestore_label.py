"""Whose a disk is, and how it becomes nobody's."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artesian.engines.ceph.bluestore_label import TOKEN, Label, clear, parse, read_label
from tests.engines.ceph.labels import WHOLE, label_block

OWNER = str(uuid.UUID(int=7))
OTHER = str(uuid.UUID(int=8))
META = {**WHOLE, "ceph_fsid": "of-a-cluster", "whoami": "12", TOKEN: "accepted"}
MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Four MiB that are full of something."""
    path = tmp_path / "disk"
    path.write_bytes(b"\xaa" * 4 * MIB)
    return path


def write(disk: Path, block: bytes) -> None:
    with disk.open("r+b") as file:
        file.write(block)


def test_a_label_says_whose_the_disk_is() -> None:
    assert parse(label_block(OWNER, META)) == Label(OWNER, "of-a-cluster", "12", "accepted", is_complete=True)


@pytest.mark.parametrize("version", [1, 2])
def test_one_that_was_not_made_to_the_end_does_not_say_it_was(version: int) -> None:
    assert parse(label_block(OWNER, {}, version)) == Label(OWNER)


def test_a_disk_without_a_label_has_none(disk: Path) -> None:
    assert read_label(str(disk)) is None
    assert parse(b"") is None


@given(st.binary(max_size=4096))
def test_whatever_follows_the_owner_it_is_known(rest: bytes) -> None:
    found = parse(f"bluestore block device\n{OWNER}\n".encode() + rest)
    assert found is not None and found.uuid == OWNER


@given(st.integers(min_value=62, max_value=len(label_block(OWNER, META).rstrip(b"\0")) - 5))
def test_a_label_that_is_cut_off_is_not_taken_for_one_that_was_never_finished(length: int) -> None:
    found = parse(label_block(OWNER, META)[:length])
    assert found == Label(OWNER, is_understood=False)


def test_a_disk_that_is_cleared_is_empty_at_both_ends(disk: Path) -> None:
    write(disk, label_block(OWNER, META))
    assert clear(str(disk), OWNER)
    content = disk.read_bytes()
    assert content == bytes(MIB) + b"\xaa" * 2 * MIB + bytes(MIB)
    assert not clear(str(disk), OWNER)


@pytest.mark.parametrize("block", [label_block(OTHER, META), b"\xaa" * 4096])
def test_the_disk_of_somebody_else_is_not_cleared(disk: Path, block: bytes) -> None:
    write(disk, block)
    before = disk.read_bytes()
    assert not clear(str(disk), OWNER)
    assert disk.read_bytes() == before


def test_a_disk_smaller_than_what_is_cleared_keeps_its_size(tmp_path: Path) -> None:
    disk = tmp_path / "small"
    disk.write_bytes(label_block(OWNER, META) + b"\xaa" * 100)
    assert clear(str(disk), OWNER)
    assert disk.read_bytes() == bytes(4196)
