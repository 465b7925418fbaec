"""Which loop devices there are, and what is behind them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_SYS_BLOCK = Path("/sys/block")
_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(r"\\([0-7]{3})")


def loop_devices(
    sys_block: Path = _SYS_BLOCK, mounts: Path = _MOUNTS
) -> Mapping[tuple[int, int], tuple[str, ...]]:
    """The loop devices in use, by device and inode number of the file behind them.

    Not those of files that a process makes up, as ours do of volumes: no disk is there, and who asks may wait
    for ever.
    """
    found: dict[tuple[int, int], tuple[str, ...]] = {}
    made_up = _made_up(mounts.read_text())
    for entry in sorted(sys_block.glob("loop*/loop/backing_file")):
        try:
            path = entry.read_text().rstrip("\n")
            if any(path == one or path.startswith(f"{one}/") for one in made_up):
                continue
            behind = os.stat(path)
        except OSError:
            continue  # detached meanwhile, or its file is deleted or not visible from here
        key = (behind.st_dev, behind.st_ino)
        found[key] = (*found.get(key, ()), f"/dev/{entry.parent.parent.name}")
    return found


def _made_up(mounts: str) -> list[str]:
    """Where file systems are mounted that processes serve."""
    found = []
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        if after.split()[0].partition(".")[0] in ("fuse", "fuseblk"):
            found.append(_ESCAPE.sub(lambda match: chr(int(match[1], 8)), before.split()[4]))
    return found
