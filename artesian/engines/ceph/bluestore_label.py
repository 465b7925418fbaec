"""Ceph's label at the start of a disk that is an OSD's: whose it is, and whether it was made to the end.

It begins with two lines of text, the second of which is the OSD's UUID. Then come a version, the oldest one
that can read it, the length of what follows, the OSD's UUID, its size, the time when it was made, a
description, and pairs of texts. A CRC-32C of all that ends it; Ceph does not invert its checksums at the end.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass

LABEL_BYTES = 4096
TOKEN = "artesian_token"  # noted in it by us
_OWNER = re.compile(rb"bluestore block device\n([0-9a-f-]{36})\n")
_HEAD = struct.Struct("<BBI16sQII")
_VERSION_BYTES = struct.calcsize("<BBI")
_KNOWN_VERSION = 2
_COUNT = struct.Struct("<I")
_DATA = "main"  # what the disk is described as that holds an OSD's data
_CLEARED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Label:
    """`fsid` and `osd` are empty as long as the OSD is being made, and so is the `token` of its acceptance.

    Of one that is damaged, or for others than us, only the first lines are known: it is not understood.
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
    """The label in the first `LABEL_BYTES` of a disk."""
    first = _OWNER.match(block)
    if first is None:
        return None
    owner = first[1].decode()
    try:
        noted = _noted(block, first.end())
    except (struct.error, UnicodeDecodeError):
        noted = None
    if noted is None:
        return Label(owner, is_understood=False)
    return Label(
        owner,
        noted.get("ceph_fsid", ""),
        noted.get("whoami", ""),
        noted.get(TOKEN, ""),
        is_complete=noted.get("ready") == "ready",
    )


def _noted(block: bytes, offset: int) -> dict[str, str] | None:
    """What is noted in it, by name; None if it is damaged, or no disk's that holds data. Raises struct.error
    and UnicodeDecodeError if it is cut off or damaged."""
    version, oldest, length, _osd, _size, _s, _ns = _HEAD.unpack_from(block, offset)
    end = offset + _VERSION_BYTES + length
    (checksum,) = _COUNT.unpack_from(block, end)
    if version < _KNOWN_VERSION or oldest > _KNOWN_VERSION or checksum != _crc32c(block[:end]):
        return None
    words = _Words(block[:end], offset + _HEAD.size)
    described = words.next()
    noted = {words.next(): words.next() for _ in range(words.count())}
    return noted if described == _DATA else None


class _Words:
    """Reads one text after the other. Raises struct.error at the end."""

    def __init__(self, block: bytes, offset: int) -> None:
        self._block = block
        self._offset = offset

    def count(self) -> int:
        (found,) = _COUNT.unpack_from(self._block, self._offset)
        self._offset += _COUNT.size
        return int(found)

    def next(self) -> str:
        size = self.count()
        (found,) = struct.unpack_from(f"{size}s", self._block, self._offset)
        self._offset += size
        return bytes(found).decode()


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


def _crc32c(data: bytes) -> int:
    checksum = 0xFFFFFFFF
    for byte in data:
        checksum = _TABLE[(checksum ^ byte) & 0xFF] ^ (checksum >> 8)
    return checksum


def _row(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_TABLE = tuple(_row(byte) for byte in range(256))
