"""Writing files so that they are on stable storage, whole, or not there at all."""

from __future__ import annotations

import os
from pathlib import Path

from artesian.embedded.errors import EngineError
from artesian.host.files import try_lock


def write_all(descriptor: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Write everything at `offset`. Raises OSError; what is in the file after that is undefined."""
    left = memoryview(data)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left = left[written:]
        offset += written


def replace_file(path: Path, data: bytes | bytearray) -> None:
    """Make `path` hold exactly `data`; a crash at any moment leaves the old file or the new one.

    It is on stable storage when this returns. Raises OSError.
    """
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, data, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(new, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Names of the files in it are on stable storage when this returns. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock_folder(folder: Path) -> int:
    """Make the folder if needed and keep other managers out of it; close the descriptor to let them in.

    Raises EngineError or OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = try_lock(folder / "lock")
    if descriptor is None:
        raise EngineError(f"{folder}: another manager is running on this folder")
    return descriptor
