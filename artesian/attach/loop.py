"""Loop devices: a block device on top of a file."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

from artesian.attach import mounts, tools
from artesian.attach.errors import InUse, ToolFailed

SECTOR_BYTES = 4096
"""Of every device we make: the engine's own block size, so that no write has to be merged with old data.
A file system may depend on it, so it must be the same wherever a volume is attached."""

_POLL_S = 0.01
_SYSFS = Path("/sys/block")


def available() -> str | None:
    """Why no loop device can be made here; None if it can."""
    if os.geteuid() != 0:
        return "loop devices need root"
    for path in (Path("/dev/loop-control"), _SYSFS):
        if not path.exists():
            return f"there is no {path}"
    return tools.missing("losetup")


def create(file: Path, read_only: bool) -> Path:
    """A loop device over `file`, with direct I/O: its data is not cached twice. Raises ToolFailed."""
    options = ["--read-only"] if read_only else []
    outcome = tools.run(
        "losetup", "--find", "--show", "--direct-io=on", f"--sector-size={SECTOR_BYTES}", *options, file
    )
    return Path(outcome.output.strip())


def of_file(file: Path) -> list[Path]:
    """The loop devices over `file`. The file itself is not touched: it may not answer any more."""
    wanted = os.fsencode(mounts.absolute(file))
    return sorted(
        Path("/dev", backing.parts[-3])
        for backing in _SYSFS.glob("loop*/loop/backing_file")
        if _text(backing) == wanted
    )


def _text(path: Path) -> bytes:
    """What the kernel says; nothing of a device that was taken away just now."""
    try:
        return path.read_bytes().removesuffix(b"\n")
    except OSError:
        return b""


def refresh_size(device: Path) -> None:
    """Let the device take over its file's new size."""
    tools.run("losetup", "--set-capacity", device)


def remove(device: Path, file: Path, timeout_s: float = 5.0) -> bool:
    """Take a device away; False if some process still has it open: then it goes when that ends."""
    tools.run("losetup", "--detach", device, allowed=(0, 1))
    deadline = time.monotonic() + timeout_s
    while device in of_file(file):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def check_unused(device: Path) -> None:
    """Raises InUse if the block device is mounted, a swap area, or claimed by device mapper or the like."""
    held_by = [mount.path for mount in mounts.mounts_of_device(device)]
    if held_by:
        raise InUse(f"{device} is mounted at {held_by[0]}")
    try:
        os.close(os.open(device, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise InUse(f"{device} is in use (mounted elsewhere, or held by another device)") from None
        if error.errno not in (errno.ENOENT, errno.ENXIO, errno.EIO):
            raise ToolFailed(f"{device} cannot be opened: {error.strerror}") from None


def flush(device: Path) -> None:
    """Bring what was written to stable storage. Raises ToolFailed if that failed: something is lost."""
    try:
        descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENXIO):
            return
        raise ToolFailed(f"what was written to {device} cannot be flushed: {error.strerror}") from None
