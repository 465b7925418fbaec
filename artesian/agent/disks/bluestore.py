"""Ceph's label at the start of a disk: which OSD of which cluster it is.

It begins with two lines of text, the second of which is the OSD's UUID. Then come a version, the oldest one
that can read it, the length of what follows, the OSD's UUID, its size, the time when it was made, a
description, and pairs of texts. A CRC-32C of all that ends it; Ceph does not invert its checksums at the end.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass

MAGIC = b"bluestore block device\n"
LABEL_BYTES = 4096
_TEXT_BYTES = len(MAGIC) + 36 + 1
_HEAD = struct.Struct("<BBI16sQII")
_VERSION_BYTES = struct.calcsize("<BBI")
_KNOWN_VERSION = 2
_COUNT = struct.Struct("<I")
_DATA = "main"  # what the disk is described as that holds an OSD's data


@dataclass(frozen=True, slots=True)
class BlueStoreLabel:
    """`fsid` is the cluster's; empty as long as the OSD is being made."""

    osd_uuid: str
    fsid: str


def unpack(block: bytes) -> BlueStoreLabel | None:
    """The label in the first `LABEL_BYTES` of a disk; None if there is none that is whole and understood."""
    if not block.startswith(MAGIC):
        return None
    try:
        version, oldest, length, osd, _size, _s, _ns = _HEAD.unpack_from(block, _TEXT_BYTES)
        end = _TEXT_BYTES + _VERSION_BYTES + length
        (checksum,) = _COUNT.unpack_from(block, end)
        if version < _KNOWN_VERSION or oldest > _KNOWN_VERSION or checksum != _crc32c(block[:end]):
            return None
        words = _Words(block[:end], _TEXT_BYTES + _HEAD.size)
        described = words.next()
        said = {words.next(): words.next() for _ in range(words.count())}
    except (struct.error, UnicodeDecodeError):
        return None
    if described != _DATA:
        return None
    return BlueStoreLabel(str(uuid.UUID(bytes=osd)), said.get("ceph_fsid", ""))


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
