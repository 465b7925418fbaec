"""File systems on a device: what is there, making one, checking it, its size. Nothing is mounted here.

A file system is made only on a device that libblkid finds empty, unless overwriting is asked for. Before a
mount, ext4 is checked with `e2fsck -p`, which replays the journal and does a full check only after errors;
XFS replays its log when it is mounted. Repairs that may lose data are never made without being asked.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from artesian.attach import tools
from artesian.attach.errors import Damaged, FilesystemError, NotEmpty, ToolFailed

_PROBED_BYTES = 1 << 20
_NO_TIMEOUT_S = 7 * 24 * 3600.0  # a check or a resize takes as long as it takes
_XFS_MIN_BYTES = 300 << 20


class FsType(StrEnum):
    EXT4 = "ext4"
    XFS = "xfs"


@dataclass(frozen=True, slots=True)
class Signature:
    """What libblkid recognised: `kind` is a file system, a partition table, a RAID member or the like."""

    kind: str
    label: str | None = None
    uuid: str | None = None


def probe(device: Path) -> Signature | None:
    """What is on the device; None only if it can be read and nothing was found. Raises FilesystemError."""
    _check_readable(device)
    try:
        outcome = tools.run("blkid", "-p", "-o", "export", device, allowed=(0, 2, 8))
    except ToolFailed as error:
        raise FilesystemError(f"{device} cannot be probed: {error}") from None
    if outcome.exit_code == 8:
        return Signature("several contradicting signatures")
    if outcome.exit_code == 2:
        # Also the answer to a device that cannot be read, which is why errors count as well.
        if outcome.errors.strip():
            raise FilesystemError(f"{device} cannot be probed: {tools.summary(outcome.errors)}")
        return None
    found = dict(line.partition("=")[::2] for line in outcome.output.splitlines() if "=" in line)
    kind = found.get("TYPE") or found.get("PTTYPE")
    if kind is None:
        return Signature(found.get("USAGE", "an unknown signature"))
    if "TYPE" not in found:
        kind = f"{kind} partition table"
    return Signature(kind, found.get("LABEL"), found.get("UUID"))


def make(
    device: Path, fstype: FsType, *, overwrite: bool = False, label: str | None = None, trim: bool = False
) -> None:
    """Make a file system. Raises NotEmpty if something is there and `overwrite` is not set.

    `trim` gives the whole space back first; of no use on a volume that was never written.
    Made by another user than root, the file system's root folder belongs to that user.
    """
    found = probe(device)
    if found is not None and not overwrite:
        raise NotEmpty(f"{device} carries {_named(found)}; it is overwritten only if that is asked for")
    if fstype is FsType.XFS:
        if (size := _size(device)) < _XFS_MIN_BYTES:
            raise FilesystemError(f"XFS needs at least 300 MiB, {device} has {size >> 20} MiB")
        options = ["-q", *([] if trim else ["-K"]), *(["-f"] if overwrite else [])]
        options += ["-L", label[:12]] if label else []
        _run("mkfs.xfs", *options, device)
        return
    extended = [] if trim else ["nodiscard"]
    if os.geteuid() != 0:
        extended.append(f"root_owner={os.geteuid()}:{os.getegid()}")
    options = ["-q", *(["-F", "-F"] if overwrite or not device.is_block_device() else [])]
    options += ["-E", ",".join(extended)] if extended else []
    options += ["-L", label[:16]] if label else []
    _run("mkfs.ext4", *options, device)


def check(device: Path, fstype: str, read_only: bool) -> None:
    """What has to be done before a mount. Raises Damaged if only the owner can decide what to do."""
    if fstype != FsType.EXT4 or read_only:
        return
    outcome = _run("e2fsck", "-p", device, allowed=tuple(range(256)))
    if outcome.exit_code & 4:
        raise Damaged(f"{device} has damage that e2fsck does not repair by itself: run `e2fsck -f {device}`")
    if outcome.exit_code & ~0b11:
        raise FilesystemError(f"e2fsck: {tools.summary(outcome.errors + outcome.output, outcome.exit_code)}")


def size_bytes(device: Path, fstype: str) -> int:
    """How large the file system says it is. Raises FilesystemError."""
    try:
        with device.open("rb", buffering=0) as file:
            head = file.read(4096)
    except OSError as error:
        raise FilesystemError(f"{device} cannot be read: {error.strerror}") from None
    if fstype == FsType.XFS and head[:4] == b"XFSB":
        block_bytes, blocks = struct.unpack_from(">IQ", head, 4)
        return int(block_bytes * blocks)
    if fstype == FsType.EXT4 and head[1080:1082] == b"\x53\xef":
        low, log_block_bytes = struct.unpack_from("<I16xI", head, 1024 + 4)
        (high,) = struct.unpack_from("<I", head, 1024 + 0x150)
        (incompatible,) = struct.unpack_from("<I", head, 1024 + 0x60)
        blocks = low + ((high << 32) if incompatible & 0x80 else 0)
        return int(blocks << (10 + log_block_bytes))
    raise FilesystemError(f"{device} has no {fstype} file system")


def has_outgrown(device: Path, fstype: str) -> bool:
    """Whether the device has become notably larger than its file system."""
    return _size(device) - size_bytes(device, fstype) >= 1 << 20


def grow_unmounted_ext4(device: Path) -> None:
    """Let an ext4 that is not mounted take the whole device."""
    outcome = _run("e2fsck", "-f", "-p", device, allowed=tuple(range(256)))
    if outcome.exit_code & ~0b11:
        raise Damaged(f"{device} has damage that e2fsck does not repair by itself: run `e2fsck -f {device}`")
    _run("resize2fs", device)


def grow_mounted(device: Path, path: Path, fstype: str) -> None:
    """Let a file system that the kernel has mounted take the whole device. Raises FilesystemError."""
    if fstype == FsType.XFS:
        _run("xfs_growfs", "-d", path)
        return
    try:
        _run("resize2fs", device)
    except FilesystemError as error:
        if "Permission denied" in str(error) or "not permitted" in str(error):
            raise FilesystemError(
                "a mounted ext4 may not be grown here (the kernel wants CAP_SYS_RESOURCE); "
                "it grows when it is unmounted and mounted again"
            ) from None
        raise


def _run(tool: str, *arguments: str | Path, allowed: tuple[int, ...] = (0,)) -> tools.Outcome:
    try:
        return tools.run(tool, *arguments, timeout_s=_NO_TIMEOUT_S, allowed=allowed)
    except ToolFailed as error:
        raise FilesystemError(str(error)) from None


def _check_readable(device: Path) -> None:
    """libblkid takes what it cannot read for empty; we do not."""
    try:
        with device.open("rb", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            for offset in (0, max(0, size - _PROBED_BYTES)):
                file.seek(offset)
                file.read(min(_PROBED_BYTES, size))
    except OSError as error:
        raise FilesystemError(f"{device} cannot be read: {error.strerror}") from None


def _size(device: Path) -> int:
    try:
        with device.open("rb", buffering=0) as file:
            return file.seek(0, os.SEEK_END)
    except OSError as error:
        raise FilesystemError(f"{device} cannot be read: {error.strerror}") from None


def _named(found: Signature) -> str:
    named = f" named {found.label!r}" if found.label else ""
    article = "an" if found.kind[:1] in "aeiou" else "a"
    return f"{article} {found.kind}{named}" if found.kind[:3] not in ("an ", "sev") else found.kind
