"""The label at the start of a disk that is an OSD's: whose it is, and whether it was made to the end."""

from __future__ import annotations

import os
import re
import struct
import uuid
from dataclasses import dataclass

LABEL_BYTES = 4096
TOKEN = "artesian_token"  # noted in it by us
_HEAD = re.compile(rb"bluestore block device\n([0-9a-f-]{36})\n")
_VERSIONS = struct.Struct("<BBI")
_SIZE_AND_TIME = struct.Struct("<QII")
_LENGTH = struct.Struct("<I")
_CLEARED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Label:
    """`fsid` and `osd` are empty as long as the OSD is being made, and so is the `token` of its acceptance.

    Of one that is not understood it is not known whether it is complete.
    """

    uuid: str
    fsid: str = ""
    osd: str = ""
    token: str = ""
    is_complete: bool = False
    is_understood: bool = True


def read_label(path: str) -> Label | None:
    """None if the disk has none. Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        return parse(file.read(LABEL_BYTES))


def parse(block: bytes) -> Label | None:
    """The label in a disk's first block. One that is cut off says as much as its first lines do."""
    head = _HEAD.match(block)
    if head is None:
        return None
    owner = head[1].decode()
    try:
        meta = _meta(block, head.end())
    except (struct.error, UnicodeDecodeError, ValueError):
        return Label(owner, is_understood=False)
    return Label(
        owner,
        meta.get("ceph_fsid", ""),
        meta.get("whoami", ""),
        meta.get(TOKEN, ""),
        is_complete=meta.get("ready") == "ready",
    )


def _meta(block: bytes, offset: int) -> dict[str, str]:
    """What is noted in it, by name."""
    version, _, _ = _VERSIONS.unpack_from(block, offset)
    offset += _VERSIONS.size
    uuid.UUID(bytes=block[offset : offset + 16])
    offset += 16 + _SIZE_AND_TIME.size
    _, offset = _text(block, offset)
    if version < 2:
        return {}
    (count,) = _LENGTH.unpack_from(block, offset)
    offset += _LENGTH.size
    meta = {}
    for _ in range(count):
        key, offset = _text(block, offset)
        meta[key], offset = _text(block, offset)
    return meta


def _text(block: bytes, offset: int) -> tuple[str, int]:
    (length,) = _LENGTH.unpack_from(block, offset)
    offset += _LENGTH.size
    end = offset + length
    if end > len(block):
        raise ValueError("the label is cut off")
    return block[offset:end].decode(), end


def clear(path: str, owner: str) -> bool:
    """Make a disk empty that is the OSD `owner`; False if it is not. Raises OSError.

    Both ends are cleared, where others would look for what was in volumes, and the label last: until then it
    is still known whose the disk is.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        label = parse(os.pread(descriptor, LABEL_BYTES, 0))
        if label is None or label.uuid != owner:
            return False
        size = os.lseek(descriptor, 0, os.SEEK_END)
        head = min(_CLEARED_BYTES, size)
        end = max(size - _CLEARED_BYTES, head)
        os.pwrite(descriptor, bytes(size - end), end)
        os.pwrite(descriptor, bytes(head - LABEL_BYTES), LABEL_BYTES)
        os.fsync(descriptor)
        os.pwrite(descriptor, bytes(LABEL_BYTES), 0)
        os.fsync(descriptor)
        return True
    finally:
        os.close(descriptor)
