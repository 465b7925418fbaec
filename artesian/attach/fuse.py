"""What the exporters that show a volume as a file have in common: the FUSE mount of that file."""

from __future__ import annotations

import os
from pathlib import Path

from artesian.attach import daemons, mounts, tools
from artesian.attach.errors import InUse, ToolFailed

FILE_NAME = "volume"
LOG_NAME = "exporter.log"


def available() -> str | None:
    """Why nothing can be mounted over FUSE here; None if it can."""
    if not Path("/dev/fuse").exists():
        return "there is no /dev/fuse"
    if os.geteuid() != 0:
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            return "this user may not open /dev/fuse"
        return tools.missing("fusermount3")
    return None


def file_of(folder: Path) -> Path:
    """Where the volume shows as a file."""
    return folder / FILE_NAME


def is_mounted(path: Path) -> bool:
    mount = mounts.mounted_at(path)
    return mount is not None and mount.fstype.startswith("fuse")


def prepare(folder: Path) -> Path:
    """An empty file to mount the volume over."""
    file = file_of(folder)
    file.touch(mode=0o600)
    return file


def unmount(path: Path, force: bool) -> None:
    """Unmount a FUSE mount, dead or alive. Raises InUse while files in it are open, unless forced."""
    while is_mounted(path):
        try:
            _unmount_once(path, lazy=False)
        except ToolFailed as error:
            if not is_mounted(path):
                return
            if force:
                _unmount_once(path, lazy=True)
            elif "busy" in error.output:
                raise InUse(f"{path} is still open in some process") from None
            else:
                raise


def _unmount_once(path: Path, lazy: bool) -> None:
    if os.geteuid() == 0:
        tools.run("umount", *(["-l"] if lazy else []), path)
    else:
        tools.run("fusermount3", "-u", *(["-z"] if lazy else []), path)


def take_down(folder: Path, force: bool) -> None:
    """Unmount the file and end the exporter of this folder, in whatever condition they are."""
    unmount(file_of(folder), force)
    daemons.stop(str(folder))
    unmount(file_of(folder), force=True)  # nobody serves it any more
    file_of(folder).unlink(missing_ok=True)
    (folder / LOG_NAME).unlink(missing_ok=True)
