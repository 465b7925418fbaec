"""Slots of a device that are free, taken, and given back, and what is on stable storage of them."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable
from dataclasses import dataclass

from artesian.embedded.device.checksums import (
    EMPTY_TABLE,
    EMPTY_TABLE_BYTES,
    seed_of,
)
from artesian.embedded.device.chunks import Chunks
from artesian.embedded.device.disk import Disk
from artesian.embedded.device.once import Once
from artesian.embedded.device.openings import Openings
from artesian.embedded.device.superblock import Superblock
from artesian.embedded.errors import NoSpace
from artesian.embedded.wire import BLOCK_BYTES, CHUNK_BYTES, TABLE_BYTES

INITIALIZE_SLOTS = 512


@dataclass(slots=True)
class SyncToken:
    """What a sync that has begun will have made durable."""

    dirty: set[int]
    fresh: set[int]
    freed: list[int]


class Space(Chunks):
    """The space of one device."""

    def __init__(self, disk: Disk, superblock: Superblock) -> None:
        super().__init__(disk, superblock)
        self._openings = Openings(self._slots)
        self._free: list[int] = []  # a heap: low slots first, so that sparse files stay short
        self._freed: list[int] = []  # free after the next sync
        self._fresh: set[int] = set()  # allocated, but their entry is not known to be durable
        self._dirty: set[int] = set()  # written since the last sync began
        self._syncing: set[int] = set()  # written before a sync that has not ended yet
        self._emptied: set[int] = set()  # zeroed as a whole: given back when they are closed
        self._preparing: Once | None = None
        self.on_few_free: Callable[[], None] | None = None  # asks for `begin_preparing`
        self.allocation_limit = superblock.slot_count

    # --- taking slots

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
        self._fresh = self._fresh - token.fresh  # anew: a set that was large once stays large in memory
        self._syncing = self._syncing - token.dirty
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
