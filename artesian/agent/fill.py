"""How full the file systems of volumes are, asked by threads: a mount behind which nobody answers hangs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from artesian.agent.background import Begin, in_daemon_thread
from artesian.attach import mounts

EVERY_S = 15.0
_WORTH_TELLING = 200  # a change by this part of the whole: reports are not to change all the time

Measure = Callable[[Path], "Fill | None"]


@dataclass(frozen=True, slots=True)
class Fill:
    """`total_bytes`: what whoever is not root could use, without what the file system needs for itself."""

    used_bytes: int
    total_bytes: int


def fill_of(path: Path) -> Fill | None:
    """Of the file system that is mounted at this path; None if none is, or it is dead. May hang."""
    mount = mounts.mounted_at(path)
    if mount is None:
        return None
    try:
        status = os.statvfs(path)
    except OSError:
        return None
    if mounts.mounted_at(path) != mount:
        return None  # it went meanwhile, and this was what is below
    used = (status.f_blocks - status.f_bfree) * status.f_frsize
    total = used + status.f_bavail * status.f_frsize
    return Fill(used, total) if total > 0 else None


@dataclass(slots=True)
class _Watched:
    asked_s: float = float("-inf")
    under_way: bool = False
    fill: Fill | None = None


class Fills:
    """The fill of each volume, as it was found last. One that hangs costs one thread, and no more."""

    def __init__(
        self,
        measure: Measure = fill_of,
        clock: Callable[[], float] = time.monotonic,
        begin: Begin | None = None,
    ) -> None:
        """`begin` has the measuring done, by a thread of its own if nobody else is named."""
        self._measure = measure
        self._clock = clock
        self._begin = begin or in_daemon_thread("fill")
        self._watched: dict[str, _Watched] = {}

    def of(self, volume_id: str, path: Path) -> Fill | None:
        """What is known by now of what is mounted at `path`; it is measured anew if that is due."""
        watched = self._watched.setdefault(volume_id, _Watched())
        now = self._clock()
        if not watched.under_way and now - watched.asked_s >= EVERY_S:
            watched.under_way, watched.asked_s = True, now
            self._begin(lambda: self._look(watched, path))
        return watched.fill

    def forget(self, volume_id: str) -> None:
        """It is another file system, another size, or gone: what is under way counts for nothing."""
        self._watched.pop(volume_id, None)

    def _look(self, watched: _Watched, path: Path) -> None:
        try:
            fill, known = self._measure(path), watched.fill
            if fill is None or known is None or _differ(fill, known):
                watched.fill = fill
        finally:
            watched.under_way = False


def _differ(one: Fill, other: Fill) -> bool:
    if one.total_bytes != other.total_bytes:
        return True
    return abs(one.used_bytes - other.used_bytes) * _WORTH_TELLING >= one.total_bytes
