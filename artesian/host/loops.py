"""Which loop devices there are, and what is behind them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_SYS_BLOCK = Path("/sys/block")


def loop_devices(sys_block: Path = _SYS_BLOCK) -> Mapping[tuple[int, int], tuple[str, ...]]:
    """The loop devices in use, by device and inode number of the file behind them."""
    found: dict[tuple[int, int], tuple[str, ...]] = {}
    for entry in sorted(sys_block.glob("loop*/loop/backing_file")):
        try:
            behind = os.stat(entry.read_text().rstrip("\n"))
        except OSError:
            continue  # detached meanwhile, or its file is deleted or not visible from here
        key = (behind.st_dev, behind.st_ino)
        found[key] = (*found.get(key, ()), f"/dev/{entry.parent.parent.name}")
    return found
