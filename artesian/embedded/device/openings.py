"""Chunks that are being marked as open on stable storage, so that requests need not wait for the disk.

An entry has to be durable before data of a closed chunk is overwritten. On a busy disk that takes long, so a
thread does it while other requests go on; until it is done the slot's entry belongs to the thread.
"""

from __future__ import annotations

from artesian.embedded.device.once import Once
from artesian.embedded.device.slots import SlotTable


class Opening:
    """Entries that are written together."""

    __slots__ = ("generations", "work")

    def __init__(self, slots: SlotTable, generations: dict[int, int]) -> None:
        self.generations = generations  # by slot
        self.work = Once(lambda: slots.write_open(generations))


class Openings:
    """The openings under way on one device."""

    def __init__(self, slots: SlotTable) -> None:
        self._slots = slots
        self._by_slot: dict[int, Opening] = {}

    def __contains__(self, slot: int) -> bool:
        return slot in self._by_slot

    def begin(self, generations: dict[int, int]) -> Opening:
        """Take these slots' entries; then `work.run` in a thread, then `end`."""
        opening = Opening(self._slots, generations)
        for slot in generations:
            self._by_slot[slot] = opening
        return opening

    def end(self, opening: Opening) -> None:
        """The thread is done, or has failed; may be called again."""
        for slot, generation in opening.generations.items():
            if self._by_slot.get(slot) is opening:
                del self._by_slot[slot]
                if opening.work.done:
                    self._slots.note_open(slot, generation)

    def settle(self, slot: int) -> None:
        """Whoever wants to change an entry now finishes its opening first, blocking. Raises DeviceIoError."""
        opening = self._by_slot.get(slot)
        if opening is not None:
            opening.work.run()
            self.end(opening)
