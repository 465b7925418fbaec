"""What a device says of itself: the first 4 KiB, with a copy at the end."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import xxhash

from artesian.embedded.device.disk import Disk
from artesian.embedded.errors import DeviceError, ForeignDevice
from artesian.embedded.wire import CHUNK_BYTES, TABLE_BYTES

MAGIC = b"ARTESIANDEV\x00"
FORMAT_VERSION = 1
SUPERBLOCK_BYTES = 4096
ENTRY_BYTES = 32
_FORM = struct.Struct("<12sI16s16s16s36sQQQB")
_CHECKSUM = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Superblock:
    """Identity and layout. `initialized_slots`: entries and checksum tables below this one are valid."""

    system_id: str
    pool_id: str
    device_id: str
    uuid: str
    size_bytes: int
    slot_count: int
    initialized_slots: int = 0
    clean: bool = True

    @property
    def entries_offset(self) -> int:
        return SUPERBLOCK_BYTES

    @property
    def tables_offset(self) -> int:
        return _align(self.entries_offset + self.slot_count * ENTRY_BYTES, 4096)

    @property
    def data_offset(self) -> int:
        return _align(self.tables_offset + self.slot_count * TABLE_BYTES, CHUNK_BYTES)

    @property
    def backup_offset(self) -> int:
        return self.size_bytes // 4096 * 4096 - SUPERBLOCK_BYTES

    def pack(self) -> bytes:
        """4,096 bytes."""
        body = _FORM.pack(
            MAGIC, FORMAT_VERSION, self.system_id.encode(), self.pool_id.encode(), self.device_id.encode(),
            self.uuid.encode(), self.size_bytes, self.slot_count, self.initialized_slots, self.clean,
        )  # fmt: skip
        return (body + _CHECKSUM.pack(xxhash.xxh3_64_intdigest(body))).ljust(SUPERBLOCK_BYTES, b"\0")

    def write(self, disk: Disk) -> None:
        """Both copies, durably; one of them is whole at any moment."""
        data = self.pack()
        disk.write_durable(0, data)
        disk.write_durable(self.backup_offset, data)

    def with_(self, **changes: object) -> Superblock:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


def _align(value: int, grain: int) -> int:
    return -(-value // grain) * grain


def plan(size_bytes: int, system_id: str, pool_id: str, device_id: str, uuid: str) -> Superblock:
    """The layout of a new device of this size. Raises DeviceError when not even one chunk fits."""
    slots = size_bytes // CHUNK_BYTES
    while slots > 0:
        superblock = Superblock(system_id, pool_id, device_id, uuid, size_bytes, slots)
        end = superblock.data_offset + slots * CHUNK_BYTES
        if end <= superblock.backup_offset:
            return superblock
        slots -= max(1, (end - superblock.backup_offset) // CHUNK_BYTES)
    raise DeviceError(f"{size_bytes} bytes are too small for a device: at least 3 MiB are needed")


def unpack(data: bytes) -> Superblock | None:
    """The superblock in these bytes; None when there is none of ours, or it is damaged."""
    body = data[: _FORM.size]
    (checksum,) = _CHECKSUM.unpack_from(data, _FORM.size)
    if not body.startswith(MAGIC) or checksum != xxhash.xxh3_64_intdigest(body):
        return None
    _, version, system, pool, device, uuid, size, slots, initialized, clean = _FORM.unpack(body)
    if version != FORMAT_VERSION:
        raise ForeignDevice(f"the device has format {version}, this program knows {FORMAT_VERSION}")
    return Superblock(
        system.decode(), pool.decode(), device.decode(), uuid.decode(), size, slots, initialized, bool(clean)
    )


def find(disk: Disk) -> Superblock | None:
    """The device's superblock, from the start or, if that one is damaged, from the end.

    Of two whole ones that differ (power was lost between their writing) the one written first counts.
    """
    if disk.size_bytes < 2 * SUPERBLOCK_BYTES:
        return None
    first = unpack(disk.read(0, SUPERBLOCK_BYTES))
    if first is not None:
        return first
    return unpack(disk.read(disk.size_bytes // 4096 * 4096 - SUPERBLOCK_BYTES, SUPERBLOCK_BYTES))
