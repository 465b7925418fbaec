"""Requests that come over FUSE: the volume shows as one file."""

from __future__ import annotations

import errno
import os

from artesian.attach.address import FLAG_SEND_FLUSH, FLAG_SEND_WRITE_ZEROES
from artesian.attach.bridge import fuse_protocol as fuse
from artesian.attach.bridge import nbd_connection as nbd
from artesian.attach.bridge.bridge import Bridge, Pending

_MAX_ZEROES_BYTES = 64 << 20  # of one NBD request
_MAX_SPARE_BUFFERS = 16
_READS_PER_ROUND = 64
_COPIED_BYTES = 64 << 10  # payloads up to this are copied; for larger ones the buffer is given away
_ZEROING = fuse.FALLOCATE_PUNCH_HOLE | fuse.FALLOCATE_ZERO_RANGE
_FILE_MODE = 0o100600


class FuseFront:
    """The file system of one file. `cached`: let the kernel keep what it has read of it."""

    def __init__(self, descriptor: int, cached: bool) -> None:
        """`descriptor` is that of the FUSE mount."""
        self._descriptor = descriptor
        self._open_flags = (
            fuse.OPEN_KEEP_CACHE if cached else fuse.OPEN_DIRECT_IO | fuse.OPEN_PARALLEL_DIRECT_WRITES
        )
        self._buffer = bytearray(fuse.READ_BUFFER_BYTES)
        self._spare: list[bytearray] = []

    must_send = False  # the kernel takes every answer at once

    def fileno(self) -> int:
        return self._descriptor

    def send(self) -> None:
        pass

    def resized(self, size_bytes: int) -> None:
        pass  # whoever wants to know asks

    def take(self, bridge: Bridge) -> bool:
        try:
            for _ in range(_READS_PER_ROUND):
                os.readv(self._descriptor, (self._buffer,))
                self._handle(bridge)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno == errno.ENODEV:  # unmounted
                return False
            if error.errno not in (errno.EINTR, errno.ENOENT):  # ENOENT: it was interrupted meanwhile
                raise
        return True

    def answer(self, handle: int, request: Pending, error: int, data: memoryview) -> None:
        if request.buffer is not None and len(self._spare) < _MAX_SPARE_BUFFERS:
            self._spare.append(request.buffer)
        if error or request.command == nbd.READ:
            self._answer(handle, error, data)
        elif request.command == nbd.WRITE:
            self._answer(handle, 0, fuse.WRITE_OUT.pack(request.length, 0))
        else:
            self._answer(handle, 0)

    def _handle(self, bridge: Bridge) -> None:
        buffer = self._buffer
        _, opcode, unique, _, _, _, _, _, _ = fuse.IN_HEADER.unpack_from(buffer)
        if opcode in (fuse.READ, fuse.WRITE):
            _, offset, size, _, _, _, _ = fuse.READ_WRITE_IN.unpack_from(buffer, fuse.IN_HEADER.size)
            if opcode == fuse.READ:
                self._read(bridge, unique, offset, size)
            else:
                self._write(bridge, unique, offset, size)
        elif opcode == fuse.FSYNC:
            if bridge.read_only or not bridge.export.flags & FLAG_SEND_FLUSH:
                self._answer(unique, 0)
            else:
                bridge.ask(unique, Pending(nbd.FLUSH, 0, 0))
        elif opcode == fuse.FALLOCATE:
            self._fallocate(bridge, unique)
        else:
            self._handle_rest(bridge, opcode, unique)

    def _read(self, bridge: Bridge, unique: int, offset: int, size: int) -> None:
        size = min(size, bridge.export.size_bytes - offset)
        if size <= 0:
            self._answer(unique, 0)
        else:
            bridge.ask(unique, Pending(nbd.READ, offset, size))

    def _write(self, bridge: Bridge, unique: int, offset: int, size: int) -> None:
        if bridge.read_only:
            self._answer(unique, errno.EROFS)
            return
        if offset + size > bridge.export.size_bytes:
            self._answer(unique, errno.ENOSPC)
            return
        payload = memoryview(self._buffer)[fuse.PAYLOAD_OFFSET : fuse.PAYLOAD_OFFSET + size]
        if size <= _COPIED_BYTES:
            bridge.ask(unique, Pending(nbd.WRITE, offset, size, bytes(payload)))
        else:
            bridge.ask(unique, Pending(nbd.WRITE, offset, size, payload, buffer=self._buffer))
            self._buffer = self._spare.pop() if self._spare else bytearray(fuse.READ_BUFFER_BYTES)

    def _fallocate(self, bridge: Bridge, unique: int) -> None:
        """Holes and zeroes only: both read as zeros afterwards, and both give space back."""
        _, offset, length, mode, _ = fuse.FALLOCATE_IN.unpack_from(self._buffer, fuse.IN_HEADER.size)
        size_bytes = bridge.export.size_bytes
        if bridge.read_only:
            self._answer(unique, errno.EROFS)
        elif not mode & _ZEROING or not bridge.export.flags & FLAG_SEND_WRITE_ZEROES:
            self._answer(unique, errno.EOPNOTSUPP)
        elif offset + length > size_bytes and not mode & fuse.FALLOCATE_KEEP_SIZE:
            self._answer(unique, errno.ENOSPC)
        elif (length := min(length, size_bytes - offset)) <= 0:
            self._answer(unique, 0)
        else:
            piece = min(length, _MAX_ZEROES_BYTES)
            bridge.ask(unique, Pending(nbd.WRITE_ZEROES, offset, piece, rest=length - piece))

    def _handle_rest(self, bridge: Bridge, opcode: int, unique: int) -> None:
        if opcode in fuse.NEVER_ANSWERED:
            return
        if opcode == fuse.INIT:
            _, _, readahead, flags = fuse.INIT_IN.unpack_from(self._buffer, fuse.IN_HEADER.size)
            self._answer(unique, 0, fuse.init_answer(flags, readahead))
        elif opcode == fuse.GETATTR:
            self._answer_attributes(bridge, unique)
        elif opcode == fuse.SETATTR:
            wanted, _, _, size = fuse.SETATTR_IN.unpack_from(self._buffer, fuse.IN_HEADER.size)
            if wanted & fuse.SETATTR_SIZE and size != bridge.export.size_bytes:
                self._answer(unique, errno.EPERM)
            else:
                self._answer_attributes(bridge, unique)
        elif opcode == fuse.OPEN:
            self._answer(unique, 0, fuse.OPEN_OUT.pack(0, self._open_flags, 0))
        elif opcode == fuse.STATFS:
            self._answer(unique, 0, fuse.STATFS_OUT.pack(0, 0, 0, 0, 0, 4096, 255, 4096, 0))
        elif opcode in (fuse.RELEASE, fuse.DESTROY):
            self._answer(unique, 0)
        else:
            self._answer(unique, errno.ENOSYS)  # then the kernel does without

    def _answer_attributes(self, bridge: Bridge, unique: int) -> None:
        mode = _FILE_MODE & ~0o222 if bridge.read_only else _FILE_MODE
        size = bridge.export.size_bytes
        self._answer(unique, 0, fuse.attributes_answer(size, mode, os.getuid(), os.getgid()))

    def _answer(self, unique: int, error: int, data: bytes | memoryview = b"") -> None:
        header = fuse.OUT_HEADER.pack(fuse.OUT_HEADER.size + len(data), -error, unique)
        try:
            os.writev(self._descriptor, (header, data))
        except OSError as failure:
            # ENOENT: whoever asked was killed and does not wait any more; ENODEV: unmounted meanwhile.
            if failure.errno not in (errno.ENOENT, errno.ENODEV):
                raise
