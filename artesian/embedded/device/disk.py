"""A file or block device, as the store uses it: the only place that touches the disk."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
import struct
from typing import Self, TypeAlias

from artesian.embedded.buffers import BufferPool
from artesian.embedded.device.signatures import foreign_signature
from artesian.embedded.errors import DeviceIoError, NoSpace

_BLKGETSIZE64 = 0x80081272
_BLKZEROOUT = 0x127F
_PUNCH_HOLE = 3  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
_PUNCH_BYTES = 64 * 1024
PIECE_BYTES = 128 * 1024
_POOLED_BYTES = 64 * 1024  # reads from this size on are into memory that is used again
_POOL_BYTES = 8 << 20
Buffer: TypeAlias = "bytes | bytearray | memoryview"  # of bytes


class Disk:
    """An open disk, locked so that no second process opens it. Offsets and lengths are bytes.

    Errors of the operating system become DeviceIoError; a host file system that is full becomes NoSpace.
    """

    def __init__(self, descriptor: int, path: str, size_bytes: int) -> None:
        self.descriptor = descriptor
        self.path = path
        self.size_bytes = size_bytes
        self._pool = BufferPool(_POOL_BYTES)

    @classmethod
    def open(cls, path: str) -> Self:
        """Open and lock a file or block device. Raises DeviceIoError."""
        try:
            mode = os.stat(path).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
                raise DeviceIoError(f"{path} is neither a file nor a block device")
            exclusive = os.O_EXCL if stat.S_ISBLK(mode) else 0  # the kernel refuses a device that is in use
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | exclusive)
        except OSError as error:
            raise DeviceIoError(f"{path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(descriptor, path, _size(descriptor, mode))
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
                raise DeviceIoError(f"{path} is in use by another server") from error
            raise DeviceIoError(f"{path}: {error.strerror}") from error

    def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes."""
        try:
            data = os.pread(self.descriptor, length, offset)
            while len(data) < length:
                more = os.pread(self.descriptor, length - len(data), offset + len(data))
                if not more:
                    raise DeviceIoError(f"{self.path} ends before byte {offset + length}")
                data += more
        except OSError as error:
            raise self._failed("read", error) from error
        return data

    def read_cached(
        self, offset: int, length: int, into: memoryview | None = None
    ) -> bytearray | memoryview | None:
        """These bytes if they are in the page cache, `into` memory of this length if it is given.

        None when the disk would have to be asked.
        """
        buffer: bytearray | memoryview
        if into is not None:
            buffer = into
        else:
            buffer = self._pool.take(length) if length >= _POOLED_BYTES else bytearray(length)
        try:
            if os.preadv(self.descriptor, [buffer], offset, os.RWF_NOWAIT) != length:
                return None
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                return bytearray(self.read(offset, length))
            raise self._failed("read", error) from error
        return buffer

    def write(self, offset: int, data: Buffer, *, piece_bytes: int = PIECE_BYTES) -> None:
        """Into the page cache: survives the death of this process, not the loss of power.

        The kernel caches what one call writes as one folio where it can, and ext4 then looks at each of its
        blocks whenever any of them is written. So what is written whole and changed in small parts later is
        written in pieces (bytes): a 4 KiB write into folios of 1 MiB took 4.6 µs, of 256 KiB 2.7 µs.
        """
        try:
            length, written = len(data), 0
            if length <= piece_bytes:
                written = os.pwrite(self.descriptor, data, offset)
            while written < length:
                piece = memoryview(data)[written : written + piece_bytes]
                written += os.pwrite(self.descriptor, piece, offset + written)
        except OSError as error:
            raise self._failed("write", error) from error

    def write_durable(self, offset: int, data: Buffer) -> None:
        """These bytes are on stable storage afterwards."""
        try:
            if os.pwritev(self.descriptor, [data], offset, os.RWF_DSYNC) != len(data):
                self.write(offset, data)
                os.fdatasync(self.descriptor)
        except OSError as error:
            raise self._failed("write", error) from error

    def sync(self) -> None:
        """Everything written before is on stable storage afterwards. May run in a thread."""
        try:
            os.fdatasync(self.descriptor)
        except OSError as error:
            raise self._failed("flush", error) from error

    def reserve(self, offset: int, length: int) -> None:
        """Make sure that a sparse file has room for these bytes. Raises NoSpace."""
        if not stat.S_ISREG(os.fstat(self.descriptor).st_mode):
            return
        try:
            os.posix_fallocate(self.descriptor, offset, length)
        except OSError as error:
            raise self._failed("reserve space", error) from error

    def clear(self, offset: int, length: int) -> None:
        """Make bytes zeros, giving their space back to a host file system where that is quicker."""
        try:
            if length < _PUNCH_BYTES:
                self.write(offset, bytes(length))
            elif stat.S_ISBLK(os.fstat(self.descriptor).st_mode):
                fcntl.ioctl(self.descriptor, _BLKZEROOUT, struct.pack("QQ", offset, length))
            elif _fallocate(self.descriptor, _PUNCH_HOLE, offset, length):
                for at in range(offset, offset + length, 1 << 20):
                    self.write(at, bytes(min(1 << 20, offset + length - at)))
        except OSError as error:
            raise self._failed("clear", error) from error

    def foreign_signature(self) -> str | None:
        """What is on the disk that is not ours, in words; see `signatures.foreign_signature`."""
        return foreign_signature(self.path)

    def close(self) -> None:
        """Give the disk up; whoever still uses it gets an error, never another file's bytes."""
        descriptor, self.descriptor = self.descriptor, -1
        os.close(descriptor)

    def _failed(self, doing: str, error: OSError) -> DeviceIoError | NoSpace:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return NoSpace(f"the file system that holds {self.path} is full")
        return DeviceIoError(f"{self.path}: {doing} failed: {error.strerror}")


def _fallocate(descriptor: int, mode: int, offset: int, length: int) -> int:
    """fallocate(2), which Python does not offer; 0, or an error number where it is not supported."""
    function = ctypes.CDLL(None, use_errno=True).fallocate
    function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return ctypes.get_errno() if function(descriptor, mode, offset, length) else 0


def _size(descriptor: int, mode: int) -> int:
    if stat.S_ISREG(mode):
        return os.fstat(descriptor).st_size
    (size,) = struct.unpack("Q", fcntl.ioctl(descriptor, _BLKGETSIZE64, bytes(8)))
    return int(size)
