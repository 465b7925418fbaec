"""Files that stand for disks, and what may be on them."""

from __future__ import annotations

import os
import struct
import subprocess
import time
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path

from artesian.embedded.device import superblock
from artesian.embedded.device.disk import Disk as EngineDisk
from artesian.host.tools import ToolAnswer, run_tool

MIB = 1 << 20
SYSTEM_ID = "00112233aabbccdd"
DEVICE_ID = "0123456789abcdef"
_SECTOR = 512


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
