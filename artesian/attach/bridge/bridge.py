"""Between the kernel's requests for one device and an NBD server.

One thread, one event loop by hand: a request costs a few system calls and little else. While the server is
away everything waits; when it is back, all that was not answered is sent again. That is right for a block
device: requests that are under way together have no order, and none of them was acknowledged. If a server is
there but has denied the export for a while, or the folder of its socket is gone, requests fail, because then
it is not coming back by itself.

Where the requests come from is the front's business: FUSE (`fuse_front`) or the kernel's own NBD client
(`kernel_front`).
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from artesian.attach.address import FLAG_SEND_FLUSH, ExportInfo, NbdAddress, open_export
from artesian.attach.bridge import nbd_connection as nbd
from artesian.attach.bridge.nbd_connection import NbdConnection
from artesian.attach.errors import BadAddress, NoSuchExport

RETRY_S = 0.1
DENIED_TIMEOUT_S = 60.0
MAX_WAITING = 256  # requests that are taken from the kernel while the server is away
_CONNECT_TIMEOUT_S = 10.0
_LAST_FLUSH = (1 << 64) - 1  # no handle of the kernel's


@dataclass(slots=True)
class Pending:
    """A request that the NBD server has not answered.

    `rest`: how much of a longer one is still to be done; `buffer`: what the payload lies in, if the front
    wants it back.
    """

    command: int
    offset: int
    length: int
    payload: bytes | memoryview | None = None
    rest: int = 0
    buffer: bytearray | None = None


class Front(Protocol):
    """Where requests come from, and answers go to; non-blocking."""

    @property
    def must_send(self) -> bool:
        """Answers wait until the kernel takes them."""

    def fileno(self) -> int: ...

    def take(self, bridge: Bridge) -> bool:
        """Take the requests that are there and `ask` them; False when there will be no more."""

    def answer(self, handle: int, request: Pending, error: int, data: memoryview) -> None:
        """Answer a request; `error` is an errno. The data is valid during the call only."""

    def send(self) -> None:
        """Send answers that are queued, as far as that goes without waiting."""

    @property
    def resized(self) -> Callable[[int], None]:
        """To be called with the new size when the volume has grown."""


class Bridge:
    """`run` works until the front ends or a signal comes."""

    def __init__(
        self,
        front: Front,
        address: NbdAddress,
        connection: socket.socket,
        export: ExportInfo,
        *,
        read_only: bool,
    ) -> None:
        """`connection` and `export` come from `open_export`."""
        self.export = export
        self.read_only = read_only
        self._front = front
        self._address = address
        self._connection: NbdConnection | None = NbdConnection(connection, self._answered)
        self._pending: dict[int, Pending] = {}
        self._denied_since_s: float | None = None
        self._reconnect_at_s = 0.0
        self._refresh = False
        self._stopping = False
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll = select.epoll()
        self._polled: dict[int, int] = {}  # event masks by descriptor

    def ask(self, handle: int, request: Pending) -> None:
        """For the front: have the server do something."""
        self._pending[handle] = request
        if self._connection is not None:
            self._connection.add(request.command, handle, request.offset, request.length, request.payload)

    def run(self) -> None:
        """SIGHUP: look for a new size of the volume. SIGTERM: finish what is under way and end."""
        signal.set_wakeup_fd(self._wake_write)
        signal.signal(signal.SIGHUP, lambda *_: setattr(self, "_refresh", True))
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "_stopping", True))
        signal.signal(signal.SIGINT, lambda *_: setattr(self, "_stopping", True))
        self._listen(self._wake_read, select.EPOLLIN)
        while not (self._stopping and not self._pending and not self._front.must_send):
            if not self._round():
                break
        self._finish()

    # --- the loop

    def _round(self) -> bool:
        """One turn; False when the front has ended."""
        if self._connection is None:
            self._reconnect()
        connection, front = self._connection, self._front
        wanted = (select.EPOLLIN if self._takes_requests() else 0) | (
            select.EPOLLOUT if front.must_send else 0
        )
        self._listen(front.fileno(), wanted)
        if connection is not None:
            self._listen(
                connection.fileno(), select.EPOLLIN | (select.EPOLLOUT if connection.must_send else 0)
            )
        for descriptor, event in self._poll.poll(None if connection is not None else RETRY_S):
            if descriptor == self._wake_read:
                os.read(self._wake_read, 512)
            elif descriptor == front.fileno():
                if event & select.EPOLLOUT:
                    front.send()
                if event & ~select.EPOLLOUT and not front.take(self):
                    return False
                self._send()
            elif self._connection is connection:
                self._serve(event)
        if self._refresh and self._connection is not None and not self._pending:
            self._drop("the volume may have a new size")
            self._reconnect_at_s = 0.0
        return True

    def _listen(self, descriptor: int, wanted: int) -> None:
        known = self._polled.get(descriptor)
        if known == wanted:
            return
        if known is None:
            self._poll.register(descriptor, wanted)
        else:
            self._poll.modify(descriptor, wanted)
        self._polled[descriptor] = wanted

    def _takes_requests(self) -> bool:
        """Not while the server does not keep up, and not before a refresh or the end."""
        if self._refresh or self._stopping:
            return False
        if self._connection is None:
            return len(self._pending) < MAX_WAITING
        return not self._connection.must_send

    def _serve(self, event: int) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            if event & ~select.EPOLLOUT:
                connection.receive()
            if connection.must_send:
                connection.send()
        except OSError as error:
            self._drop(f"{error}; {len(self._pending)} requests wait")
        if self._front.must_send:
            self._front.send()

    # --- the NBD server

    def _use(self, connection: socket.socket, export: ExportInfo) -> None:
        """Go on over a new connection: everything that is pending is sent again."""
        grown = export.size_bytes > self.export.size_bytes
        self.export = export
        self._denied_since_s = None
        self._refresh = False
        self._connection = NbdConnection(connection, self._answered)
        for handle, request in self._pending.items():
            self._connection.add(request.command, handle, request.offset, request.length, request.payload)
        self._send()
        if grown:
            self._front.resized(export.size_bytes)

    def _reconnect(self) -> None:
        now_s = time.monotonic()
        if now_s < self._reconnect_at_s:
            return
        self._reconnect_at_s = now_s + RETRY_S
        try:
            connection, export = open_export(self._address, _CONNECT_TIMEOUT_S)
        except NoSuchExport as error:
            if self._denied_since_s is None:
                self._denied_since_s = now_s
                say(str(error))
            elif now_s - self._denied_since_s > DENIED_TIMEOUT_S:
                self._fail_everything()
            return
        except BadAddress:
            self._denied_since_s = None
            return
        if export.size_bytes < self.export.size_bytes:
            say(f"the volume has shrunk to {export.size_bytes} bytes; not using it")
            connection.close()
            return
        say(f"connected, {export.size_bytes} bytes, {len(self._pending)} requests sent again")
        self._use(connection, export)

    def _drop(self, because: str) -> None:
        if self._connection is not None:
            say(because)
            descriptor = self._connection.fileno()
            if self._polled.pop(descriptor, None) is not None:
                self._poll.unregister(descriptor)
            self._connection.close()
            self._connection = None

    def _fail_everything(self) -> None:
        pending, self._pending = self._pending, {}
        for handle, request in pending.items():
            self._front.answer(handle, request, errno.EIO, memoryview(b""))
        self._front.send()

    def _answered(self, handle: int, error: int, data: memoryview) -> None:
        request = self._pending.pop(handle, None)
        if request is None:
            raise ConnectionError("the NBD server answered what was not asked")
        if handle == _LAST_FLUSH:
            return
        if request.rest and not error:
            piece = min(request.rest, request.length)
            offset = request.offset + request.length
            self.ask(handle, Pending(request.command, offset, piece, rest=request.rest - piece))
            return
        self._front.answer(handle, request, nbd.errno_of(error) if error else 0, data)

    def _send(self) -> None:
        if self._connection is not None and self._connection.must_send:
            try:
                self._connection.send()
            except OSError as error:
                self._drop(f"{error}; {len(self._pending)} requests wait")

    def _finish(self) -> None:
        """Everything acknowledged is to be on stable storage before we go, if the server is there at all."""
        deadline = time.monotonic() + _CONNECT_TIMEOUT_S
        self._pending.clear()
        if not self.read_only and self.export.flags & FLAG_SEND_FLUSH and self._connection is not None:
            self.ask(_LAST_FLUSH, Pending(nbd.FLUSH, 0, 0))
            self._send()
        while self._pending and self._connection is not None and time.monotonic() < deadline:
            select.select([self._connection.fileno()], [], [], 0.1)
            self._serve(select.EPOLLIN)
        self._drop("ended, what was written is not flushed" if self._pending else "ended")


def say(text: str) -> None:
    """To the log."""
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {text}", file=sys.stderr, flush=True)
