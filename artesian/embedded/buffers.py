"""Buffers for large payloads, used again once nobody looks at them any more."""

from __future__ import annotations

from collections import deque

POOLED_MAX_BYTES = 4 << 20
"""Larger buffers are rare, and not worth keeping."""

_LOOKED_AT = 4


class BufferPool:
    """Hands out writable views of memory that nobody else uses.

    There is no way to give a buffer back, and no way to give one back too early: it is used again when the
    last view of it is gone, be it held by a request or by a transport that has not sent it yet. Python
    itself keeps the books: it refuses to resize a bytearray that somebody has a view of.
    """

    def __init__(self, kept_bytes: int) -> None:
        """`kept_bytes` is the most that the pool keeps; what is in use beyond that is let go."""
        self._room_bytes = kept_bytes
        self._buffers: dict[int, deque[bytearray]] = {}

    def take(self, length: int) -> memoryview:
        """A view of `length` bytes of any content; length must be positive."""
        if length > POOLED_MAX_BYTES:
            return memoryview(bytearray(length))
        size = 1 << (length - 1).bit_length()
        buffers = self._buffers.get(size)
        if buffers is None:
            buffers = self._buffers[size] = deque()
        for _ in range(min(_LOOKED_AT, len(buffers))):
            buffer = buffers[0]
            buffers.rotate(-1)
            if _is_unused(buffer):
                return memoryview(buffer)[:length]
        buffer = bytearray(size)
        if size <= self._room_bytes:
            self._room_bytes -= size
            buffers.append(buffer)
        return memoryview(buffer)[:length]


def _is_unused(buffer: bytearray) -> bool:
    try:
        buffer.pop()
    except BufferError:
        return False
    buffer.append(0)
    return True
