"""Several gateways of one engine: whoever answers is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from artesian.engines.port import EngineUnreachable
from artesian.engines.powerflex import PowerFlexEngine

Answer = TypeVar("Answer")


class Gateways:
    """`connect` makes the connection to a gateway by its name, or raises EngineUnreachable saying why not."""

    def __init__(self, names: Sequence[str], connect: Callable[[str], PowerFlexEngine]) -> None:
        self._names = names
        self._connect = connect
        self._connected: dict[str, PowerFlexEngine] = {}
        self._last: str | None = None

    def ask(self, question: Callable[[PowerFlexEngine], Answer]) -> Answer:
        """The first answer; the gateway that answered last comes first. Raises EngineUnreachable."""
        problems = []
        for name in sorted(self._names, key=lambda one: one != self._last):
            try:
                if name not in self._connected:
                    self._connected[name] = self._connect(name)
                answer = question(self._connected[name])
            except EngineUnreachable as error:
                problems.append(str(error))
                continue
            self._last = name
            return answer
        raise EngineUnreachable("; ".join(problems) or "the engine has no gateway")

    def close(self) -> None:
        """Let go of connections."""
        for gateway in self._connected.values():
            gateway.close()
        self._connected.clear()
