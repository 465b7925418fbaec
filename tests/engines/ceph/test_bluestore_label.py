"""Whose a disk is, and how it becomes nobody's."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artesian.engines.ceph.bluestore_label import TOKEN, Label, clear, parse, read_label
from tests.engines.ceph.labels import (
    CEPH_FSID,
    CEPH_LABEL,
    CEPH_OSD,
    WHOLE,
    being_made,
    label_block,
    with_checksum,
)

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


def test_what_ceph_writes_is_read() -> None:
    assert parse(CEPH_LABEL.ljust(4096, b"\0")) == Label(CEPH_OSD, CEPH_FSID, "3", is_complete=True)


@pytest.mark.parametrize("block", [label_block(OWNER, {}), being_made(OWNER)])
def test_one_that_was_not_made_to_the_end_says_only_which_one_it_is(block: bytes) -> None:
    assert parse(block) == Label(OWNER)


def test_a_newer_version_that_this_one_can_read_is_read() -> None:
    newer = with_checksum(CEPH_LABEL[:60] + b"\x03\x02" + CEPH_LABEL[62:-4])
    assert parse(newer) == parse(CEPH_LABEL)


@pytest.mark.parametrize("at", [60, 62, 70, 200, len(CEPH_LABEL) - 1])
def test_of_a_damaged_label_only_the_owner_is_known(at: int) -> None:
    damaged = CEPH_LABEL[:at] + bytes([CEPH_LABEL[at] ^ 1]) + CEPH_LABEL[at + 1 :]
    assert parse(damaged.ljust(4096, b"\0")) == Label(CEPH_OSD, is_understood=False)


def test_an_owner_that_is_damaged_is_not_understood() -> None:
    found = parse(CEPH_LABEL.replace(b"\n1", b"\n0", 1))
    assert found is not None and not found.is_understood


@pytest.mark.parametrize(
    "block",
    [
        label_block(OWNER, META, version=1),
        label_block(OWNER, META, version=3),  # which no older one can read
        label_block(OWNER, META, described="bluefs db"),
    ],
)
def test_what_is_no_label_of_an_osds_data_is_not_understood(block: bytes) -> None:
    assert parse(block) == Label(OWNER, is_understood=False)


@pytest.mark.parametrize("length", [0, 22, 23, 58])
def test_what_does_not_name_its_owner_is_no_label(length: int) -> None:
    assert parse(CEPH_LABEL[:length]) is None


def test_a_disk_without_a_label_has_none(disk: Path) -> None:
    assert read_label(str(disk)) is None
    assert parse(b"") is None


@given(st.binary(max_size=4096))
def test_whatever_follows_the_owner_it_is_known(rest: bytes) -> None:
    found = parse(f"bluestore block device\n{OWNER}\n".encode() + rest)
    assert found is not None and found.uuid == OWNER


@given(st.integers(min_value=60, max_value=len(CEPH_LABEL) - 1))
def test_a_label_that_is_cut_off_is_not_taken_for_one_that_was_never_finished(length: int) -> None:
    assert parse(CEPH_LABEL[:length]) == Label(CEPH_OSD, is_understood=False)


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
