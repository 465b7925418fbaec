"""An answer that is good for a while, so that many who ask within a moment are one question."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """What `ask` said last. Safe in any thread: others wait for whoever asks.

    What `ask` raises goes to whoever asked, and the next one asks again.
    """

    def __init__(self, ask: Callable[[], T], good_for_s: float, clock: Callable[[], float]) -> None:
        self._ask = ask
        self._good_for_s = good_for_s
        self._clock = clock
        self._lock = threading.RLock()
        self._last: tuple[float, T] | None = None

    def get(self) -> T:
        """The last answer, or a new one if that is too old."""
        with self._lock:
            if self._last is not None and self._clock() - self._last[0] < self._good_for_s:
                return self._last[1]
            return self.anew()

    def anew(self) -> T:
        """A new answer, whatever was said before."""
        with self._lock:
            answer = self._ask()
            self._last = self._clock(), answer
            return answer
