"""A disk in memory that forgets what was not synced, fails, flips bits, and kills its process."""

from __future__ import annotations

import mmap
import random
from collections.abc import Callable

from artesian.embedded.device.disk import PIECE_BYTES, Buffer
from artesian.embedded.errors import DeviceIoError

PAGE_BYTES = 4096


class ProcessKilled(BaseException):
    """The process that used the disk was killed between two operations on it."""


class Platter:
    """What stays when processes go: the bytes, and which pages a loss of power may take back."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.bytes = mmap.mmap(-1, size_bytes)
        self.before: dict[int, bytes] = {}  # page → its contents at the last sync, if written since
        self.failed = False
        self.signature: str | None = None

    def lose_power(self, choice: random.Random) -> None:
        """Any of the pages written since the last sync may be as before it."""
        for page, old in self.before.items():
            if choice.random() < 0.5:
                self.bytes[page * PAGE_BYTES : page * PAGE_BYTES + len(old)] = old
        self.before.clear()

    def flip(self, offset: int, mask: int) -> None:
        """Flip bits of one byte, unnoticed."""
        self.bytes[offset] ^= mask


class SimulatedDisk:
    """The port that the store uses, over a platter; `killer` ends the process after so many operations."""

    def __init__(self, platter: Platter, path: str, killer: Callable[[], None]) -> None:
        self.platter = platter
        self.path = path
        self.size_bytes = platter.size_bytes
        self._killer = killer
        self._closed = False

    def _check(self) -> None:
        self._killer()
        if self._closed:
            raise DeviceIoError("a closed disk was used")
        if self.platter.failed:
            raise DeviceIoError(f"{self.path}: simulated I/O error")

    def read(self, offset: int, length: int) -> bytes:
        self._check()
        return self.platter.bytes[offset : offset + length]

    def read_cached(
        self, offset: int, length: int, into: memoryview | None = None
    ) -> bytearray | memoryview | None:
        data = bytearray(self.read(offset, length))
        if into is None:
            return data
        into[:] = data
        return into

    def write(self, offset: int, data: Buffer, *, piece_bytes: int = PIECE_BYTES) -> None:
        for at in range(0, len(data), piece_bytes):
            self._write_piece(offset + at, bytes(data[at : at + piece_bytes]))

    def _write_piece(self, offset: int, plain: bytes) -> None:
        self._check()
        for page in range(offset // PAGE_BYTES, -(-(offset + len(plain)) // PAGE_BYTES)):
            start = page * PAGE_BYTES
            self.platter.before.setdefault(page, self.platter.bytes[start : start + PAGE_BYTES])
        self.platter.bytes[offset : offset + len(plain)] = plain

    def write_durable(self, offset: int, data: Buffer) -> None:
        self.write(offset, data)
        for page in range(offset // PAGE_BYTES, -(-(offset + len(data)) // PAGE_BYTES)):
            self.platter.before.pop(page, None)

    def clear(self, offset: int, length: int) -> None:
        self.write(offset, bytes(length))

    def sync(self) -> None:
        self._check()
        self.platter.before.clear()

    def reserve(self, offset: int, length: int) -> None:
        self._check()

    def foreign_signature(self) -> str | None:
        return self.platter.signature

    def close(self) -> None:
        self._closed = True
