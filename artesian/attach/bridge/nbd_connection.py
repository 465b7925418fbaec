"""The bridge's connection to the NBD server: requests go out in batches, replies are taken apart.

Everything that has not been answered is kept, so that it can be sent again on a new connection.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections import deque
from collections.abc import Callable
from itertools import islice

READ, WRITE, DISCONNECT, FLUSH, WRITE_ZEROES = 0, 1, 2, 3, 6

_REQUEST = struct.Struct(">IHHQQI")
_REPLY = struct.Struct(">IIQ")
_REQUEST_MAGIC = 0x25609513
_REPLY_MAGIC = 0x67446698
_RECEIVE_BYTES = 4 << 20
_MAX_PIECES = 512  # of one sendmsg

Answered = Callable[[int, int, memoryview], None]
"""(handle, NBD error, data of a read)"""


class NbdConnection:
    """A connection in its transmission phase; non-blocking. Any failure raises ConnectionError."""

    def __init__(self, connection: socket.socket, answered: Answered) -> None:
        self._socket = connection
        self._socket.setblocking(False)
        self._answered = answered
        self._out: deque[memoryview | bytes] = deque()
        self._read_lengths: dict[int, int] = {}  # by handle; replies to reads carry so much data
        self._buffer = bytearray(_RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._filled = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def must_send(self) -> bool:
        """Something waits until the server takes it."""
        return bool(self._out)

    def add(
        self, command: int, handle: int, offset: int, length: int, payload: bytes | memoryview | None = None
    ) -> None:
        """Queue a request; `send` sends what is queued."""
        self._out.append(_REQUEST.pack(_REQUEST_MAGIC, 0, command, handle, offset, length))
        if payload is not None:
            self._out.append(payload)
        if command == READ:
            self._read_lengths[handle] = length

    def send(self) -> None:
        """Send as much as goes without waiting."""
        out = self._out
        while out:
            pieces = list(islice(out, _MAX_PIECES))
            try:
                sent = self._socket.sendmsg(pieces)
            except BlockingIOError:
                return
            while out and sent >= len(out[0]):
                sent -= len(out.popleft())
            if sent:
                out[0] = memoryview(out[0])[sent:]

    def receive(self) -> None:
        """Take in what has come, and report every reply that is complete."""
        if self._filled == len(self._buffer):  # one reply is larger than all of it
            self._buffer = self._buffer + bytes(len(self._buffer))  # a new one: views of the old one exist
            self._view = memoryview(self._buffer)
        try:
            count = self._socket.recv_into(self._view[self._filled :])
        except BlockingIOError:
            return
        if not count:
            raise ConnectionResetError("the NBD server closed the connection")
        end = self._filled + count
        start = self._take_apart(end)
        if start:
            self._view[: end - start] = self._view[start:end]
        self._filled = end - start

    def _take_apart(self, end: int) -> int:
        """Report the replies in the buffer up to `end`; gives the start of what is not complete yet."""
        position = 0
        view, lengths, answered = self._view, self._read_lengths, self._answered
        while end - position >= _REPLY.size:
            magic, error, handle = _REPLY.unpack_from(view, position)
            if magic != _REPLY_MAGIC:
                raise ConnectionError("the NBD server sent something that is no reply")
            data_start = position + _REPLY.size
            data_end = data_start
            if not error:
                data_end += lengths.get(handle, 0)
                if data_end > end:
                    break
            lengths.pop(handle, None)
            answered(handle, error, view[data_start:data_end])
            position = data_end
        return position

    def close(self) -> None:
        """Say good-bye if that goes without waiting."""
        try:
            if not self._out:
                self._socket.send(_REQUEST.pack(_REQUEST_MAGIC, 0, DISCONNECT, 0, 0, 0))
        except OSError:
            pass
        self._socket.close()


def errno_of(error: int) -> int:
    """NBD's error numbers are Linux' own; what is not among them is EIO."""
    known = (errno.EPERM, errno.EIO, errno.ENOMEM, errno.EINVAL, errno.ENOSPC, errno.EOVERFLOW)
    return error if error in (*known, errno.EOPNOTSUPP, errno.ESHUTDOWN) else errno.EIO
