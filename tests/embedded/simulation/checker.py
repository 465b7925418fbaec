"""Knows every acknowledged write, and says when a volume shows something it must not.

Every 4 KiB block is written with contents that name the write. For each block the checker keeps the set of
versions that a read may show:

* a write that begins adds its version; a write that is acknowledged leaves only its own;
* a write that failed or was cut off stays possible beside what was there, until a read decides: from then on
  the block must keep showing what that read saw;
* after a loss of power everything written since the last completed flush is possible again.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

BLOCK_BYTES = 4096
ZERO = 0
_STAMP = struct.Struct("<QQ")


def contents(block: int, version: int) -> bytes:
    """The 4 KiB that version `version` of a block consists of; version 0 is zeros."""
    if version == ZERO:
        return bytes(BLOCK_BYTES)
    return (_STAMP.pack(block, version) * (BLOCK_BYTES // _STAMP.size))[:BLOCK_BYTES]


def version_of(block: int, data: bytes) -> int:
    """Which version these bytes are. Raises AssertionError when they are none, or those of another block."""
    if data == bytes(BLOCK_BYTES):
        return ZERO
    seen_block, version = _STAMP.unpack_from(data)
    assert data == contents(seen_block, version), (
        f"block {block} shows bytes that nobody wrote, or a torn write"
    )
    assert seen_block == block, f"block {block} shows block {seen_block}"
    return version


@dataclass(slots=True)
class Block:
    """What is known of one block."""

    possible: set[int] = field(default_factory=lambda: {ZERO})
    in_flight: set[int] = field(default_factory=set)
    since_flush: set[int] = field(default_factory=set)
    """Versions that a loss of power may bring back: everything possible since the last completed flush."""


class Checker:
    """The truth about one volume."""

    def __init__(self) -> None:
        self.blocks: dict[int, Block] = {}
        self._version = 0
        self._flushes: dict[int, list[tuple[int, frozenset[int]]]] = {}
        self._flush = 0
        self.acknowledged = self.failed = self.reads = 0

    def begin_write(self, block: int, *, zero: bool = False) -> int:
        """A write (or trim) of a block begins; the result is its version."""
        self._version += 1
        version = ZERO if zero else self._version
        known = self.blocks.setdefault(block, Block())
        known.since_flush |= known.possible
        known.possible.add(version)
        known.in_flight.add(version)
        return version

    def end_write(self, block: int, version: int, error: int | None) -> None:
        """A write was acknowledged (error 0), failed, or was cut off (None)."""
        known = self.blocks[block]
        known.in_flight.discard(version)
        if error == 0:
            known.possible = {version} | known.in_flight
            self.acknowledged += 1
        else:
            self.failed += 1
        known.since_flush |= known.possible

    def read(self, block: int, data: bytes, *, possible: set[int]) -> None:
        """A read that began when `possible` was the block's set showed this."""
        self.reads += 1
        version = version_of(block, data)
        known = self.blocks.setdefault(block, Block())
        allowed = possible | known.possible | known.in_flight
        assert version in allowed, (
            f"block {block} shows version {version}, a lost or resurrected write; "
            f"it may show {sorted(allowed)}"
        )
        if not known.in_flight and possible == known.possible:
            known.possible = {version}

    def possible(self, block: int) -> set[int]:
        """What a read that begins now may show."""
        return set(self.blocks.setdefault(block, Block()).possible)

    def begin_flush(self) -> int:
        """A flush begins: it covers the writes that are acknowledged now."""
        self._flush += 1
        self._flushes[self._flush] = [
            (number, frozenset(block.possible)) for number, block in self.blocks.items()
        ]
        return self._flush

    def end_flush(self, flush: int, error: int | None) -> None:
        """The flush is done: what it covered survives a loss of power."""
        covered = self._flushes.pop(flush)
        if error != 0:
            return
        for number, possible in covered:
            block = self.blocks[number]
            if block.possible == possible and not block.in_flight:
                block.since_flush = set(possible)

    def power_lost(self) -> None:
        """Everything that was not flushed may be gone, or not."""
        for block in self.blocks.values():
            block.possible |= block.since_flush
            block.in_flight.clear()
        self._flushes.clear()

    def client_died(self) -> None:
        """Writes under way were cut off."""
        for block in self.blocks.values():
            self.failed += len(block.in_flight)
            block.in_flight.clear()
        self._flushes.clear()
