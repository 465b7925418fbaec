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

import struct
import uuid
from array import array
from collections.abc import Callable, Iterable
from typing import Self

from artesian.embedded.device import superblock as superblocks
from artesian.embedded.device.checksums import (
    EMPTY_TABLE,
    ZERO_BLOCK,
    digest,
    digests,
)
from artesian.embedded.device.disk import Buffer, Disk
from artesian.embedded.device.openings import Opening
from artesian.embedded.device.slots import ALLOCATED, OPEN
from artesian.embedded.device.space import Space
from artesian.embedded.errors import ForeignDevice, NoSpace
from artesian.embedded.wire import BLOCK_BYTES, BLOCKS_PER_CHUNK, CHUNK_BYTES, TABLE_BYTES

_ZEROS = bytes(BLOCK_BYTES)
_ENTRY = struct.Struct("<Q")


class DeviceStore(Space):
    """One device. Sequences and generations are explained in `artesian/embedded/sds/access.py`."""

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

    def forget_damage(self) -> None:
        """The device has been compared with other copies: nothing is missing any more."""
        self._slots.damaged = 0

    # --- closing chunks

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
