"""Requests that come from the kernel's own NBD client: the volume shows as /dev/nbdN.

The kernel talks to us over a pair of sockets, which lives as long as we do. Left to itself it would fail
whatever is under way when a server is restarted, and forget the device.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import threading
from collections import deque
from pathlib import Path

from artesian.attach.address import FLAG_READ_ONLY, ExportInfo
from artesian.attach.bridge import nbd_connection as nbd
from artesian.attach.bridge.bridge import Bridge, Pending, say
from artesian.attach.errors import CannotGrow, ToolFailed

SECTOR_BYTES = 4096
_SET_SOCKET, _SET_BLOCK_SIZE, _DO_IT, _CLEAR_SOCKET = 0xAB00, 0xAB01, 0xAB03, 0xAB04
_SET_SIZE_BLOCKS, _DISCONNECT, _SET_TIMEOUT, _SET_FLAGS = 0xAB07, 0xAB08, 0xAB09, 0xAB0A
_MAX_BLOCKS = (1 << 31) - 1
_KERNEL_FLAGS = 0x67  # flags are there, read-only, flush, trim, write zeroes; no FUA: it flushes instead

_REQUEST = struct.Struct(">IHHQQI")
_REPLY = struct.Struct(">IIQ")
_REQUEST_MAGIC, _REPLY_MAGIC = 0x25609513, 0x67446698
_BUFFER_BYTES = 1 << 20
_COPIED_BYTES = 64 << 10  # data up to this is collected, so that many answers go out at once
_MAX_PAYLOAD_BYTES = 64 << 20
_SOCKET_BUFFER_BYTES = 4 << 20


class KernelFront:
    """The NBD server of one block device."""

    def __init__(self, device: Path, export: ExportInfo, read_only: bool) -> None:
        """Connect the device. Raises ToolFailed if it is in use, or the kernel does not want to."""
        self._device = device
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER_BYTES)
        ours.setblocking(False)
        self._socket = ours
        self._theirs = theirs
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._filling: tuple[int, Pending, memoryview] | None = None  # a write whose payload is coming
        self._out: deque[bytes | memoryview] = deque()
        flags = (export.flags | 1 | (FLAG_READ_ONLY if read_only else 0)) & _KERNEL_FLAGS
        try:
            self._control = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise ToolFailed(f"{device} cannot be opened: {error.strerror}") from None
        try:
            fcntl.ioctl(self._control, _SET_BLOCK_SIZE, SECTOR_BYTES)
            fcntl.ioctl(self._control, _SET_SIZE_BLOCKS, _blocks(export.size_bytes))
            fcntl.ioctl(self._control, _SET_TIMEOUT, 0)
            fcntl.ioctl(self._control, _SET_FLAGS, flags)
            fcntl.ioctl(self._control, _SET_SOCKET, theirs.fileno())
        except OSError as error:
            os.close(self._control)
            raise ToolFailed(f"{device} cannot be connected: {error.strerror}") from None
        self._thread = threading.Thread(target=self._stay, name="nbd", daemon=True)
        self._thread.start()

    def _stay(self) -> None:
        """The device lives while this call lasts. A signal would end it, so none may come here."""
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP})
        try:
            fcntl.ioctl(self._control, _DO_IT)
        except OSError as error:
            say(f"{self._device}: {error.strerror}")
        self._socket.shutdown(socket.SHUT_RDWR)  # lets the other thread know

    @property
    def must_send(self) -> bool:
        return bool(self._out)

    def fileno(self) -> int:
        return self._socket.fileno()

    def take(self, bridge: Bridge) -> bool:
        try:
            if self._filling is not None:
                return self._take_payload(bridge)
            count = self._socket.recv_into(self._view[self._filled :])
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        if not count:
            return False
        return self._take_apart(bridge, self._filled + count)

    def _take_payload(self, bridge: Bridge) -> bool:
        assert self._filling is not None
        handle, request, left = self._filling
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
                sent = self._socket.sendmsg(list(out)[:512])
                while out and sent >= len(out[0]):
                    sent -= len(out.popleft())
                if sent:
                    out[0] = memoryview(out[0])[sent:]
        except BlockingIOError:
            pass
        except OSError:
            out.clear()  # the device is gone; `take` says so

    def resized(self, size_bytes: int) -> None:
        try:
            fcntl.ioctl(self._control, _SET_SIZE_BLOCKS, _blocks(size_bytes))
        except (OSError, CannotGrow) as error:
            say(f"{self._device} does not take over the new size: {error}")

    def close(self) -> None:
        """Let the device go. Whoever still uses it gets errors."""
        for command in (_DISCONNECT, _CLEAR_SOCKET):
            try:
                fcntl.ioctl(self._control, command)
            except OSError:
                pass
        self._thread.join(5.0)
        os.close(self._control)


def _blocks(size_bytes: int) -> int:
    blocks = size_bytes // SECTOR_BYTES
    if blocks > _MAX_BLOCKS:
        raise CannotGrow("the kernel's NBD client takes up to 8 TiB")
    return blocks
