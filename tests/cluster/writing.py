"""A program that uses a volume all the time, and what is to be found of what it wrote."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

from tests.cluster.writer import FILES, content_of, name_of
from tests.patience import PATIENCE


class Writer:
    """A program on the machine that uses a volume, and notices whatever is wrong with it."""

    def __init__(self, folder: Path, progress: Path) -> None:
        self._progress = progress
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.writer", str(folder), str(progress)],
            stdin=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
        )
        self.goes_on()

    def _lines(self) -> list[str]:
        return self._progress.read_text().splitlines() if self._progress.exists() else []

    def goes_on(self, timeout_s: float = 60.0) -> None:
        """It has written and verified more than at the moment, and all was as written."""
        goal, end = len(self._lines()) + 10, time.monotonic() + timeout_s * PATIENCE
        while len(self._lines()) <= goal and not self._said():
            assert time.monotonic() < end, f"the writer does not go on within {timeout_s:g} s"
            time.sleep(0.1)
        self.is_content()

    def is_content(self) -> None:
        assert not self._said()
        assert self._process.poll() is None

    def longest_pause_s(self, since_s: float = 0.0) -> float:
        """Between two rounds, of those that have ended after a moment of the wall clock."""
        times = [float(line.split()[1]) for line in self._lines()]
        return max((after - before for before, after in pairwise(times) if after > since_s), default=0.0)

    def lost(self, folder: Path) -> list[str]:
        """Files that are not what was acknowledged last, read where the volume is now. The one that was
        being written when its writer ended may be anything."""
        last = int(self._lines()[-1].split()[0])
        acknowledged = range(max(0, last + 2 - FILES), last + 1)
        return [
            name_of(one) for one in acknowledged if (folder / name_of(one)).read_bytes() != content_of(one)
        ]

    def _said(self) -> str:
        last = (self._lines() or [""])[-1]
        return last if last.startswith("error") else ""

    def stop(self) -> None:
        """At once; what waits for storage that is away ends with it."""
        self._process.kill()
        self._process.wait()
