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
from artesian.model.state import EngineIdentity
from artesian.scheduler.loop import Scheduler
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
        mock.patch("artesian.scheduler.acting.time", time),
        mock.patch("artesian.scheduler.memory.time", time),
    ):
        yield


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
        self._connect_simulated = connect
        self._new_id = new_id
        super().__init__(store, substrate, _NOWHERE, "http://simulated", clock)

    def _connect(self, identity: EngineIdentity) -> Engine:
        return self._connect_simulated(identity)

    def _new_engine(self) -> EngineIdentity:
        return EngineIdentity("simulated", self._new_id(), "simulated")
