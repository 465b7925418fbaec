"""The files of a node that is a folder: disks, attributes, and what describes it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from artesian.clusters.port import SubstrateUnusable
from artesian.host.files import write_durably
from artesian.model.errors import NotPossible

_MIN_DISK_BYTES = 64 << 20
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DISK_NAMES = [f"sd{one}{two}" for one in ["", *_LETTERS] for two in _LETTERS[one == "" :]]


def check_size(size_bytes: int) -> None:
    """Raises NotPossible for what is too small to be a disk."""
    if size_bytes < _MIN_DISK_BYTES:
        raise NotPossible(f"a disk has at least {_MIN_DISK_BYTES >> 20} MiB")


def make_disks(folder: Path, disks: Sequence[tuple[str | None, int]]) -> None:
    """The first disks of a node, each a name or None for the next free one, and a size in bytes.

    Those that are there stay: whoever made them was killed before the node was. Raises NotPossible.
    """
    free = iter(sorted(set(_DISK_NAMES) - {disk for disk, _ in disks}, key=_DISK_NAMES.index))
    for disk, size_bytes in disks:
        one = disk or next(free, None)
        if one is None:
            raise NotPossible(f"a node has at most {len(_DISK_NAMES)} disks")
        with contextlib.suppress(FileExistsError):
            _make_disk(folder / one, size_bytes)


def make_another_disk(folder: Path, size_bytes: int, disk: str | None) -> Path | None:
    """One of this name, or of the next free one; None if that is taken."""
    for one in [disk] if disk else _DISK_NAMES:
        with contextlib.suppress(FileExistsError):
            _make_disk(folder / one, size_bytes)
            return folder / one
    return None


def _make_disk(path: Path, size_bytes: int) -> None:
    """A sparse file of this size, at once. Raises FileExistsError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")  # hidden: no disk yet
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, size_bytes)
        os.link(temporary, path)
    finally:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)


def check_attribute(key: str) -> None:
    """Raises NotPossible for what names no file, and so no attribute."""
    if "/" in key or key.startswith("."):
        raise NotPossible(f"{key!r} is no name for an attribute")


def write_attributes(folder: Path, attributes: Mapping[str, str]) -> None:
    """One file for each; others stay. Raises OSError."""
    for key, value in attributes.items():
        write_durably(folder / key, value + "\n", 0o644)


def read_attributes(folder: Path) -> dict[str, str]:
    """One file for each attribute, its content the value."""
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_file() and not path.name.startswith("."):
            found[path.name] = path.read_text(errors="replace").strip()
    return found


def read_json(path: Path) -> dict[str, Any]:
    """Raises SubstrateUnusable for what cannot be read."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SubstrateUnusable(f"{path} cannot be read: {error}") from None
    return found
