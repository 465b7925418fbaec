"""Between the kernel's FUSE requests for one file and an NBD server.

One thread, one event loop by hand: a request costs a few system calls and little else. While the server is
away everything waits; when it is back, all that was not answered is sent again. That is right for a block
device: requests that are under way together have no order, and none of them was acknowledged. If a server is
there but has denied the export for a while, requests fail, because then it is not coming back by itself.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass

from artesian.attach.address import (
    FLAG_SEND_FLUSH,
    FLAG_SEND_WRITE_ZEROES,
    ExportInfo,
    NbdAddress,
    open_export,
)
from artesian.attach.bridge import fuse_protocol as fuse
from artesian.attach.bridge import nbd_connection as nbd
from artesian.attach.bridge.nbd_connection import NbdConnection
from artesian.attach.errors import BadAddress, NoSuchExport

RETRY_S = 0.1
DENIED_TIMEOUT_S = 60.0
_CONNECT_TIMEOUT_S = 10.0
_MAX_ZEROES_BYTES = 64 << 20  # of one NBD request
_MAX_SPARE_BUFFERS = 16
_READS_PER_ROUND = 64
_COPIED_BYTES = 64 << 10  # payloads up to this are copied; for larger ones the buffer is given away
_ZEROING = fuse.FALLOCATE_PUNCH_HOLE | fuse.FALLOCATE_ZERO_RANGE
_FILE_MODE = 0o100600
_LAST_FLUSH = 0  # a handle that no request of the kernel has


@dataclass(slots=True)
class Pending:
    """A FUSE request that the NBD server has not answered; `rest` is what a longer one still has to do."""

    command: int
    offset: int
    length: int
    payload: bytes | memoryview | None = None
    rest: int = 0
    buffer: bytearray | None = None  # what the payload lies in, to be used again


class Bridge:
    """`run` works until the file is unmounted or a signal ends it."""

    def __init__(
        self,
        descriptor: int,
        address: NbdAddress,
        connection: socket.socket,
        export: ExportInfo,
        *,
        read_only: bool,
        cached: bool,
    ) -> None:
        """`descriptor` is that of the FUSE mount; `connection` comes from `open_export`.

        `cached`: let the kernel keep what it has read of the file.
        """
        self._descriptor = descriptor
        self._address = address
        self._read_only = read_only
        self._open_flags = (
            fuse.OPEN_KEEP_CACHE if cached else fuse.OPEN_DIRECT_IO | fuse.OPEN_PARALLEL_DIRECT_WRITES
        )
        self._export = export
        self._connection: NbdConnection | None = NbdConnection(connection, self._answered)
        self._pending: dict[int, Pending] = {}
        self._denied_since_s: float | None = None
        self._reconnect_at_s = 0.0
        self._refresh = False
        self._stopping = False
        self._buffer = bytearray(fuse.READ_BUFFER_BYTES)
        self._spare: list[bytearray] = []
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll = select.epoll()
        self._polled: dict[int, int] = {}  # event masks by descriptor

    def run(self) -> None:
        """SIGHUP: look for a new size of the volume. SIGTERM: finish what is under way and end."""
        signal.set_wakeup_fd(self._wake_write)
        signal.signal(signal.SIGHUP, lambda *_: setattr(self, "_refresh", True))
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "_stopping", True))
        signal.signal(signal.SIGINT, lambda *_: setattr(self, "_stopping", True))
        self._listen(self._wake_read, select.EPOLLIN)
        while not (self._stopping and not self._pending):
            if not self._round():
                break
        self._finish()

    # --- the loop

    def _round(self) -> bool:
        """One turn; False when the file has been unmounted."""
        if self._connection is None:
            self._reconnect()
        connection = self._connection
        self._listen(self._descriptor, select.EPOLLIN if self._takes_requests() else 0)
        if connection is not None:
            wanted = select.EPOLLIN | (select.EPOLLOUT if connection.must_send else 0)
            self._listen(connection.fileno(), wanted)
        for descriptor, event in self._poll.poll(None if connection is not None else RETRY_S):
            if descriptor == self._wake_read:
                os.read(self._wake_read, 512)
            elif descriptor == self._descriptor:
                if not self._take_requests():
                    return False
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
            return len(self._pending) < fuse.MAX_BACKGROUND
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
            self._lost(error)

    # --- the NBD server

    def _use(self, connection: socket.socket, export: ExportInfo) -> None:
        """Go on over a new connection: everything that is pending is sent again."""
        self._export = export
        self._denied_since_s = None
        self._refresh = False
        self._connection = NbdConnection(connection, self._answered)
        for handle, request in self._pending.items():
            self._connection.add(request.command, handle, request.offset, request.length, request.payload)
        self._send()

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
                _say(str(error))
            elif now_s - self._denied_since_s > DENIED_TIMEOUT_S:
                self._fail_everything()
            return
        except BadAddress:
            self._denied_since_s = None
            return
        if export.size_bytes < self._export.size_bytes:
            _say(f"the volume has shrunk to {export.size_bytes} bytes; not using it")
            connection.close()
            return
        _say(f"connected, {export.size_bytes} bytes, {len(self._pending)} requests sent again")
        self._use(connection, export)

    def _lost(self, error: Exception) -> None:
        self._drop(f"{error}; {len(self._pending)} requests wait")

    def _drop(self, because: str) -> None:
        if self._connection is not None:
            _say(because)
            descriptor = self._connection.fileno()
            if self._polled.pop(descriptor, None) is not None:
                self._poll.unregister(descriptor)
            self._connection.close()
            self._connection = None

    def _fail_everything(self) -> None:
        pending, self._pending = self._pending, {}
        for handle in pending:
            self._answer(handle, errno.EIO)

    def _answered(self, handle: int, error: int, data: memoryview) -> None:
        request = self._pending.pop(handle, None)
        if request is None:
            raise ConnectionError("the NBD server answered what was not asked")
        if error:
            self._answer(handle, nbd.errno_of(error))
        elif request.command == nbd.READ:
            self._answer(handle, 0, data)
        elif request.command == nbd.WRITE:
            if request.buffer is not None and len(self._spare) < _MAX_SPARE_BUFFERS:
                self._spare.append(request.buffer)
            self._answer(handle, 0, fuse.WRITE_OUT.pack(request.length, 0))
        elif request.rest:
            self._zero(handle, request.offset + request.length, request.rest)
        else:
            self._answer(handle, 0)

    def _ask(self, handle: int, request: Pending) -> None:
        self._pending[handle] = request
        if self._connection is not None:
            self._connection.add(request.command, handle, request.offset, request.length, request.payload)

    def _send(self) -> None:
        if self._connection is not None and self._connection.must_send:
            try:
                self._connection.send()
            except OSError as error:
                self._lost(error)

    # --- the kernel

    def _take_requests(self) -> bool:
        """Take what the kernel has for us and send it on; False when the file has been unmounted."""
        try:
            for _ in range(_READS_PER_ROUND):
                length = os.readv(self._descriptor, (self._buffer,))
                self._handle(length)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno == errno.ENODEV:
                return False
            if error.errno not in (errno.EINTR, errno.ENOENT):  # ENOENT: it was interrupted meanwhile
                raise
        self._send()
        return True

    def _handle(self, length: int) -> None:
        buffer = self._buffer
        _, opcode, unique, _, _, _, _, _, _ = fuse.IN_HEADER.unpack_from(buffer)
        if opcode in (fuse.READ, fuse.WRITE):
            _, offset, size, _, _, _, _ = fuse.READ_WRITE_IN.unpack_from(buffer, fuse.IN_HEADER.size)
            if opcode == fuse.READ:
                self._read(unique, offset, size)
            else:
                self._write(unique, offset, size)
        elif opcode == fuse.FSYNC:
            self._flush(unique)
        elif opcode == fuse.FALLOCATE:
            self._fallocate(unique)
        else:
            self._handle_rest(opcode, unique)

    def _read(self, unique: int, offset: int, size: int) -> None:
        size = min(size, self._export.size_bytes - offset)
        if size <= 0:
            self._answer(unique, 0)
        else:
            self._ask(unique, Pending(nbd.READ, offset, size))

    def _write(self, unique: int, offset: int, size: int) -> None:
        if self._read_only:
            self._answer(unique, errno.EROFS)
            return
        if offset + size > self._export.size_bytes:
            self._answer(unique, errno.ENOSPC)
            return
        payload = memoryview(self._buffer)[fuse.PAYLOAD_OFFSET : fuse.PAYLOAD_OFFSET + size]
        if size <= _COPIED_BYTES:
            self._ask(unique, Pending(nbd.WRITE, offset, size, bytes(payload)))
        else:
            self._ask(unique, Pending(nbd.WRITE, offset, size, payload, buffer=self._buffer))
            self._buffer = self._spare.pop() if self._spare else bytearray(fuse.READ_BUFFER_BYTES)

    def _flush(self, unique: int) -> None:
        if self._read_only or not self._export.flags & FLAG_SEND_FLUSH:
            self._answer(unique, 0)
        else:
            self._ask(unique, Pending(nbd.FLUSH, 0, 0))

    def _fallocate(self, unique: int) -> None:
        """Holes and zeroes only: both read as zeros afterwards, and both give space back."""
        _, offset, length, mode, _ = fuse.FALLOCATE_IN.unpack_from(self._buffer, fuse.IN_HEADER.size)
        if self._read_only:
            self._answer(unique, errno.EROFS)
        elif not mode & _ZEROING or not self._export.flags & FLAG_SEND_WRITE_ZEROES:
            self._answer(unique, errno.EOPNOTSUPP)
        else:
            beyond = offset + length > self._export.size_bytes
            if beyond and not mode & fuse.FALLOCATE_KEEP_SIZE:
                self._answer(unique, errno.ENOSPC)
                return
            length = min(length, self._export.size_bytes - offset)
            if length <= 0:
                self._answer(unique, 0)
            else:
                self._zero(unique, offset, length)

    def _zero(self, unique: int, offset: int, length: int) -> None:
        piece = min(length, _MAX_ZEROES_BYTES)
        self._ask(unique, Pending(nbd.WRITE_ZEROES, offset, piece, rest=length - piece))

    def _handle_rest(self, opcode: int, unique: int) -> None:
        if opcode in fuse.NEVER_ANSWERED:
            return
        if opcode == fuse.INIT:
            _, _, readahead, flags = fuse.INIT_IN.unpack_from(self._buffer, fuse.IN_HEADER.size)
            self._answer(unique, 0, fuse.init_answer(flags, readahead))
        elif opcode == fuse.GETATTR:
            self._answer_attributes(unique)
        elif opcode == fuse.SETATTR:
            wanted, _, _, size = fuse.SETATTR_IN.unpack_from(self._buffer, fuse.IN_HEADER.size)
            if wanted & fuse.SETATTR_SIZE and size != self._export.size_bytes:
                self._answer(unique, errno.EPERM)
            else:
                self._answer_attributes(unique)
        elif opcode == fuse.OPEN:
            self._answer(unique, 0, fuse.OPEN_OUT.pack(0, self._open_flags, 0))
        elif opcode == fuse.STATFS:
            self._answer(unique, 0, fuse.STATFS_OUT.pack(0, 0, 0, 0, 0, 4096, 255, 4096, 0))
        elif opcode in (fuse.RELEASE, fuse.DESTROY):
            self._answer(unique, 0)
        else:
            self._answer(unique, errno.ENOSYS)  # then the kernel does without

    def _answer_attributes(self, unique: int) -> None:
        mode = _FILE_MODE & ~0o222 if self._read_only else _FILE_MODE
        size = self._export.size_bytes
        self._answer(unique, 0, fuse.attributes_answer(size, mode, os.getuid(), os.getgid()))

    def _answer(self, unique: int, error: int, data: bytes | memoryview = b"") -> None:
        if unique == _LAST_FLUSH:
            return
        header = fuse.OUT_HEADER.pack(fuse.OUT_HEADER.size + len(data), -error, unique)
        try:
            os.writev(self._descriptor, (header, data))
        except OSError as failure:
            # ENOENT: whoever asked was killed and does not wait any more; ENODEV: unmounted meanwhile.
            if failure.errno not in (errno.ENOENT, errno.ENODEV):
                raise

    def _finish(self) -> None:
        """Everything acknowledged is to be on stable storage before we go, if the server is there at all."""
        deadline = time.monotonic() + _CONNECT_TIMEOUT_S
        self._pending.clear()
        if not self._read_only and self._export.flags & FLAG_SEND_FLUSH and self._connection is not None:
            self._ask(_LAST_FLUSH, Pending(nbd.FLUSH, 0, 0))
            self._send()
        while self._pending and self._connection is not None and time.monotonic() < deadline:
            select.select([self._connection.fileno()], [], [], 0.1)
            self._serve(select.EPOLLIN)
        self._drop("ended, what was written is not flushed" if self._pending else "ended")


def _say(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {text}", file=sys.stderr, flush=True)
