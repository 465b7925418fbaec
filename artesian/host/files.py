"""Files that survive a crash as a whole, and locks that end with the process that holds them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

_MAX_LOG_BYTES = 16 << 20


def write_durably(path: Path, text: str, mode: int) -> None:
    """Replace a file as a whole: after a crash there is the old content or the new one. Raises OSError."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with open(descriptor, "w") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_if_changed(path: Path, text: str, mode: int) -> bool:
    """Replace a file as a whole unless it has this content; whether it was replaced. Raises OSError."""
    if path.exists() and path.read_text() == text:
        return False
    write_durably(path, text, mode)
    return True


def put_aside(path: Path) -> None:
    """Keep a folder, if it is there, under another name; what was put aside before goes. Raises OSError."""
    aside = path.with_name(f"{path.name}.removed")
    if path.exists():
        if aside.exists():
            shutil.rmtree(aside)
        path.rename(aside)


def rotate_log(path: Path) -> None:
    """Put a log that has become long aside; the one before it goes. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > _MAX_LOG_BYTES:
            path.replace(path.with_name(path.name + ".1"))


def try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock until it is closed, or None while another process holds it.

    Makes the file, not its folder. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def take_over_lock(path: Path, descriptor: int) -> bool:
    """Whether a descriptor that was inherited holds the lock; no child of ours inherits it any more."""
    try:
        if not os.path.samestat(os.fstat(descriptor), path.stat()):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.set_inheritable(descriptor, False)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for the lock, and hold it. Raises OSError.

    It is that of a folder that is there, or of a file: makes the file, not its folder.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
