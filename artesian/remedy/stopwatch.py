"""How long something has been so, added up from look to look."""

from __future__ import annotations

from dataclasses import dataclass, replace

LONGEST_STEP_S = 120.0


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """`total_s` so far; `at_s` is the last look at which it was so, None if the last one could not tell.

    No two looks count for more than `LONGEST_STEP_S`: nobody knows what was in between, and a clock that is
    set forward by an hour is not an hour. One that is set back counts for nothing.
    """

    total_s: float = 0.0
    at_s: float | None = None

    def still(self, now_s: float) -> Stopwatch:
        """It is so now."""
        step_s = 0.0 if self.at_s is None else min(max(0.0, now_s - self.at_s), LONGEST_STEP_S)
        return Stopwatch(self.total_s + step_s, now_s)

    def unknown(self) -> Stopwatch:
        """Nobody can tell now: that time does not count, and what was counted stays."""
        return self if self.at_s is None else replace(self, at_s=None)
