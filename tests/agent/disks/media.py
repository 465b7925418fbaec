"""Files that stand for disks, and what may be on them."""

from __future__ import annotations

import base64
import os
import struct
import subprocess
import time
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path

from artesian.agent.disks.tools import ToolAnswer, run_tool
from artesian.embedded.device import superblock
from artesian.embedded.device.disk import Disk as EngineDisk

MIB = 1 << 20
SYSTEM_ID = "00112233aabbccdd"
DEVICE_ID = "0123456789abcdef"
_SECTOR = 512
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


class CountingRun:
    """Runs tools, and remembers which."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def __call__(self, command: Sequence[str]) -> ToolAnswer:
        self.commands.append(command[0])
        return run_tool(command)


def sparse_file(path: Path, size_bytes: int = 8 * MIB) -> Path:
    with path.open("wb") as file:
        file.truncate(size_bytes)
    return path


def make_ext4(path: Path) -> None:
    subprocess.run(["mkfs.ext4", "-q", "-F", str(path)], check=True, capture_output=True)


def label_by_engine(path: Path) -> str:
    """Write a superblock of ours as the engine does; its UUID."""
    name = str(uuid.uuid4())
    disk = EngineDisk.open(str(path))
    try:
        superblock.plan(disk.size_bytes, SYSTEM_ID, "0" * 16, DEVICE_ID, name).write(disk)
    finally:
        os.close(disk.descriptor)
    return name


def label_by_ceph(path: Path, label: bytes = CEPH_LABEL) -> None:
    """Make the file begin as Ceph's disks do."""
    with path.open("r+b") as file:
        file.write(label)


def ceph_label(osd_uuid: str, fsid: str | None, *, version: int = 2, described: str = "main") -> bytes:
    """A label as Ceph encodes it; `fsid` None: of an OSD that is being made."""
    said = {"kv_backend": "rocksdb", **({"ceph_fsid": fsid} if fsid is not None else {})}
    words = b"".join(_word(key) + _word(value) for key, value in said.items())
    body = uuid.UUID(osd_uuid).bytes + struct.pack("<QII", 2 << 30, 1, 2) + _word(described)
    body += struct.pack("<I", len(said)) + words
    text = f"bluestore block device\n{osd_uuid}\n".encode()
    return with_checksum(text + struct.pack("<BBI", version, min(version, 3), len(body)) + body)


def with_checksum(label: bytes) -> bytes:
    """A label and its CRC-32C, bit by bit."""
    rest = 0xFFFFFFFF
    for byte in label:
        rest ^= byte
        for _ in range(8):
            rest = (rest >> 1) ^ (0x82F63B78 * (rest & 1))
    return label + struct.pack("<I", rest)


def _word(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode()


def write_gpt(path: Path) -> None:
    """An empty GUID partition table, as sfdisk makes it, with its protective MBR."""
    sectors = path.stat().st_size // _SECTOR
    entries = bytes(128 * 128)
    protective = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, sectors - 1)
    with path.open("r+b") as file:
        file.seek(446)
        file.write(protective.ljust(64, b"\0") + b"\x55\xaa")
        for here, there, table in ((1, sectors - 1, 2), (sectors - 1, 1, sectors - 33)):
            form = "<8sIIIIQQQQ16sQIII"
            fields = (here, there, 34, sectors - 34, uuid.UUID(int=7).bytes_le, table, 128, 128)
            header = struct.pack(form, b"EFI PART", 0x10000, 92, 0, 0, *fields, zlib.crc32(entries))
            checksum = struct.pack("<I", zlib.crc32(header))
            file.seek(here * _SECTOR)
            file.write(header[:16] + checksum + header[20:])
            file.seek(table * _SECTOR)
            file.write(entries)


def let_times_settle() -> None:
    """After this, the times of a file show every later write."""
    time.sleep(0.05)
