"""The engine under the story, and what of the story depends on it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EngineKind:
    """`name`: as `artesian up --engine` and a spec call it; `manager` and `server`: how the names of such
    processes begin; `stall_limit_s`: how long no commit may wait, whatever dies."""

    name: str
    disks_per_node: int
    disk_bytes: int
    manager: str
    server: str
    stall_limit_s: float
    dies: str
    let_die: Callable[[Path], None]


def _lose_everything(disk: Path) -> None:
    size_bytes = disk.stat().st_size
    os.truncate(disk, 0)
    os.truncate(disk, size_bytes)


def _vanish(disk: Path) -> None:
    disk.rename(disk.with_name(f".{disk.name}.dead"))


EMBEDDED = EngineKind(
    "embedded",
    2,
    1 << 30,
    "mdm",
    "sds",
    5.0,
    "has lost everything when its server starts again",
    _lose_everything,
)
CEPH = EngineKind("ceph", 1, 2 << 30, "mon", "osd", 15.0, "is not there any more", _vanish)


def choose_engine() -> EngineKind:
    """As ENGINE says: embedded (what it is if nothing is said) or ceph. Raises ValueError."""
    name = os.environ.get("ENGINE") or EMBEDDED.name
    for one in (EMBEDDED, CEPH):
        if one.name == name:
            return one
    raise ValueError(f"ENGINE is embedded or ceph, not {name!r}")
