"""Several gateways of one engine: whoever answers is asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from artesian.engines.port import EngineUnreachable
from artesian.engines.powerflex import PowerFlexEngine

Answer = TypeVar("Answer")
_REMEMBERED_S = 30.0


class Gateways:
    """`connect` makes the connection to a gateway by its name, or raises EngineUnreachable saying why not.

    One that has not answered is asked after the others for a while, and the longer it took, the later.
    """

    def __init__(
        self,
        names: Sequence[str],
        connect: Callable[[str], PowerFlexEngine],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names = names
        self._connect = connect
        self._clock = clock
        self._failed: dict[str, tuple[float, float]] = {}  # when, and how long that took
        self._connected: dict[str, PowerFlexEngine] = {}
        self._last: str | None = None

    def ask(self, question: Callable[[PowerFlexEngine], Answer]) -> Answer:
        """The first answer; the gateway that answered last comes first. Raises EngineUnreachable."""
        problems = []
        for name in sorted(self._names, key=lambda one: (self._lost_s(one), one != self._last)):
            began_s = self._clock()
            try:
                if name not in self._connected:
                    self._connected[name] = self._connect(name)
                answer = question(self._connected[name])
            except EngineUnreachable as error:
                problems.append(str(error))
                now_s = self._clock()
                self._failed[name] = now_s, now_s - began_s
                continue
            self._last = name
            self._failed.pop(name, None)
            return answer
        raise EngineUnreachable("; ".join(problems) or "the engine has no gateway")

    def _lost_s(self, name: str) -> float:
        """The time that asking it has cost lately."""
        at_s, took_s = self._failed.get(name, (float("-inf"), 0.0))
        return took_s if self._clock() - at_s < _REMEMBERED_S else 0.0

    def close(self) -> None:
        """Let go of connections."""
        for gateway in self._connected.values():
            gateway.close()
        self._connected.clear()
