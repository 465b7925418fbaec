"""The slot table: which chunk each slot of a device holds.

An entry is 32 bytes: volume number u64, chunk u32, generation u32, flags u32, serial u32, checksum u64.
Entries below the superblock's `initialized_slots` always carry a valid checksum, also when they are free, so
that an entry that was wiped out is noticed. Of two entries that claim one chunk (a slot was freed and the
chunk got another, and only the second reached the disk before the power went) the higher serial is the newer.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from itertools import pairwise

import xxhash

from artesian.embedded.device.disk import Disk
from artesian.embedded.device.superblock import ENTRY_BYTES

ALLOCATED = 1
OPEN = 2
_BODY = struct.Struct("<QIIII")
_CHECKSUM = struct.Struct("<Q")
_READ_ENTRIES = 8192
_PAGE_ENTRIES = 4096 // ENTRY_BYTES


def pack_entry(slot: int, key: int, generation: int, flags: int, serial: int) -> bytes:
    """The 32 bytes of one entry; `key` is volume number << 32 | chunk."""
    body = _BODY.pack(key >> 32, key & 0xFFFFFFFF, generation, flags, serial & 0xFFFFFFFF)
    return body + _CHECKSUM.pack(xxhash.xxh3_64_intdigest(body, slot))


class SlotTable:
    """The entries in memory, and on the disk at `offset`."""

    def __init__(self, disk: Disk, offset: int, slot_count: int) -> None:
        self._disk = disk
        self._offset = offset
        self.slot_count = slot_count
        self.keys = array("Q", bytes(8 * slot_count))
        self.generations = array("I", bytes(4 * slot_count))
        self.flags = bytearray(slot_count)
        self.index: dict[int, int] = {}  # key → slot
        self.damaged = 0  # entries that cannot be believed
        self._serial = 0

    def load(self, initialized: int) -> None:
        """Read all entries; damaged ones count as free, and `damaged` says how many there are."""
        serials: dict[int, int] = {}
        for start in range(0, initialized, _READ_ENTRIES):
            count = min(_READ_ENTRIES, initialized - start)
            data = self._disk.read(self._offset + start * ENTRY_BYTES, count * ENTRY_BYTES)
            for slot, fields in enumerate(_BODY_AND_CHECKSUM.iter_unpack(data), start):
                volume, chunk, generation, flags, serial, checksum = fields
                at = (slot - start) * ENTRY_BYTES
                if checksum != xxhash.xxh3_64_intdigest(data[at : at + _BODY.size], slot):
                    self.damaged += 1
                    continue
                self._serial = max(self._serial, serial)
                if flags & ALLOCATED:
                    self._take(slot, volume << 32 | chunk, generation, flags, serial, serials)

    def _take(
        self, slot: int, key: int, generation: int, flags: int, serial: int, serials: dict[int, int]
    ) -> None:
        other = self.index.get(key)
        if other is not None:
            self.damaged += 1  # one of the two is stale: the device has to be compared
            if serials[key] > serial:
                return
            self.flags[other] = 0
        self.index[key] = slot
        self.keys[slot] = key
        self.generations[slot] = generation
        self.flags[slot] = flags
        serials[key] = serial

    def allocate(self, slot: int, key: int, generation: int, *, is_open: bool) -> None:
        """Give a free slot to a chunk."""
        self._serial += 1
        self.index[key] = slot
        self.keys[slot] = key
        self.set(slot, generation, ALLOCATED | (OPEN if is_open else 0))

    def set(self, slot: int, generation: int, flags: int, *, durable: bool = False) -> None:
        """Change an allocated slot's generation and flags."""
        entry = pack_entry(slot, self.keys[slot], generation, flags, self._serial)
        write = self._disk.write_durable if durable else self._disk.write
        write(self._offset + slot * ENTRY_BYTES, entry)
        self.generations[slot] = generation
        self.flags[slot] = flags

    def write_open(self, generations: dict[int, int]) -> None:
        """Write entries that say "open", durably, of slots (→ generation) that nobody else changes meanwhile.

        For a thread: what memory says of them stays as it is. One durable write for each page of entries.
        """
        for slot, following in pairwise([*sorted(generations), None]):
            assert slot is not None
            entry = pack_entry(slot, self.keys[slot], generations[slot], ALLOCATED | OPEN, self._serial)
            same_page = following is not None and following // _PAGE_ENTRIES == slot // _PAGE_ENTRIES
            write = self._disk.write if same_page else self._disk.write_durable
            write(self._offset + slot * ENTRY_BYTES, entry)

    def note_open(self, slot: int, generation: int) -> None:
        """The entry says "open" on the disk now."""
        self.generations[slot] = generation
        self.flags[slot] = ALLOCATED | OPEN

    def free(self, slot: int) -> None:
        """The slot holds nothing any more."""
        self._disk.write(self._offset + slot * ENTRY_BYTES, pack_entry(slot, 0, 0, 0, self._serial))
        self.index.pop(self.keys[slot], None)
        self.flags[slot] = 0
        self.keys[slot] = 0
        self.generations[slot] = 0

    def initialize(self, start: int, count: int) -> None:
        """Write free entries for slots that have never been used."""
        data = b"".join(pack_entry(slot, 0, 0, 0, 0) for slot in range(start, start + count))
        self._disk.write(self._offset + start * ENTRY_BYTES, data)

    def open_slots(self) -> Iterator[int]:
        """Slots whose chunk is open."""
        flags = self.flags
        at = flags.find(ALLOCATED | OPEN)
        while at >= 0:
            yield at
            at = flags.find(ALLOCATED | OPEN, at + 1)


_BODY_AND_CHECKSUM = struct.Struct("<QIIIIQ")
