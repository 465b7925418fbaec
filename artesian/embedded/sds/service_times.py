"""How long a disk takes for real work: reads that the page cache cannot answer, and flushes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

WINDOW_S = 60.0
STEP_S = 5.0
HANGS_S = 1.0  # what has been under way for longer counts although it has not ended


class ServiceTimes:
    """The mean of about the last minute. `measure` is called by the threads that wait for the disk anyway."""

    __slots__ = ("_clock", "_count", "_lock", "_samples", "_total_s", "_under_way")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._total_s = 0.0
        self._count = 0
        self._under_way: dict[int, float] = {}  # by thread: since when
        self._samples: deque[tuple[float, float, int]] = deque([(clock(), 0.0, 0)])

    def measure(self, work: Callable[..., Answer], *arguments: object) -> Answer:
        """Do it, and remember how long it took, whether it succeeded or not."""
        thread, began = threading.get_ident(), self._clock()
        self._under_way[thread] = began
        try:
            return work(*arguments)
        finally:
            with self._lock:
                del self._under_way[thread]
                self._total_s += self._clock() - began
                self._count += 1

    def mean_s(self) -> float | None:
        """Seconds for one request; None when there was none. To be asked every few seconds, or oftener."""
        now = self._clock()
        with self._lock:
            total_s, count, waiting = self._total_s, self._count, list(self._under_way.values())
        while len(self._samples) > 1 and self._samples[1][0] <= now - WINDOW_S:
            self._samples.popleft()
        _, total_before_s, count_before = self._samples[0]
        if now - self._samples[-1][0] >= STEP_S:
            self._samples.append((now, total_s, count))
        hanging = [now - began for began in waiting if now - began >= HANGS_S]
        total_s, count = total_s - total_before_s + sum(hanging), count - count_before + len(hanging)
        return total_s / count if count else None
