"""Exports that keep their bytes in memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

from artesian.embedded.sdc.nbd import IoRequest
from artesian.embedded.sdc.nbd_constants import (
    NBD_CMD_BLOCK_STATUS,
    NBD_CMD_FLUSH,
    NBD_CMD_READ,
    NBD_CMD_TRIM,
    NBD_CMD_WRITE,
    NBD_CMD_WRITE_ZEROES,
    NBD_STATE_HOLE,
    NBD_STATE_ZERO,
)

BLOCK_BYTES = 4096

Later = Callable[..., object]


class MemoryExport:
    """Answers every request at once."""

    def __init__(self, name: str, size_bytes: int, *, read_only: bool = False) -> None:
        self.name = name
        self.size_bytes = size_bytes
        self.read_only = read_only
        self.content = bytearray(size_bytes)
        self.view = memoryview(self.content)
        self.flushes = 0

    def submit(self, request: IoRequest) -> None:
        command, offset = request.command, request.offset
        end = offset + request.length
        if command == NBD_CMD_READ:
            request.data(offset, bytes(self.view[offset:end]))
        elif command == NBD_CMD_WRITE:
            assert request.payload is not None and len(request.payload) == request.length
            self.view[offset:end] = request.payload
        elif command in (NBD_CMD_TRIM, NBD_CMD_WRITE_ZEROES):
            self.view[offset:end] = bytes(request.length)
        elif command == NBD_CMD_BLOCK_STATUS:
            request.status(self.extents(offset, end))
        elif command == NBD_CMD_FLUSH:
            self.flushes += 1
        request.done()

    def extents(self, start: int, end: int) -> list[tuple[int, int]]:
        """Zero blocks are holes."""
        extents = []
        while start < end:
            stop = min(end, (start // BLOCK_BYTES + 1) * BLOCK_BYTES)
            empty = not any(self.view[start:stop])
            extents.append((stop - start, NBD_STATE_HOLE | NBD_STATE_ZERO if empty else 0))
            start = stop
        return extents


class ScatteringExport(MemoryExport):
    """Reads come in pieces and in any order, some of them as holes; each piece is put off with `later`."""

    def __init__(self, name: str, size_bytes: int, rng: random.Random) -> None:
        super().__init__(name, size_bytes)
        self.later: Later  # set before the first read
        self._rng = rng

    def submit(self, request: IoRequest) -> None:
        if request.command != NBD_CMD_READ:
            super().submit(request)
            return
        pieces = self._cut(request.offset, request.offset + request.length)
        self._rng.shuffle(pieces)
        self.later(self._deliver, request, pieces)

    def _cut(self, start: int, end: int) -> list[tuple[int, bytes]]:
        inner = (self._rng.randint(start, end) for _ in range(self._rng.randint(0, 4)))
        cuts = sorted({start, end, *inner})
        return [(begin, bytes(self.view[begin:stop])) for begin, stop in pairwise(cuts)]

    def _deliver(self, request: IoRequest, pieces: list[tuple[int, bytes]]) -> None:
        if not pieces:
            request.done()
            return
        offset, data = pieces.pop()
        if any(data):
            request.data(offset, data)
        else:
            request.hole(offset, len(data))
        self.later(self._deliver, request, pieces)


class HoldingExport(MemoryExport):
    """Keeps requests until it is told to answer them."""

    def __init__(self, name: str, size_bytes: int) -> None:
        super().__init__(name, size_bytes)
        self.held: list[IoRequest] = []

    def submit(self, request: IoRequest) -> None:
        self.held.append(request)

    def release(self) -> None:
        """Answer everything held."""
        held, self.held = self.held, []
        for request in held:
            super().submit(request)


class FailingExport(MemoryExport):
    """Answers everything with an errno."""

    def __init__(self, name: str, size_bytes: int, error: int) -> None:
        super().__init__(name, size_bytes)
        self.error = error

    def submit(self, request: IoRequest) -> None:
        request.done(self.error)
