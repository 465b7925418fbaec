"""The real scheduler over a simulated world: its pool of threads is a serial one, its clock is simulated."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import structlog

from artesian.engines.port import Engine
from artesian.model.engine import ExistingEngine
from artesian.model.provider_spec import ProviderKind, ProviderSpec
from artesian.model.spec import Spec
from artesian.model.state import EngineIdentity
from artesian.providers.port import DiskProvider
from artesian.remedy.checking import read_whole_spec
from artesian.scheduler.connecting import EngineConnection
from artesian.scheduler.loop import Scheduler
from artesian.scheduler.memory import Secrets
from artesian.scheduler.node_making import NodeMaking
from artesian.scheduler.providing import Providers
from artesian.scheduler.remedying import Remediator
from artesian.store.port import Store
from tests.simulation.calls import SimulatedCalls
from tests.simulation.cloud import Cloud, CloudProvider
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
def simulated(clock: Callable[[], float], wall: Callable[[], float] | None = None) -> Iterator[None]:
    """Within it, the real Actor takes steps one after the other, by the simulated clock, and is quiet.

    `wall` is what the machine takes for the time of day; the same as the clock if it is left out.
    """
    time = SimpleNamespace(monotonic=clock, time=wall or clock)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with (
        mock.patch("artesian.scheduler.acting.ThreadPoolExecutor", SerialPool),
        mock.patch("artesian.scheduler.memory.time", time),
        mock.patch("artesian.scheduler.loop.time", time),
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

    def new_identity(self, _spec: Spec) -> EngineIdentity:
        return EngineIdentity("simulated", self._new_id(), "simulated")

    def _connect(self, identity: EngineIdentity | None, _named: ExistingEngine | None) -> Engine | None:
        return self._connect_simulated(identity) if identity is not None else None


class SimulatedProviders(Providers):
    """The providers as they are, but that the simulated cloud stands for Amazon's."""

    cloud: Cloud

    def _make(self, wanted: ProviderSpec) -> DiskProvider:
        if wanted.kind is ProviderKind.EBS:
            return CloudProvider(
                self.cloud, wanted.name, wanted.lead_time_s, wanted.price_per_gib_month or 0.0
            )
        return super()._make(wanted)


class SimulatedScheduler(Scheduler):
    """The scheduler as it is, but for the engine that it connects to, the ids of new ones, and the cloud."""

    def __init__(
        self,
        store: Store,
        substrate: SimulatedSubstrate,
        clock: Callable[[], float],
        connect: Callable[[EngineIdentity], Engine],
        new_id: Callable[[], str],
        cloud: Cloud,
        calls: SimulatedCalls,
        wall: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(store, substrate, _NOWHERE, "http://simulated", clock)
        self._connection = SimulatedConnection(self.memory.secrets, connect, new_id)
        self.providers = SimulatedProviders(self.memory, substrate, self._last_topology)
        self.providers.cloud = cloud
        wall = wall or clock
        self.remediator = Remediator(self.memory, self.providers, self.wake, wall, calls)
        self._node_making = NodeMaking(self.memory, substrate, self.wake, wall, calls)

    @property
    def spec(self) -> Spec:
        """As the scheduler reads it; one that was read before in this process is not read again."""
        return _read_spec(self.memory.state.spec_text)


@functools.lru_cache(maxsize=64)
def _read_spec(text: str) -> Spec:
    return read_whole_spec(text)
