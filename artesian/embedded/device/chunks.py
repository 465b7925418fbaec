"""What a device holds, and reading it: the lowest layer of what `store.py` explains as a whole."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from artesian.embedded.device.checksums import (
    ZERO_BLOCK,
    digest,
    digests,
    seed_of,
)
from artesian.embedded.device.disk import Buffer, Disk
from artesian.embedded.device.slots import ALLOCATED, OPEN, SlotTable
from artesian.embedded.device.superblock import Superblock
from artesian.embedded.errors import BadBlock
from artesian.embedded.wire import BLOCK_BYTES, BLOCKS_PER_CHUNK, CHUNK_BYTES, TABLE_BYTES

CACHED_TABLES = 2048  # 2 KiB each
_ZEROS = bytes(BLOCK_BYTES)


@dataclass(frozen=True, slots=True)
class ChunkInfo:
    """A chunk that the device holds."""

    volume: int
    chunk: int
    generation: int
    open: bool


@dataclass(frozen=True, slots=True)
class ChunkTable:
    """A chunk's checksums (256 u64, little-endian) and the blocks known not to match theirs."""

    generation: int
    open: bool
    checksums: bytes
    bad: list[int]


class Chunks:
    """The chunks of one device."""

    def __init__(self, disk: Disk, superblock: Superblock) -> None:
        self._disk = disk
        self._superblock = superblock
        self._data_offset = superblock.data_offset
        self._tables_offset = superblock.tables_offset
        self._slots = SlotTable(disk, superblock.entries_offset, superblock.slot_count)
        self._index = self._slots.index
        self._flags = self._slots.flags
        self._generations = self._slots.generations
        self._tables: OrderedDict[int, tuple[array[int], int]] = OrderedDict()  # slot → checksums, seed
        self._sequences: dict[int, int] = {}  # open slots: the last write's sequence
        self._unverified: set[int] = set()  # open at an unclean stop: mismatches there are uncertain
        self._unzeroed: set[int] = set()  # open at an unclean stop: data under "zeros" may be something else
        self._slots_by_volume: dict[int, int] = {}

    # --- seeing

    @property
    def uuid(self) -> str:
        return self._superblock.uuid

    @property
    def slot_count(self) -> int:
        return self._superblock.slot_count

    @property
    def used_slots(self) -> int:
        return len(self._index)

    @property
    def damaged(self) -> bool:
        """Entries were unreadable: chunks may be missing until the device has been compared."""
        return self._slots.damaged > 0

    @property
    def open_chunks(self) -> int:
        return self._flags.count(ALLOCATED | OPEN)

    def volume_slots(self) -> dict[int, int]:
        """Slots by volume number."""
        return {volume: count for volume, count in self._slots_by_volume.items() if count}

    def info(self, volume: int, chunk: int) -> ChunkInfo | None:
        """The chunk, if the device holds it."""
        slot = self._index.get(volume << 32 | chunk)
        if slot is None:
            return None
        return ChunkInfo(volume, chunk, self._generations[slot], bool(self._flags[slot] & OPEN))

    def chunks(self) -> Iterator[ChunkInfo]:
        """Every chunk that the device holds."""
        for key, slot in list(self._index.items()):
            is_open = bool(self._flags[slot] & OPEN)
            yield ChunkInfo(key >> 32, key & 0xFFFFFFFF, self._generations[slot], is_open)

    def open_chunks_of(self, volume: int) -> list[int]:
        """The volume's open chunks."""
        keys = self._slots.keys
        return [keys[slot] & 0xFFFFFFFF for slot in self._slots.open_slots() if keys[slot] >> 32 == volume]

    def last_sequence(self, volume: int, chunk: int) -> int:
        """The sequence of the last write since the chunk was opened; 0 when it is closed or absent."""
        slot = self._index.get(volume << 32 | chunk)
        return self._sequences.get(slot, 0) if slot is not None else 0

    def table(self, volume: int, chunk: int, *, verify: bool = False) -> ChunkTable | None:
        """The chunk's checksums; None when it is absent. With `verify` all its data is read."""
        slot = self._index.get(volume << 32 | chunk)
        if slot is None:
            return None
        sums, _ = self._table(slot)
        bad = self._mismatches(slot) if verify or slot in self._unverified else []
        return ChunkTable(self._generations[slot], bool(self._flags[slot] & OPEN), sums.tobytes(), bad)

    def verify(self, volume: int, chunk: int) -> list[int]:
        """The blocks of a chunk that do not match their checksums."""
        slot = self._index.get(volume << 32 | chunk)
        return self._mismatches(slot) if slot is not None else []

    def _mismatches(self, slot: int) -> list[int]:
        sums, seed = self._table(slot)
        found = digests(self._disk.read(self._data_offset + slot * CHUNK_BYTES, CHUNK_BYTES), seed)
        return [
            block
            for block in range(BLOCKS_PER_CHUNK)
            if found[block] != sums[block] and sums[block] != ZERO_BLOCK
        ]

    # --- reading

    def read(
        self,
        volume: int,
        chunk: int,
        offset: int,
        length: int,
        *,
        cached_only: bool = False,
        into: memoryview | None = None,
    ) -> Buffer | None:
        """Bytes of a chunk; zeros where nothing was written.

        None when `cached_only` and the disk would have to be asked. With `cached_only` they may be put `into`
        memory of this length, if that saves a copy. Raises BadBlock, DeviceIoError.
        """
        slot = self._index.get(volume << 32 | chunk)
        if slot is None:
            return _ZEROS if length == BLOCK_BYTES else bytes(length)
        if (offset | length) & (BLOCK_BYTES - 1):
            return self._read_partial(volume, chunk, offset, length, cached_only)
        sums, seed = self._tables.get(slot) or self._table(slot)
        first = offset // BLOCK_BYTES
        if length == BLOCK_BYTES and sums[first] == ZERO_BLOCK:
            return _ZEROS
        at = self._data_offset + slot * CHUNK_BYTES + offset
        data = self._disk.read_cached(at, length, into) if cached_only else self._disk.read(at, length)
        if data is None:
            return None
        if length == BLOCK_BYTES:
            if digest(data, seed) == sums[first]:
                return data
            raise BadBlock([first])
        expected = sums[first : first + length // BLOCK_BYTES]
        found = digests(data, seed)
        if found == expected:
            return data
        return self._with_zeros(bytearray(data), first, expected, found)

    def _with_zeros(self, data: bytearray, first: int, expected: array[int], found: array[int]) -> bytearray:
        """Blocks that were never written read as zeros; others that do not match are bad."""
        bad = []
        for n, (want, have) in enumerate(zip(expected, found, strict=True)):
            if want == ZERO_BLOCK:
                data[n * BLOCK_BYTES : (n + 1) * BLOCK_BYTES] = _ZEROS
            elif want != have:
                bad.append(first + n)
        if bad:
            raise BadBlock(bad)
        return data

    def _read_partial(
        self, volume: int, chunk: int, offset: int, length: int, cached_only: bool
    ) -> memoryview | None:
        start = offset // BLOCK_BYTES * BLOCK_BYTES
        end = -(-(offset + length) // BLOCK_BYTES) * BLOCK_BYTES
        data = self.read(volume, chunk, start, end - start, cached_only=cached_only)
        return None if data is None else memoryview(data)[offset - start : offset - start + length]

    def read_unverified(self, volume: int, chunk: int, blocks: list[int]) -> list[bytes]:
        """Blocks as they are on the disk, for a copy that carries their checksums along."""
        slot = self._index[volume << 32 | chunk]
        base = self._data_offset + slot * CHUNK_BYTES
        if len(blocks) == BLOCKS_PER_CHUNK:
            return [self._disk.read(base, CHUNK_BYTES)]
        return [self._disk.read(base + block * BLOCK_BYTES, BLOCK_BYTES) for block in blocks]

    def prefetch(self, volume: int, chunk: int, offset: int, length: int) -> None:
        """Bring bytes into the page cache. Blocking, for a thread; takes nothing for granted."""
        slot = self._index.get(volume << 32 | chunk)
        if slot is not None:
            self._disk.read(self._data_offset + slot * CHUNK_BYTES + offset, length)

    # --- checksum tables

    def _table(self, slot: int) -> tuple[array[int], int]:
        found = self._tables.get(slot)
        if found is not None:
            return found
        sums = array("Q", self._disk.read(self._tables_offset + slot * TABLE_BYTES, TABLE_BYTES))
        key = self._slots.keys[slot]
        found = self._tables[slot] = (sums, seed_of(key >> 32, key & 0xFFFFFFFF))
        self._trim_cache()
        return found

    def _trim_cache(self) -> None:
        while len(self._tables) > CACHED_TABLES:
            self._tables.popitem(last=False)
