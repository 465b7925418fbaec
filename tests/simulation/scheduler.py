"""The real scheduler over a simulated world: its pool of threads is a serial one, its clock is simulated."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import structlog

from artesian.engines.port import Engine
from artesian.model.engine import ExistingEngine
from artesian.model.state import EngineIdentity
from artesian.scheduler.connecting import EngineConnection
from artesian.scheduler.loop import Scheduler
from artesian.scheduler.memory import Secrets
from artesian.store.port import Store
from tests.simulation.nodes import SimulatedSubstrate

_NOWHERE = Path("/nonexistent")


class SerialPool:
    """A ThreadPoolExecutor of which nothing runs at the same time."""

    def __init__(self, *_arguments: object, **_named: object) -> None:
        pass

    def __enter__(self) -> SerialPool:
        return self

    def __exit__(self, *_arguments: object) -> None:
        pass

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """One after the other."""
        return [work(item) for item in items]


@contextlib.contextmanager
def simulated(clock: Callable[[], float]) -> Iterator[None]:
    """Within it, the real Actor takes steps one after the other, by the simulated clock, and is quiet."""
    time = SimpleNamespace(monotonic=clock, time=clock)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with (
        mock.patch("artesian.scheduler.acting.ThreadPoolExecutor", SerialPool),
        mock.patch("artesian.scheduler.memory.time", time),
    ):
        yield


class SimulatedConnection(EngineConnection):
    """Connects to simulated engines; their ids are given."""

    def __init__(
        self, known: Secrets, connect: Callable[[EngineIdentity], Engine], new_id: Callable[[], str]
    ) -> None:
        super().__init__(_NOWHERE, known)
        self._connect_simulated = connect
        self._new_id = new_id

    def new_identity(self, _named: ExistingEngine | None) -> EngineIdentity:
        return EngineIdentity("simulated", self._new_id(), "simulated")

    def _connect(self, identity: EngineIdentity | None, _named: ExistingEngine | None) -> Engine | None:
        return self._connect_simulated(identity) if identity is not None else None


class SimulatedScheduler(Scheduler):
    """The scheduler as it is, but for the engine that it connects to and for the ids of new ones."""

    def __init__(
        self,
        store: Store,
        substrate: SimulatedSubstrate,
        clock: Callable[[], float],
        connect: Callable[[EngineIdentity], Engine],
        new_id: Callable[[], str],
    ) -> None:
        super().__init__(store, substrate, _NOWHERE, "http://simulated", clock)
        self._connection = SimulatedConnection(self.memory.secrets, connect, new_id)
