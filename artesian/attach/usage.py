"""Who uses an attachment: where it is mounted, and by which processes a mount is kept busy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from artesian.attach import daemons, fuse, mounts, tools
from artesian.attach.driver import Driver
from artesian.attach.errors import InUse, ToolFailed
from artesian.attach.record import Record

_UNMOUNT_TIMEOUT_S = 120.0  # everything that is not written yet is written now
_MAX_NAMED = 5


def mark_of_mount(folder: Path) -> str:
    """The mark of the user space file system that is mounted from an attachment."""
    return f"{folder}#mount"


def mount_paths(folder: Path, known: Record, driver: Driver) -> list[Path]:
    """Where a file system of this attachment is mounted, dead or alive."""
    devices = driver.devices_left(folder, known.device_path)
    found = [Path(mount.path) for device in devices for mount in mounts.mounts_of_device(device)]
    if known.mount_path is not None:
        path = Path(known.mount_path)
        mount = mounts.mounted_at(path)
        if mount is not None and mount.source == str(fuse.file_of(folder)) and path not in found:
            found.append(path)
    return found


def unmount(path: Path, folder: Path, *, force: bool = False) -> None:
    """Unmount a file system and wait for the process behind it, if there is one.

    Raises InUse, naming the processes; with `force` it goes out of sight at once and for good as soon as
    they end.
    """
    mount = mounts.mounted_at(path)
    if mount is None:
        return
    try:
        if mount.fstype.startswith("fuse"):
            fuse.unmount(path, force)
        else:
            _unmount_kernel(path, force)
    except (InUse, ToolFailed):
        users = "" if force else processes_using(path)
        if users:
            raise InUse(f"{path} is in use by {users}") from None
        raise
    if not daemons.wait_gone(mark_of_mount(folder), _UNMOUNT_TIMEOUT_S if not force else 5.0):
        if not force:
            raise ToolFailed(f"the file system process of {path} has not finished writing")
        daemons.stop(mark_of_mount(folder))


def _unmount_kernel(path: Path, force: bool) -> None:
    try:
        tools.run("umount", path, timeout_s=_UNMOUNT_TIMEOUT_S)
    except ToolFailed as error:
        if mounts.mounted_at(path) is None:
            return
        if force:
            tools.run("umount", "-l", path)
        elif "busy" in error.output:
            raise InUse(f"{path} is in use by some process") from None
        else:
            raise


def processes_using(path: Path) -> str:
    """The processes with a file open, or standing, under a path: their names and ids, as text."""
    prefix = mounts.absolute(path)
    named = []
    for entry in sorted(filter(str.isdigit, os.listdir("/proc")), key=int):
        if _uses(Path("/proc", entry), prefix):
            try:
                name = Path("/proc", entry, "comm").read_text().strip()
            except OSError:
                continue
            named.append(f"{name} ({entry})")
    return the_first_of(named, _MAX_NAMED)


def the_first_of(named: Sequence[str], most: int) -> str:
    """As text, with the number of those that are left out."""
    more = [f"{len(named) - most} more"] if len(named) > most else []
    return ", ".join([*named[:most], *more])


def _uses(process: Path, prefix: str) -> bool:
    links = [process / "cwd", process / "root", process / "exe"]
    try:
        links += list((process / "fd").iterdir())
    except OSError:
        pass
    for link in links:
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target == prefix or target.startswith(prefix + "/"):
            return True
    return False
