"""Chunks on a device: reading, writing, checksums, space, and what a crash leaves behind.

**Order of writes.** A chunk's entry says *open* on stable storage before data of a chunk that was closed is
overwritten. Data is written before its checksum. So after the death of this process
a block that does not match its checksum belongs to the one write that was under way; after a loss of power,
to writes since the last sync; and in both cases its chunk is open. A fresh slot's checksum table reads "all
zeros" on stable storage before the slot can be used, so blocks that were never written are zeros whatever
the slot held before. Freed slots are used again only after a sync, lest a freed entry that comes back after
a loss of power shows another chunk's data.

**Zeros.** Where a checksum says "zeros", the data on the disk is zeros too, except in chunks that were open
at an unclean stop, where that is restored before their first write. So if of a write to such a block only
the checksum reached the disk, what the block is accepted as is what it was.

**Blocks that do not match.** In a chunk that was open at an unclean stop such a block is *uncertain*: it may
be replaced by another copy's (`repair`), or accepted as it is (`bless`). Anywhere else it is bad, and can
only be repaired or overwritten as a whole. It is never returned.

Everything but `sync` in a thread of its own and `prefetch` is called from one thread.
"""

from __future__ import annotations

import heapq
import struct
import uuid
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from artesian.embedded.device import superblock as superblocks
from artesian.embedded.device.checksums import (
    EMPTY_TABLE,
    EMPTY_TABLE_BYTES,
    ZERO_BLOCK,
    digest,
    digests,
    seed_of,
)
from artesian.embedded.device.disk import Buffer, Disk
from artesian.embedded.device.once import Once
from artesian.embedded.device.openings import Opening, Openings
from artesian.embedded.device.slots import ALLOCATED, OPEN, SlotTable
from artesian.embedded.device.superblock import Superblock
from artesian.embedded.errors import BadBlock, ForeignDevice, NoSpace
from artesian.embedded.wire import BLOCK_BYTES, BLOCKS_PER_CHUNK, CHUNK_BYTES, TABLE_BYTES

CACHED_TABLES = 2048  # 2 KiB each
INITIALIZE_SLOTS = 512
_ZEROS = bytes(BLOCK_BYTES)
_ENTRY = struct.Struct("<Q")


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


@dataclass(slots=True)
class SyncToken:
    """What a sync that has begun will have made durable."""

    dirty: set[int]
    fresh: set[int]
    freed: list[int]


class DeviceStore:
    """One device. Sequences and generations are explained in `artesian/embedded/sds/access.py`."""

    def __init__(self, disk: Disk, superblock: Superblock) -> None:
        self._disk = disk
        self._superblock = superblock
        self._data_offset = superblock.data_offset
        self._tables_offset = superblock.tables_offset
        self._slots = SlotTable(disk, superblock.entries_offset, superblock.slot_count)
        self._index = self._slots.index
        self._openings = Openings(self._slots)
        self._flags = self._slots.flags
        self._generations = self._slots.generations
        self._tables: OrderedDict[int, tuple[array[int], int]] = OrderedDict()  # slot → checksums, seed
        self._free: list[int] = []  # a heap: low slots first, so that sparse files stay short
        self._freed: list[int] = []  # free after the next sync
        self._fresh: set[int] = set()  # allocated, but their entry is not known to be durable
        self._dirty: set[int] = set()  # written since the last sync began
        self._syncing: set[int] = set()  # written before a sync that has not ended yet
        self._sequences: dict[int, int] = {}  # open slots: the last write's sequence
        self._unverified: set[int] = set()  # open at an unclean stop: mismatches there are uncertain
        self._unzeroed: set[int] = set()  # open at an unclean stop: data under "zeros" may be something else
        self._emptied: set[int] = set()  # zeroed as a whole: given back when they are closed
        self._slots_by_volume: dict[int, int] = {}
        self._preparing: Once | None = None
        self.on_few_free: Callable[[], None] | None = None  # asks for `begin_preparing`
        self.allocation_limit = superblock.slot_count

    # --- making and opening

    @classmethod
    def format(
        cls, disk: Disk, system_id: str, pool_id: str, device_id: str, *, capacity_limit_bytes: int = 0
    ) -> Self:
        """Make an empty device. The caller has made sure that the disk may be taken."""
        size = disk.size_bytes
        if capacity_limit_bytes:
            size = min(size, capacity_limit_bytes)
        made = superblocks.plan(size, system_id, pool_id, device_id, str(uuid.uuid4())).with_(clean=False)
        disk.reserve(0, made.data_offset)
        disk.reserve(made.backup_offset, superblocks.SUPERBLOCK_BYTES)
        made.write(disk)
        return cls(disk, made)

    @classmethod
    def open(cls, disk: Disk, system_id: str, device_id: str) -> Self:
        """Open a device of ours. Raises ForeignDevice when it is not, DeviceIoError."""
        try:
            found = superblocks.find(disk)
            if found is None:
                raise ForeignDevice(f"{disk.path} has no superblock of this engine")
            if (found.system_id, found.device_id) != (system_id, device_id):
                raise ForeignDevice(
                    f"{disk.path} is device {found.device_id} of system {found.system_id}, not {device_id}"
                )
            store = cls(disk, found)
            store._load()
        except BaseException:
            disk.close()
            raise
        return store

    @classmethod
    def adopt_or_format(
        cls,
        disk: Disk,
        system_id: str,
        pool_id: str,
        device_id: str,
        *,
        capacity_limit_bytes: int = 0,
        takeover: bool = False,
    ) -> Self:
        """A new member: what was formatted for it before a crash is opened, an empty disk is formatted.

        Raises ForeignDevice, touching nothing, when the disk carries anything else. With `takeover` a
        device that belonged to this or another engine is taken; a foreign signature never is.
        """
        try:
            found = superblocks.find(disk)
            if found is not None and (found.system_id, found.device_id) == (system_id, device_id):
                return cls.open(disk, system_id, device_id)
            if found is not None and not takeover:
                raise ForeignDevice(f"{disk.path} is device {found.device_id} of system {found.system_id}")
            signature = disk.foreign_signature() if found is None else None
            if signature is not None:
                raise ForeignDevice(f"{disk.path} carries a {signature}")
            return cls.format(disk, system_id, pool_id, device_id, capacity_limit_bytes=capacity_limit_bytes)
        except BaseException:
            disk.close()
            raise

    def _load(self) -> None:
        self._slots.load(self._superblock.initialized_slots)
        self._free = [slot for slot in range(self._superblock.initialized_slots) if not self._flags[slot]]
        for key in self._index:
            volume = key >> 32
            self._slots_by_volume[volume] = self._slots_by_volume.get(volume, 0) + 1
        if not self._superblock.clean:
            self._unverified = set(self._slots.open_slots())
            self._unzeroed = set(self._unverified)
        self._superblock = self._superblock.with_(clean=False)
        self._superblock.write(self._disk)

    def close(self) -> None:
        """Clean stop."""
        try:
            self.sync()
            self._superblock.with_(clean=not self._unverified).write(self._disk)
        finally:
            self._disk.close()

    def release(self) -> None:
        """The device is no member any more: if it holds nothing, the disk is free for other uses."""
        if not self._index and not self.damaged:
            empty = bytes(superblocks.SUPERBLOCK_BYTES)
            self._disk.write_durable(0, empty)
            self._disk.write_durable(self._superblock.backup_offset, empty)
            self._disk.close()
        else:
            self.close()

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

    # --- writing

    def write(
        self,
        volume: int,
        chunk: int,
        offset: int,
        data: Buffer,
        generation: int,
        sequence: int,
        *,
        spare: bool = False,
        may_wait: bool = True,
    ) -> bool:
        """Write bytes anywhere in a chunk. Raises NoSpace, BadBlock, DeviceIoError.

        Part of a block is merged with what is there, which must match its checksum. `spare`: may use the
        share that is kept for healing. False, and nothing written, when the chunk would first have to be
        marked as open on stable storage, and `may_wait` is false: see `begin_opening`.
        """
        slot = self._index.get(volume << 32 | chunk)
        length = len(data)
        if (offset | length) & (BLOCK_BYTES - 1):
            offset, data = self._merge(volume, chunk, offset, data)
            length = len(data)
        if slot is None:
            slot = self._allocate(volume, chunk, generation, spare)
        elif self._flags[slot] != ALLOCATED | OPEN or generation > self._generations[slot]:
            if not may_wait and self._must_wait(slot):
                return False
            self._open(slot, generation)
        if self._unzeroed and slot in self._unzeroed:
            self._restore_zeros(slot)
        sums, seed = self._tables.get(slot) or self._table(slot)
        if slot in self._emptied:
            self._emptied.discard(slot)
        try:
            self._disk.write(self._data_offset + slot * CHUNK_BYTES + offset, data)
        except NoSpace:
            self._unverified.add(slot)  # a part of it may be there: such blocks are uncertain
            raise
        first = offset // BLOCK_BYTES
        if length == BLOCK_BYTES:
            value = sums[first] = digest(data, seed)
            self._disk.write(self._tables_offset + slot * TABLE_BYTES + first * 8, _ENTRY.pack(value))
        else:
            values = digests(data, seed)
            sums[first : first + len(values)] = values
            self._disk.write(self._tables_offset + slot * TABLE_BYTES + first * 8, values.tobytes())
        if sequence > self._sequences.get(slot, 0):
            self._sequences[slot] = sequence
        self._dirty.add(slot)
        return True

    def _merge(self, volume: int, chunk: int, offset: int, data: Buffer) -> tuple[int, bytearray]:
        """Whole blocks that contain the data, the rest as it is now."""
        start = offset // BLOCK_BYTES * BLOCK_BYTES
        end = -(-(offset + len(data)) // BLOCK_BYTES) * BLOCK_BYTES
        whole = bytearray(end - start)
        inner = offset - start
        if inner:
            head = self.read(volume, chunk, start, BLOCK_BYTES)
            assert head is not None
            whole[:BLOCK_BYTES] = head
        if (offset + len(data)) % BLOCK_BYTES and (end - start > BLOCK_BYTES or not inner):
            tail = self.read(volume, chunk, end - BLOCK_BYTES, BLOCK_BYTES)
            assert tail is not None
            whole[-BLOCK_BYTES:] = tail
        whole[inner : inner + len(data)] = data
        return start, whole

    def zero(
        self,
        volume: int,
        chunk: int,
        offset: int,
        length: int,
        generation: int,
        sequence: int,
        *,
        keep_allocated: bool = False,
        may_wait: bool = True,
    ) -> bool:
        """Make bytes read as zeros; a slot with nothing else in it is given back when its chunk is closed.

        Not at once: the chunk has to be known as open as long as another copy may not have been zeroed.
        With `keep_allocated` the chunk has a slot afterwards. Raises and answers as `write`.
        """
        slot = self._index.get(volume << 32 | chunk)
        if slot is None:
            if keep_allocated:
                self._sequences[self._allocate(volume, chunk, generation, False)] = sequence
            return True
        if not may_wait and self._must_wait(slot):
            return False
        end = offset + length
        first, last = -(-offset // BLOCK_BYTES), end // BLOCK_BYTES
        if first > last or (first == last and offset % BLOCK_BYTES and end % BLOCK_BYTES):
            return self.write(volume, chunk, offset, bytes(length), generation, sequence)
        if offset % BLOCK_BYTES:
            head = first * BLOCK_BYTES - offset
            self.write(volume, chunk, offset, bytes(head), generation, sequence)
        if end % BLOCK_BYTES:
            self.write(volume, chunk, last * BLOCK_BYTES, bytes(end % BLOCK_BYTES), generation, sequence)
        sums, _ = self._table(slot)
        if first == last:
            return True
        empties = not keep_allocated and self._empty_but(sums, first, last)
        if self._flags[slot] != ALLOCATED | OPEN or generation > self._generations[slot]:
            self._open(slot, generation)
        sums[first:last] = EMPTY_TABLE[first:last]
        self._disk.write(self._tables_offset + slot * TABLE_BYTES + first * 8, sums[first:last].tobytes())
        at = self._data_offset + slot * CHUNK_BYTES + first * BLOCK_BYTES
        self._disk.clear(at, (last - first) * BLOCK_BYTES)
        self._sequences[slot] = max(sequence, self._sequences.get(slot, 0))
        self._dirty.add(slot)
        if empties:
            self._emptied.add(slot)
        return True

    def _must_wait(self, slot: int) -> bool:
        """Whether the chunk has to be marked as open on stable storage before it is written.

        Not for a new generation of a chunk that is open: open chunks are compared whatever their generation,
        and when it is closed its entry is durable.
        """
        return self._flags[slot] != ALLOCATED | OPEN and slot not in self._fresh

    def begin_opening(self, chunks: Iterable[tuple[int, int, int]]) -> Opening:
        """Begin to mark chunks (volume, chunk, generation) as open: a thread does its `work`, then end it."""
        generations = {}
        for volume, chunk, generation in chunks:
            slot = self._index.get(volume << 32 | chunk)
            if slot is not None and slot not in self._openings and self._must_wait(slot):
                generations[slot] = max(generation, self._generations[slot])
        return self._openings.begin(generations)

    def end_opening(self, opening: Opening) -> None:
        """The work is done, or has failed."""
        self._openings.end(opening)

    def _restore_zeros(self, slot: int) -> None:
        """Clear what lies under "zeros" on the disk, and see to it that it stays so."""
        sums, _ = self._table(slot)
        base = self._data_offset + slot * CHUNK_BYTES
        data = self._disk.read(base, CHUNK_BYTES)
        dirty = False
        for block, value in enumerate(sums):
            if value == ZERO_BLOCK and data[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES] != _ZEROS:
                self._disk.write_durable(base + block * BLOCK_BYTES, _ZEROS)
                dirty = True
        if dirty:
            self._dirty.add(slot)
        self._unzeroed.discard(slot)

    def _empty_but(self, sums: array[int], first: int, last: int) -> bool:
        return sums[:first] == EMPTY_TABLE[:first] and sums[last:] == EMPTY_TABLE[last:]

    def allocate(self, volume: int, chunk: int, generation: int, *, spare: bool = False) -> bool:
        """Give a chunk its slot, full of zeros; False when it has one. Raises NoSpace."""
        if volume << 32 | chunk in self._index:
            return False
        self._allocate(volume, chunk, generation, spare, is_open=False)
        return True

    def _allocate(
        self, volume: int, chunk: int, generation: int, spare: bool, *, is_open: bool = True
    ) -> int:
        limit = self.slot_count if spare else self.allocation_limit
        if len(self._index) >= limit:
            raise NoSpace("no slot is free on the device")
        if not self._free:
            self._find_slots()
        slot = self._free[0]
        self._slots.allocate(slot, volume << 32 | chunk, generation, is_open=is_open)
        heapq.heappop(self._free)
        if self.on_few_free is not None and len(self._free) < INITIALIZE_SLOTS:
            self.on_few_free()
        self._tables[slot] = (array("Q", EMPTY_TABLE), seed_of(volume, chunk))
        self._fresh.add(slot)
        self._slots_by_volume[volume] = self._slots_by_volume.get(volume, 0) + 1
        self._trim_cache()
        return slot

    def _find_slots(self) -> None:
        """Prepare slots that were never used; else wait for freed ones to be usable."""
        preparing = self._preparing or self.begin_preparing()
        if preparing is not None:
            preparing.run()
            self.end_preparing(preparing)
        elif self._freed:
            self.sync()
        if not self._free:
            raise NoSpace("no slot is free on the device")

    def begin_preparing(self) -> Once | None:
        """Begin to prepare more slots when few are free; None when none have to be, or it has begun.

        To be run in a thread, as it syncs the disk; then `end_preparing`.
        """
        start = self._superblock.initialized_slots
        count = min(INITIALIZE_SLOTS, self.slot_count - start)
        if not count or self._preparing is not None or len(self._free) >= INITIALIZE_SLOTS:
            return None
        self._preparing = Once(lambda: self._prepare(start, count))
        return self._preparing

    def _prepare(self, start: int, count: int) -> None:
        self._disk.clear(self._data_offset + start * CHUNK_BYTES, count * CHUNK_BYTES)
        self._slots.initialize(start, count)
        tables = EMPTY_TABLE_BYTES * count
        self._disk.write(self._tables_offset + start * TABLE_BYTES, tables, piece_bytes=BLOCK_BYTES)
        self._disk.sync()
        self._superblock.with_(initialized_slots=start + count).write(self._disk)

    def end_preparing(self, preparing: Once) -> None:
        """The slots can be used now, if the work was done; may be called again."""
        if self._preparing is not preparing:
            return
        self._preparing = None
        if preparing.done:
            start = self._superblock.initialized_slots
            end = min(start + INITIALIZE_SLOTS, self.slot_count)
            self._superblock = self._superblock.with_(initialized_slots=end)
            self._free.extend(range(start, end))  # still a heap: they are higher than all before

    def _open(self, slot: int, generation: int) -> None:
        """Say that the chunk is being written, on stable storage, before it is."""
        self._openings.settle(slot)
        generation = max(generation, self._generations[slot])
        self._slots.set(slot, generation, ALLOCATED | OPEN, durable=self._must_wait(slot))

    # --- healing

    def repair(self, volume: int, chunk: int, block: int, data: Buffer) -> bool:
        """Replace a block by another copy's, only if it does not match its checksum now."""
        slot = self._index.get(volume << 32 | chunk)
        if slot is None or self._block_is_good(slot, block):
            return False
        self.write(
            volume, chunk, block * BLOCK_BYTES, data, self._generations[slot], self._sequences.get(slot, 0)
        )
        return True

    def bless(self, volume: int, chunk: int, block: int) -> bool:
        """Accept a block as it is, only if it is uncertain since an unclean stop."""
        slot = self._index.get(volume << 32 | chunk)
        if slot is None or slot not in self._unverified or self._block_is_good(slot, block):
            return False
        sums, seed = self._table(slot)
        at = self._data_offset + slot * CHUNK_BYTES + block * BLOCK_BYTES
        value = sums[block] = digest(self._disk.read(at, BLOCK_BYTES), seed)
        self._disk.write(self._tables_offset + slot * TABLE_BYTES + block * 8, _ENTRY.pack(value))
        self._dirty.add(slot)
        return True

    def _block_is_good(self, slot: int, block: int) -> bool:
        sums, seed = self._table(slot)
        if sums[block] == ZERO_BLOCK:
            return True
        at = self._data_offset + slot * CHUNK_BYTES + block * BLOCK_BYTES
        return digest(self._disk.read(at, BLOCK_BYTES), seed) == sums[block]

    def install(
        self,
        volume: int,
        chunk: int,
        generation: int,
        checksums: bytes,
        blocks: list[tuple[int, memoryview]],
        *,
        open_sequence: int | None = None,
    ) -> None:
        """Make this chunk equal to another copy's: its checksums, and the data of blocks that differ.

        May use the spare share. `open_sequence`: the other copy is open, with this last sequence.
        """
        slot = self._index.get(volume << 32 | chunk)
        if slot is not None:
            self._openings.settle(slot)
        if slot is None:
            slot = self._allocate(volume, chunk, generation, True)
        elif self._flags[slot] != ALLOCATED | OPEN:
            self._open(slot, self._generations[slot])
        base = self._data_offset + slot * CHUNK_BYTES
        if len(blocks) == BLOCKS_PER_CHUNK:
            self._disk.write(base, b"".join(data for _, data in blocks))
        else:
            for block, data in blocks:
                self._disk.write(base + block * BLOCK_BYTES, data)
        sums, _ = self._table(slot)
        for block, value in enumerate(array("Q", checksums)):
            if value == ZERO_BLOCK and sums[block] != ZERO_BLOCK:
                self._disk.write(base + block * BLOCK_BYTES, _ZEROS)
            sums[block] = value
        self._disk.write(self._tables_offset + slot * TABLE_BYTES, checksums)
        # It stays open here until all is durable: an unfinished copy must not look like a good one.
        self._slots.set(slot, generation, ALLOCATED | OPEN)
        self._sequences[slot] = open_sequence if open_sequence is not None else 0
        self._unverified.discard(slot)
        self._emptied.discard(slot)
        self._dirty.add(slot)

    def drop(self, volume: int, chunk: int) -> None:
        """Give a chunk's slot back."""
        slot = self._index.get(volume << 32 | chunk)
        if slot is None:
            return
        self._openings.settle(slot)
        self._disk.write(self._tables_offset + slot * TABLE_BYTES, EMPTY_TABLE_BYTES)
        self._disk.clear(self._data_offset + slot * CHUNK_BYTES, CHUNK_BYTES)
        self._slots.free(slot)
        self._tables.pop(slot, None)
        self._sequences.pop(slot, None)
        self._fresh.discard(slot)
        self._dirty.discard(slot)
        self._unverified.discard(slot)
        self._unzeroed.discard(slot)
        self._emptied.discard(slot)
        self._freed.append(slot)
        self._slots_by_volume[volume] -= 1

    def forget_damage(self) -> None:
        """The device has been compared with other copies: nothing is missing any more."""
        self._slots.damaged = 0

    # --- stable storage

    def begin_sync(self) -> SyncToken:
        """Note what the sync that comes next will cover; called where writes are made."""
        token = SyncToken(self._dirty, self._fresh, self._freed)
        self._dirty, self._fresh, self._freed = set(), set(), []
        self._fresh |= token.fresh  # not durable yet
        self._syncing |= token.dirty
        return token

    def sync_disk(self) -> None:
        """Blocking; may run in a thread while writes go on."""
        self._disk.sync()

    def end_sync(self, token: SyncToken) -> None:
        """The disk has been synced since `begin_sync`."""
        self._fresh -= token.fresh
        self._syncing -= token.dirty
        for slot in token.freed:
            heapq.heappush(self._free, slot)

    def abandon_sync(self, token: SyncToken) -> None:
        """The sync failed: nothing of it is durable."""
        self._dirty |= token.dirty
        self._syncing -= token.dirty
        self._freed.extend(token.freed)

    def sync(self) -> None:
        """Everything written until now is on stable storage. Blocking."""
        token = self.begin_sync()
        try:
            self.sync_disk()
        except BaseException:
            self.abandon_sync(token)
            raise
        self.end_sync(token)

    def can_close(self, volume: int, safe_sequence: int) -> bool:
        """Whether `close_chunks` would find something to close, were the device synced."""
        keys = self._slots.keys
        return any(
            keys[slot] >> 32 == volume and self._sequences.get(slot, 0) <= safe_sequence
            for slot in self._slots.open_slots()
        )

    def close_chunks(
        self, volume: int, safe_sequence: int, generation_of: Callable[[int], int] | None = None
    ) -> int:
        """Close the volume's chunks whose writes are complete everywhere and durable here; how many.

        `generation_of` tells the generation of a chunk's slice while this copy is in sync, else 0. A chunk
        that is closed after the set of copies has changed takes that generation: it must not look like the
        chunk of a copy that was away. Chunks of a copy that is not in sync stay open. Those that were
        zeroed as a whole are given back now.
        """
        keys = self._slots.keys
        closed = 0
        for slot in list(self._slots.open_slots()):
            if keys[slot] >> 32 != volume or self._sequences.get(slot, 0) > safe_sequence:
                continue
            if slot in self._dirty or slot in self._syncing or slot in self._fresh:
                continue
            if slot in self._openings:
                continue
            chunk = keys[slot] & 0xFFFFFFFF
            generation = self._generations[slot]
            if generation_of is not None:
                current = generation_of(chunk)
                if not current:
                    continue
                generation = max(generation, current)
            if slot in self._unverified:
                if self._mismatches(slot):
                    continue
                self._unverified.discard(slot)
            if slot in self._emptied:
                self.drop(volume, chunk)
                closed += 1
                continue
            self._slots.set(slot, generation, ALLOCATED)
            self._sequences.pop(slot, None)
            closed += 1
        return closed

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
