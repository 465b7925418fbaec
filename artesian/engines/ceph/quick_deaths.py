"""How often a daemon has ended right after it began: it is started ever more rarely, and that is said."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

from artesian.host.files import write_durably
from artesian.host.processes import boot_id

_QUICK_S = 10.0
_TOLERATED = 3
_LONGEST_S = 30.0


class QuickDeaths:
    """What is written down in one file, which may be lost."""

    def __init__(self, path: Path) -> None:
        self._path = path
        began_s, self._number = self._read()
        self._number = self._number + 1 if time.monotonic() - began_s < _QUICK_S else 0

    @property
    def sentence(self) -> str:
        """What there is to say; empty as long as it may have been chance."""
        if self._number <= _TOLERATED:
            return ""
        return f"its OSD has ended {self._number} times right after it began"

    @property
    def pause_s(self) -> float:
        """How long to wait."""
        excess = self._number - _TOLERATED
        return min(2.0**excess, _LONGEST_S) if excess > 0 else 0.0

    def wait(self) -> None:
        """Until it is time to begin again."""
        time.sleep(self.pause_s)

    def begin(self) -> None:
        """The daemon begins now."""
        document = {"boot": boot_id(), "at": time.monotonic(), "number": self._number}
        write_durably(self._path, json.dumps(document) + "\n", 0o600)

    def _read(self) -> tuple[float, int]:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            document = json.loads(self._path.read_text())
            if document["boot"] == boot_id():
                return float(document["at"]), int(document["number"])
        return float("-inf"), 0
