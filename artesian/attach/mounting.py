"""Mount the file system of an attached volume, unmount it, and let it grow."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from artesian.attach import attaching, daemons, filesystem, mounts, record, tools, usage
from artesian.attach.driver import Attachment
from artesian.attach.errors import (
    CannotGrow,
    Damaged,
    FilesystemError,
    InUse,
    NotAttached,
    NotEmpty,
    ToolFailed,
)
from artesian.attach.filesystem import FsType
from artesian.attach.record import Record

_LOG_NAME = "mount.log"
_READY_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Mounted:
    """`made`: the file system was made by this call; `grown`: it took over a larger volume's space."""

    path: Path
    fstype: str
    device: Path
    made: bool = False
    grown: bool = False


def mount(
    folder: Path,
    path: Path,
    *,
    fstype: FsType | None = None,
    overwrite: bool = False,
    label: str | None = None,
) -> Mounted:
    """Mount the volume attached in `folder` at `path`; makes a file system if the volume is empty.

    Without `fstype` whatever is there is mounted, and ext4 is made on an empty volume. With `overwrite`
    what is there is lost. Does nothing if it is mounted at `path` already. Raises NotAttached, BadAddress,
    InUse, NotEmpty, Damaged, FilesystemError.
    """
    folder, path = folder.resolve(), Path(os.path.abspath(path))
    with record.locked(folder):
        known, attached = _attached(folder)
        attaching.prepare_to_flush(folder, known, force=False)
        existing = _existing(folder, known, path)
        if existing is not None:
            if overwrite:
                raise InUse(f"the volume is mounted at {path}; unmount it before it is overwritten")
            return Mounted(path, existing, attached.device)
        _check_folder(path)
        chosen, must_make = _choose(attached, known, fstype, overwrite)
        record.save(folder, known.with_mount(str(path), chosen, making=must_make))
        if must_make:
            lost = overwrite or known.making
            filesystem.make(attached.device, FsType(chosen), overwrite=lost, label=label, trim=lost)
            record.save(folder, known.with_mount(str(path), chosen, making=False))
        filesystem.check(attached.device, chosen, attached.read_only)
        outgrown = not attached.read_only and filesystem.has_outgrown(attached.device, chosen)
        if outgrown and chosen == FsType.EXT4:
            filesystem.grow_unmounted_ext4(attached.device)
        with _alone_at(path):
            _mount(attached, path, chosen, folder)
        if outgrown and chosen == FsType.XFS:
            filesystem.grow_mounted(attached.device, path, chosen)
        return Mounted(path, chosen, attached.device, made=must_make, grown=outgrown)


def unmount(folder: Path, *, force: bool = False) -> Path | None:
    """Unmount the volume attached in `folder`; the path it was at, None if it was not mounted.

    Raises InUse, which names the processes that use it, and BadAddress when what is not written yet cannot
    be written because the server does not answer.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        return None
    with record.locked(folder):
        known = record.load(folder)
        if known is None:
            return None
        paths = usage.mount_paths(folder, known, attaching.driver_named(known.driver))
        if paths:
            attaching.prepare_to_flush(folder, known, force=force)
        for path in paths:
            usage.unmount(path, folder, force=force)
        record.save(folder, known.with_mount(None, None))
        return paths[0] if paths else None


def flush(folder: Path) -> None:
    """Bring what was written to the mounted file system to stable storage, if that is possible."""
    mounted = find(folder)
    if mounted is None:
        return
    try:
        descriptor = os.open(mounted.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return  # it is not alive any more
    try:
        ctypes.CDLL(None).syncfs(descriptor)
    finally:
        os.close(descriptor)


def find(folder: Path) -> Mounted | None:
    """Where the volume attached in `folder` is mounted; None if it is not."""
    folder = folder.resolve()
    known = record.load(folder) if folder.is_dir() else None
    if known is None:
        return None
    attached = attaching.describe(folder, known)
    paths = usage.mount_paths(folder, known, attaching.driver_named(known.driver))
    if not paths or attached is None:
        return None
    return Mounted(paths[0], _fstype_at(paths[0], known), attached.device)


def grow(folder: Path) -> Mounted | None:
    """Let the volume's device take over its new size, and its file system if one is mounted.

    Raises NotAttached, CannotGrow, FilesystemError.
    """
    attached = attaching.grow(folder)
    mounted = find(folder)
    if mounted is None:
        return None
    if not attached.device.is_block_device():
        raise CannotGrow("a user space file system grows only when it is unmounted and mounted again")
    grown = filesystem.has_outgrown(attached.device, mounted.fstype)
    if grown:
        filesystem.grow_mounted(attached.device, mounted.path, mounted.fstype)
    return Mounted(mounted.path, mounted.fstype, attached.device, grown=grown)


def _attached(folder: Path) -> tuple[Record, Attachment]:
    known = record.load(folder)
    attached = attaching.describe(folder, known) if known is not None else None
    if known is None or attached is None or not attached.alive or known.phase is not record.Phase.ATTACHED:
        raise NotAttached("the volume is not attached here")
    return known, attached


def _existing(folder: Path, known: Record, path: Path) -> str | None:
    """The file system type if the volume is mounted there. Raises InUse if one of them is taken otherwise."""
    paths = usage.mount_paths(folder, known, attaching.driver_named(known.driver))
    wanted = Path(mounts.absolute(path))
    if wanted in paths:
        return _fstype_at(wanted, known)
    if paths:
        raise InUse(f"the volume is mounted at {paths[0]} already")
    other = mounts.mounted_at(path)
    if other is not None:
        raise InUse(f"{other.source} is mounted at {path} already")
    return None


@contextlib.contextmanager
def _alone_at(path: Path) -> Iterator[None]:
    """While nobody else of us mounts at a path. Raises InUse if something is mounted there by now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise FilesystemError(f"{path} cannot be mounted on: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        other = mounts.mounted_at(path)
        if other is not None:
            raise InUse(f"{other.source} is mounted at {path} already")
        yield
    finally:
        os.close(descriptor)


def _fstype_at(path: Path, known: Record) -> str:
    mount = mounts.mounted_at(path)
    if mount is None or mount.fstype.startswith("fuse"):
        return known.fstype or FsType.EXT4
    return mount.fstype


def _check_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise InUse(f"{path} is not empty; a mount would hide what is in it")
    except OSError as error:
        raise FilesystemError(f"{path} cannot be mounted on: {error.strerror}") from None


def _choose(attached: Attachment, known: Record, fstype: FsType | None, overwrite: bool) -> tuple[str, bool]:
    """Which file system, and whether it has to be made."""
    found = filesystem.probe(attached.device)
    if known.making and known.fstype is not None and fstype in (None, known.fstype):
        return known.fstype, True  # it was being made when we were interrupted
    if found is None or overwrite:
        if attached.read_only:
            raise FilesystemError(f"{attached.device} is read-only: no file system can be made on it")
        return fstype or FsType.EXT4, True
    if found.kind not in list(FsType) or (fstype is not None and found.kind != fstype):
        wanted = f"no {fstype}" if fstype is not None else "nothing that can be mounted"
        raise NotEmpty(f"{attached.device} carries {found.kind}, {wanted}; it was not touched")
    return found.kind, False


def _mount(attached: Attachment, path: Path, fstype: str, folder: Path) -> None:
    if not attached.device.is_block_device():
        _mount_in_user_space(attached, path, fstype, folder)
        return
    # XFS minds a second mount of the same volume on one machine, and of what began as a copy of it.
    options = ["-o", "nouuid"] if fstype == FsType.XFS else []
    if attached.read_only:  # neither can replay its log on a device that cannot be written
        options = ["-o", "ro,noload" if fstype == FsType.EXT4 else "ro,norecovery,nouuid"]
    try:
        tools.run("mount", "-t", fstype, *options, attached.device, path, timeout_s=600)
    except ToolFailed as error:
        if "needs cleaning" in error.output:
            raise Damaged(
                f"{fstype} on {attached.device} is damaged; look with `xfs_repair -n {attached.device}`"
            ) from None
        raise FilesystemError(str(error)) from None


def _mount_in_user_space(attached: Attachment, path: Path, fstype: str, folder: Path) -> None:
    """fuse2fs keeps no journal: after a crash of the machine e2fsck has more to repair."""
    if fstype != FsType.EXT4:
        raise FilesystemError(f"{fstype} can be mounted from a block device only; without one there is ext4")
    log = folder / _LOG_NAME
    options = ["-o", "ro"] if attached.read_only else []
    mark = usage.mark_of_mount(folder)
    try:
        process = daemons.start("fuse2fs", ["-f", attached.device, path, *options], mark, log, folder)
        daemons.wait_until(
            lambda: mounts.mounted_at(path) is not None, process, "fuse2fs", log, _READY_TIMEOUT_S
        )
    except ToolFailed as error:
        daemons.stop(mark)
        raise FilesystemError(str(error)) from None
