"""Limits of a mapping: so many requests, and so many bytes, in a second.

Reads and writes count when they begin, once, whatever becomes of them; each limit is a bucket of tokens, and
what finds one empty waits. Of those that wait, reads and writes get equal shares of the limit, so that one
reader is not behind everything that a writer has queued. Flushes, trims and zeroes are never held back: they
carry no data, and a flush that waited would hold up everybody who waits for it.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from typing import Protocol

from artesian.embedded.sdc.nbd import IoRequest
from artesian.embedded.sdc.nbd_constants import NBD_CMD_READ, NBD_CMD_WRITE

BURST_S = 0.25  # so much of what was not used is made up for
SHORTEST_WAIT_S = 0.002  # what becomes free meanwhile is given away together


class Handle(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None: ...


class Timer(Protocol):
    """Of an event loop, what limits need."""

    def time(self) -> float: ...
    def call_later(self, delay: float, callback: Callable[[], None], /) -> Handle: ...


class Bucket:
    """So many tokens a second. A large request leaves a debt, and who comes next waits until it is paid."""

    __slots__ = ("_paid_until_s", "_per_s")

    def __init__(self, per_s: float, now_s: float) -> None:
        """Empty, so that nobody gains anything by changing a limit often."""
        self._per_s = per_s
        self._paid_until_s = now_s + BURST_S

    def cost_s(self, tokens: int) -> float:
        """How long it takes to make these."""
        return tokens / self._per_s

    def wait_s(self, now_s: float) -> float:
        """How long until something may be taken; not above 0 if now."""
        return self._paid_until_s - now_s - BURST_S

    def take(self, tokens: int, now_s: float) -> None:
        """Use up tokens, whether there are so many or not."""
        self._paid_until_s = max(self._paid_until_s, now_s) + tokens / self._per_s


class _Waiting:
    """The requests of one direction, and how much time of the limits they have had."""

    __slots__ = ("had_s", "requests")

    def __init__(self) -> None:
        self.requests: deque[IoRequest] = deque()
        self.had_s = 0.0


class Limiter:
    """Holds back what is too much for its limits, and calls `begin` for it when its time has come."""

    def __init__(self, begin: Callable[[IoRequest], None], timer: Timer) -> None:
        self._begin = begin
        self._timer = timer
        self._limits = (0, 0)
        self._requests: Bucket | None = None
        self._bytes: Bucket | None = None
        self._reads, self._writes = _Waiting(), _Waiting()
        self._passing = False  # requests that come now have had their turn
        self._alarm: Handle | None = None

    def change(self, iops: int, bytes_per_s: int) -> None:
        """Other limits, from now on also for what waits already; 0: none."""
        if (iops, bytes_per_s) == self._limits:
            return
        self._limits = (iops, bytes_per_s)
        now_s = self._timer.time()
        self._requests = Bucket(iops, now_s) if iops else None
        self._bytes = Bucket(bytes_per_s, now_s) if bytes_per_s else None
        self._let_go()

    def holds(self, request: IoRequest) -> bool:
        """Whether a request has to wait; it is begun later then. One that does not is counted."""
        if self._passing:
            return False
        command = request.command
        if command != NBD_CMD_READ and command != NBD_CMD_WRITE:
            return False
        if self._alarm is None:
            now_s = self._timer.time()
            wait_s = self._wait_s(now_s)
            if wait_s <= 0:
                self._take(request, now_s)
                return False
            self._wait(wait_s)
        mine, other = (self._reads, self._writes) if command == NBD_CMD_READ else (self._writes, self._reads)
        if not mine.requests:  # time in which nobody wanted anything is not made up for
            mine.had_s = max(mine.had_s, other.had_s) if other.requests else 0.0
            if not other.requests:
                other.had_s = 0.0
        mine.requests.append(request)
        return True

    def stop(self, error: int) -> None:
        """Answer everything that waits with an error."""
        self._cancel()
        for waiting in (self._reads, self._writes):
            while waiting.requests:
                waiting.requests.popleft().done(error)

    def _wait_s(self, now_s: float) -> float:
        wait_s = self._requests.wait_s(now_s) if self._requests is not None else 0.0
        if self._bytes is not None:
            wait_s = max(wait_s, self._bytes.wait_s(now_s))
        return wait_s

    def _take(self, request: IoRequest, now_s: float) -> float:
        """Count a request; how much time of the limits it takes."""
        took_s = 0.0
        if self._requests is not None:
            self._requests.take(1, now_s)
            took_s = self._requests.cost_s(1)
        if self._bytes is not None:
            self._bytes.take(request.length, now_s)
            took_s = max(took_s, self._bytes.cost_s(request.length))
        return took_s

    def _wait(self, wait_s: float) -> None:
        self._alarm = self._timer.call_later(max(wait_s, SHORTEST_WAIT_S), self._let_go)

    def _cancel(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _let_go(self) -> None:
        """Begin whatever may begin now, and come again for the rest."""
        self._cancel()
        now_s = self._timer.time()
        while (waiting := self._next()) is not None:
            wait_s = self._wait_s(now_s)
            if wait_s > 0:
                self._wait(wait_s)
                return
            request = waiting.requests.popleft()
            if request.is_abandoned:  # it must not overwrite what a later connection writes
                request.done(errno.ESHUTDOWN)
                continue
            waiting.had_s += self._take(request, now_s)
            self._passing = True
            try:
                self._begin(request)
            finally:
                self._passing = False

    def _next(self) -> _Waiting | None:
        """Whose turn it is: those who have had less."""
        reads, writes = self._reads, self._writes
        if not reads.requests:
            return writes if writes.requests else None
        return reads if not writes.requests or reads.had_s <= writes.had_s else writes
