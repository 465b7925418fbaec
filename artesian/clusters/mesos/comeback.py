"""When a framework that Mesos would not have any more subscribes again."""

from __future__ import annotations

import random
from collections.abc import Callable

from artesian.mesos.retrying import delay_s

_FIRST_S = 5.0
_MOST_S = 120.0
_STEADY_S = 300.0  # a framework that has lived for so long begins with a short wait again


class Comeback:
    """Refused credentials may be mended, and another scheduler of ours may end: nothing is for ever.

    The waits grow, so that two schedulers that take one another's place do so seldom. For one thread.
    """

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._failures = 0
        self._began_s = float("-inf")
        self._due_s: float | None = None

    def begun(self, now_s: float) -> None:
        """A framework subscribes from now on."""
        self._began_s, self._due_s = now_s, None

    def is_due(self, now_s: float) -> bool:
        """Whether one that has failed, as was seen by now, is to be begun anew."""
        if self._due_s is None:
            if now_s - self._began_s > _STEADY_S:
                self._failures = 0
            self._due_s = now_s + delay_s(self._failures, self._chance(), _FIRST_S, _MOST_S)
            self._failures += 1
        return now_s >= self._due_s
