"""Labels of disks as BlueStore writes them."""

from __future__ import annotations

import base64
import struct
import uuid
from pathlib import Path

LABEL_BYTES = 4096
WHOLE = {"magic": "ceph osd volume v026", "mkfs_done": "yes", "ready": "ready"}
CEPH_FSID = "7d0f3a50-1111-4222-8333-444455556666"
CEPH_OSD = "11111111-2222-4333-8444-555555555555"
# What ceph-osd 16.2.15 has written.
CEPH_LABEL = base64.b64decode(
    "Ymx1ZXN0b3JlIGJsb2NrIGRldmljZQoxMTExMTExMS0yMjIyLTQzMzMtODQ0NC01NTU1NTU1NTU1NTUKAgHrAQAAERERESIiQzOE"
    "RFVVVVVVVQAAAIAAAAAAvKoCaz7VDSYEAAAAbWFpbg0AAAAKAAAAYmZtX2Jsb2NrcwYAAAA1MjQyODgSAAAAYmZtX2Jsb2Nrc19w"
    "ZXJfa2V5AwAAADEyOBMAAABiZm1fYnl0ZXNfcGVyX2Jsb2NrBAAAADQwOTYIAAAAYmZtX3NpemUKAAAAMjE0NzQ4MzY0OAYAAABi"
    "bHVlZnMBAAAAMQkAAABjZXBoX2ZzaWQkAAAAN2QwZjNhNTAtMTExMS00MjIyLTgzMzMtNDQ0NDU1NTU2NjY2GQAAAGNlcGhfdmVy"
    "c2lvbl93aGVuX2NyZWF0ZWRQAAAAY2VwaCB2ZXJzaW9uIDE2LjIuMTUgKDYxOGY0NDA4OTIwODk5MjFjM2U5NDRhOTkxMTIyZGRj"
    "NDRlNjA1MTYpIHBhY2lmaWMgKHN0YWJsZSkKAAAAY3JlYXRlZF9hdBsAAAAyMDI2LTExLTIyVDA4OjQxOjM0LjI3NjM3MVoKAAAA"
    "a3ZfYmFja2VuZAcAAAByb2Nrc2RiBQAAAG1hZ2ljFAAAAGNlcGggb3NkIHZvbHVtZSB2MDI2CQAAAG1rZnNfZG9uZQMAAAB5ZXMF"
    "AAAAcmVhZHkFAAAAcmVhZHkGAAAAd2hvYW1pAQAAADPuvNHs"
)


def label_block(owner: str, meta: dict[str, str], version: int = 2, described: str = "main") -> bytes:
    """The first block of a disk that is the OSD `owner`."""
    body = uuid.UUID(owner).bytes + struct.pack("<QII", 1 << 31, 1, 2) + _text(described)
    if version > 1:
        body += struct.pack("<I", len(meta))
        body += b"".join(_text(key) + _text(value) for key, value in sorted(meta.items()))
    head = f"bluestore block device\n{owner}\n".encode()
    label = head + struct.pack("<BBI", version, min(version, 3), len(body)) + body
    return with_checksum(label).ljust(LABEL_BYTES, b"\0")


def being_made(owner: str) -> bytes:
    """The first block of a disk that is to be the OSD `owner`, and does not say of which cluster."""
    return label_block(owner, {"kv_backend": "rocksdb"})


def with_checksum(label: bytes) -> bytes:
    """A label and its CRC-32C, bit by bit."""
    rest = 0xFFFFFFFF
    for byte in label:
        rest ^= byte
        for _ in range(8):
            rest = (rest >> 1) ^ (0x82F63B78 * (rest & 1))
    return label + struct.pack("<I", rest)


def label_by_ceph(path: Path, label: bytes = CEPH_LABEL) -> None:
    """Make the file begin as Ceph's disks do."""
    with path.open("r+b") as file:
        file.write(label)


def _text(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode()
