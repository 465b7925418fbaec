"""Calls of providers beside the loop, without threads: an answer is there some simulated seconds later."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from tests.simulation.rules import Violation

_DELAYS_S = (0.0, 0.0, 1.0, 12.0, 30.0)


class SimulatedCalls(Executor):
    """Runs what was submitted when its time has come, in that order: the caller has gone on meanwhile."""

    def __init__(self, clock: Callable[[], float], chance: random.Random) -> None:
        self._clock = clock
        self._chance = chance
        self._waiting: list[tuple[float, int, Future[Any], Callable[[], Any]]] = []
        self._count = 0

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """A call that is under way from now on."""
        future: Future[Any] = Future()
        self._count += 1
        due_s = self._clock() + self._chance.choice(_DELAYS_S)
        self._waiting.append((due_s, self._count, future, lambda: work(*arguments, **named)))
        return future

    def run(self) -> None:
        """Answer what is due."""
        now_s = self._clock()
        due = sorted((one for one in self._waiting if one[0] <= now_s), key=lambda one: one[:2])
        self._waiting = [one for one in self._waiting if one[0] > now_s]
        for _, _, future, work in due:
            try:
                future.set_result(work())
            except Violation:
                raise
            except Exception as error:  # noqa: BLE001 - whoever asks for the result gets it
                future.set_exception(error)

    def lose(self) -> None:
        """The process that asked is no more: what was on its way arrives, or does not, and nobody hears."""
        for _, _, _, work in self._waiting:
            if self._chance.random() < 0.5:
                try:
                    work()
                except Violation:
                    raise
                except Exception:  # noqa: BLE001 - nobody is there to hear of it
                    pass
        self._waiting.clear()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing runs by itself."""
