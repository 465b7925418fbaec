"""Whether a disk may become an OSD: what is on it, looked at without writing a byte."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from artesian.engines.ceph.bluestore_label import Label, read_label
from artesian.host.signatures import is_held_exclusively, signatures_by_blkid, signatures_by_wipefs
from artesian.host.tools import ToolTrouble, run_tool

MIN_BYTES = 1 << 30
_TOOL_S = 30.0


@dataclass(frozen=True, slots=True)
class Fitness:
    """What is known of a disk. It is fit if nothing is `wrong`, and carries nothing but perhaps our `label`.

    `failed`: it is not there, or cannot be read; what is on it is not known.
    """

    size_bytes: int = 0
    label: Label | None = None
    wrong: str = ""
    failed: bool = False


def look(path: str | None, owner: str) -> Fitness:
    """Of the disk that is, or is to be, the OSD with the uuid `owner`."""
    if path is None:
        return Fitness(wrong="the disk is not there", failed=True)
    try:
        size_bytes, is_block = _size(path)
        label = read_label(path)
    except OSError as error:
        return Fitness(wrong=f"{path} cannot be read: {error.strerror}", failed=True)
    except ValueError as error:
        return Fitness(wrong=str(error))
    if label is not None:
        if label.uuid == owner and label.is_understood:
            return Fitness(size_bytes, label)
        if label.uuid == owner:
            return Fitness(size_bytes, label, f"the label of {path} is not understood")
        return Fitness(size_bytes, label, f"{path} is the OSD {label.uuid} of cluster {label.fsid or '?'}")
    if size_bytes < MIN_BYTES:
        return Fitness(size_bytes, wrong=f"{path} has {size_bytes} bytes, and an OSD needs {MIN_BYTES}")
    try:
        run = partial(run_tool, timeout_s=_TOOL_S)
        signatures = signatures_by_blkid(path, run) + signatures_by_wipefs(path, run)
        if not signatures and is_block and is_held_exclusively(path):
            return Fitness(size_bytes, wrong=f"{path} is in use")
    except ToolTrouble as trouble:
        return Fitness(size_bytes, wrong=f"what is on {path} is not known: {trouble}")
    except OSError as error:
        return Fitness(size_bytes, wrong=f"whether {path} is in use is not known: {error.strerror}")
    if signatures:
        found = ", ".join(dict.fromkeys(signatures))
        return Fitness(size_bytes, wrong=f"{path} is not empty: it carries {found}")
    return Fitness(size_bytes)


def find(paths: Sequence[str]) -> str | None:
    """The first of a disk's names that means something."""
    return next((path for path in paths if os.path.exists(path)), None)


def _size(path: str) -> tuple[int, bool]:
    """Bytes, and whether it is a block device. Raises OSError, or ValueError if it is no disk."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
        raise ValueError(f"{path} is neither a block device nor a file")
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return os.lseek(descriptor, 0, os.SEEK_END), stat.S_ISBLK(mode)
    finally:
        os.close(descriptor)
