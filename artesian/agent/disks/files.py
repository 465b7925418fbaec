"""What the file system says of a file that stands for a disk."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from dataclasses import dataclass

_GET_GENERATION = 0x80087601  # FS_IOC_GETVERSION
_NO_GENERATION = frozenset({errno.ENOTTY, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
_ANY_WRITE_BIT = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file at one moment. Two equal ones are the same file with the same content.

    Inodes are used again for new files; the generation, 0 where the file system has none, tells them apart.
    """

    device: int
    inode: int
    generation: int
    size_bytes: int
    modified_ns: int
    changed_ns: int
    read_only: bool

    @property
    def identity(self) -> str:
        """Stays when the file is renamed; no other file has it on the same file system."""
        return f"file:{self.inode}-{self.generation}"

    @property
    def touched_ns(self) -> int:
        """When it was last written to, or something about it changed, in ns of the system's clock."""
        return max(self.modified_ns, self.changed_ns)


def look_at(path: str) -> FileFacts | None:
    """The facts of a regular file; None for anything else, also a symlink. Raises OSError."""
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return None  # before opening: to open a pipe would wait for its other end
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        generation = _generation(descriptor)
    finally:
        os.close(descriptor)
    # Root may write to everything; a file without any write bit is meant to be left alone all the same.
    read_only = not (status.st_mode & _ANY_WRITE_BIT and os.access(path, os.W_OK))
    return FileFacts(
        device=status.st_dev,
        inode=status.st_ino,
        generation=generation,
        size_bytes=status.st_size,
        modified_ns=status.st_mtime_ns,
        changed_ns=status.st_ctime_ns,
        read_only=read_only,
    )


def _generation(descriptor: int) -> int:
    try:
        answer = fcntl.ioctl(descriptor, _GET_GENERATION, bytes(8))
    except OSError as error:
        if error.errno in _NO_GENERATION:
            return 0
        raise
    # The kernel writes an int, whatever the size in the number of the call says.
    (generation,) = struct.unpack_from("=I", answer)
    return int(generation)
