"""Requests that come from the kernel's own NBD client."""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Callable
from itertools import islice

from artesian.attach.bridge import nbd_connection as nbd
from artesian.attach.bridge.bridge import Bridge, Pending

_REQUEST = struct.Struct(">IHHQQI")
_REPLY = struct.Struct(">IIQ")
_REQUEST_MAGIC, _REPLY_MAGIC = 0x25609513, 0x67446698
_BUFFER_BYTES = 1 << 20
_COPIED_BYTES = 64 << 10  # data up to this is collected, so that many answers go out at once
_MAX_PAYLOAD_BYTES = 64 << 20
_MAX_PIECES = 512  # of one sendmsg


class KernelFront:
    """Speaks to the kernel as an NBD server does, once the greetings are over."""

    def __init__(self, connection: socket.socket, resized: Callable[[int], None]) -> None:
        """`connection`: our end of the pair. `resized` is called when the volume has grown."""
        connection.setblocking(False)
        self.resized = resized
        self._socket = connection
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._filling: tuple[int, Pending, memoryview] | None = None  # a write whose payload is coming
        self._out: deque[bytes | memoryview] = deque()

    @property
    def must_send(self) -> bool:
        return bool(self._out)

    def fileno(self) -> int:
        return self._socket.fileno()

    def take(self, bridge: Bridge) -> bool:
        try:
            if self._filling is not None:
                return self._take_payload(bridge, self._filling)
            count = self._socket.recv_into(self._view[self._filled :])
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        if not count:
            return False
        return self._take_apart(bridge, self._filled + count)

    def _take_payload(self, bridge: Bridge, filling: tuple[int, Pending, memoryview]) -> bool:
        handle, request, left = filling
        count = self._socket.recv_into(left)
        if not count:
            return False
        if count == len(left):
            self._filling = None
            bridge.ask(handle, request)
        else:
            self._filling = (handle, request, left[count:])
        return True

    def _take_apart(self, bridge: Bridge, end: int) -> bool:
        """Pass on the requests in the buffer up to `end`; False at the one that says good-bye."""
        position = 0
        while end - position >= _REQUEST.size:
            magic, _flags, command, handle, offset, length = _REQUEST.unpack_from(self._view, position)
            if magic != _REQUEST_MAGIC or command == nbd.DISCONNECT or length > _MAX_PAYLOAD_BYTES:
                return False
            position += _REQUEST.size
            request = Pending(command, offset, length)
            if command != nbd.WRITE:
                bridge.ask(handle, request)
            elif end - position >= length:
                request.payload = bytes(self._view[position : position + length])
                bridge.ask(handle, request)
                position += length
            else:
                payload = bytearray(length)
                here = end - position
                payload[:here] = self._view[position:end]
                request.payload = memoryview(payload)
                self._filling = (handle, request, request.payload[here:])
                position = end
        if position:
            self._view[: end - position] = self._view[position:end]
        self._filled = end - position
        return True

    def answer(self, handle: int, request: Pending, error: int, data: memoryview) -> None:
        self._out.append(_REPLY.pack(_REPLY_MAGIC, error, handle))
        if len(data) <= _COPIED_BYTES:
            if data:
                self._out.append(bytes(data))
            return
        self._out.append(data)
        self.send()
        if self._out:
            self._out = deque(bytes(piece) for piece in self._out)  # what is left must outlive this call

    def send(self) -> None:
        out = self._out
        try:
            while out:
                sent = self._socket.sendmsg(list(islice(out, _MAX_PIECES)))
                while out and sent >= len(out[0]):
                    sent -= len(out.popleft())
                if sent:
                    out[0] = memoryview(out[0])[sent:]
        except BlockingIOError:
            pass
        except OSError:
            out.clear()  # the device is gone; `take` says so
