"""One simulated cluster, second by second."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from artesian.model.changes import AddDevice
from artesian.model.errors import ArtesianError
from artesian.model.observation import Observation
from artesian.model.plan import Consent
from artesian.model.state import EngineIdentity, FrameworkState
from artesian.planner.planning import Decision
from artesian.scheduler import requests
from artesian.scheduler.verdict import Verdict
from artesian.store.port import StoreUnusable
from tests.simulation import agents
from tests.simulation.calls import SimulatedCalls
from tests.simulation.cloud import Cloud, CloudFaults
from tests.simulation.engine import EngineFaults, SimulatedEngine
from tests.simulation.in_force import faults_in_force
from tests.simulation.nodes import SimulatedNode, SimulatedSubstrate
from tests.simulation.remedy_watch import RemedyWatch
from tests.simulation.scheduler import SimulatedScheduler
from tests.simulation.store import CrashingStore, SchedulerKilled
from tests.simulation.system import System
from tests.simulation.watch import Watch


@dataclass
class Clock:
    """Simulated seconds."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class WallClock:
    """What the scheduler's machine takes for the time of day; it may be wrong."""

    clock: Clock
    wrong_by_s: float = 0.0

    def __call__(self) -> float:
        return self.clock.now_s + self.wrong_by_s


class World:
    """A cluster and its scheduler. `prompt`: agents follow and report at every tick, without delay; the
    others do so at some, of which `promptness` is the share if it is given."""

    def __init__(
        self,
        nodes: Iterable[SimulatedNode],
        spec_text: str = "",
        *,
        seed: int = 0,
        prompt: bool = False,
        promptness: float | None = None,
    ) -> None:
        self.clock = Clock()
        self.wall = WallClock(self.clock)
        self.chance = random.Random(seed)
        self.prompt = prompt
        self.promptness = promptness
        self.nodes = {node.name: node for node in nodes}
        self.substrate = SimulatedSubstrate(self.nodes)
        self.system = System(self.nodes)
        self.store = CrashingStore()
        self.faults = EngineFaults(self.chance)
        self.watch = Watch(self.system, self.store)
        self.watch.labelled_at_start = any(
            disk.label is not None for node in self.nodes.values() for disk in node.disks.values()
        )
        self.calls = SimulatedCalls(self.clock, self.chance)
        self.cloud = Cloud(self.nodes, self.clock, self.chance, CloudFaults(self.chance))
        self.remedies = RemedyWatch(self.system, self.store, self.cloud, self.wall)
        self.cloud.making, self.cloud.releasing = self.remedies.making, self.remedies.releasing
        self.substrate.making = self.remedies.making_node
        self.fault_s = 0.0  # in which at least one fault was in force
        self.fault_s_by_kind: Counter[str] = Counter()  # each fault counts, also several at once
        self.passes = 0
        self.may_start = True  # else nobody starts a scheduler
        self.kills: list[str] = []
        self._ids = itertools.count(1)
        self.scheduler: SimulatedScheduler | None = None
        self.verdict: Verdict | None = None
        self.ask(lambda state, _seen: requests.set_spec(state, spec_text))

    # --- the scheduler

    def start(self) -> SimulatedScheduler | None:
        """A scheduler, a new one if none runs; None if it was killed while it started."""
        if self.scheduler is None and self.may_start:
            try:
                self.scheduler = SimulatedScheduler(
                    self.store,
                    self.substrate,
                    self.clock,
                    self._connect,
                    lambda: f"{next(self._ids):016x}",
                    self.cloud,
                    self.calls,
                    self.wall,
                )
            except SchedulerKilled as killed:
                self.kills.append(str(killed))
            except ArtesianError:
                pass
        return self.scheduler

    def kill(self, because: str) -> None:
        """End the scheduler's process; what it remembers is lost."""
        self.kills.append(because)
        self.scheduler = None
        self.verdict = None
        self.calls.lose()

    def _connect(self, identity: EngineIdentity) -> SimulatedEngine:
        return SimulatedEngine(
            self.system, identity, self.faults, lambda change: self.watch.before(change, identity)
        )

    def one_pass(self) -> Verdict | None:
        """A pass of the scheduler, and a look at what it has done; None if it was killed."""
        scheduler = self.start()
        if scheduler is None:
            return None
        decided: list[FrameworkState] = []
        self.passes += 1
        self.watch.managers_changed = 0
        before = scheduler.memory.state
        self.watch.spec = scheduler.spec
        try:
            with_state = _remember_state(scheduler, decided)
            self.verdict = with_state()
        except SchedulerKilled as killed:
            self.watch.changes_in_pass = 0
            self.kill(str(killed))
            return None
        except ArtesianError:
            return None
        if not decided:  # the substrate does not answer: nothing is done, and nothing is to be seen
            assert scheduler.memory.state == before and not self.verdict.taken
            return None
        self.watch.after_pass(self.verdict, self.watch.spec, decided[-1], self.chance)
        self.remedies.after_pass(before, scheduler.memory.state, self.verdict.seen, self.watch.spec)
        return self.verdict

    # --- time

    def tick(self, seconds: float = 1.0, *, unheard: bool = False) -> Verdict | None:
        """A second: agents work and report, the engine moves data, the scheduler makes a pass.

        In a longer one no more happens. `unheard`: its process stood still, and nobody could report to it.
        """
        self.pass_time(seconds)
        self.system.tick()
        self.cloud.tick()
        names = list(self.nodes)
        self.chance.shuffle(names)
        for name in names:
            self._agent(self.nodes[name], unheard=unheard)
        self.calls.run()
        return self.one_pass()

    def pass_time(self, seconds: float) -> None:
        """Time passes, with the faults that are in force."""
        faults = faults_in_force(self)
        self.fault_s += seconds * bool(faults)
        for kind, count in faults.items():
            self.fault_s_by_kind[kind] += seconds * count  # type: ignore[assignment]
        self.clock.now_s += seconds

    def _agent(self, node: SimulatedNode, *, unheard: bool) -> None:
        if not node.powered or not node.agent:
            return
        scheduler = self.scheduler if node.reaches_scheduler and not unheard else None
        if scheduler is not None and self._soon(0.6):
            with contextlib.suppress(StoreUnusable):  # it is answered with an error, and asks again
                found = scheduler.assignment(node.name)
                if found is not None:
                    agents.take(node, *found)
        agents.work(node, self.system, self.chance)
        if scheduler is not None and self._soon(0.5):
            report = agents.report_of(node)
            scheduler.hear(report)
            self.watch.heard[node.name] = report

    def _soon(self, probability: float) -> bool:
        probability = self.promptness if self.promptness is not None else probability
        return self.prompt or self.chance.random() < probability

    # --- users

    def ask(self, request: Callable[[FrameworkState, Observation], FrameworkState]) -> str:
        """What a user asks for; why not, if it is refused."""
        scheduler = self.start()
        if scheduler is None:
            return "there is no scheduler"
        seen = self.verdict.seen if self.verdict is not None else Observation()
        try:
            scheduler.memory.change(lambda state: request(state, seen))
        except SchedulerKilled as killed:
            self.kill(str(killed))
        except ArtesianError as error:
            return str(error)
        return ""

    def approve(self) -> None:
        """Somebody agrees to the plan of the last pass."""
        if self.verdict is None:
            return
        decision: Decision = self.verdict.decision
        asked = [step for step in decision.plan.steps if step.consent is Consent.NEEDED]
        if asked:
            self.watch.approved |= {
                step.change.identity for step in asked if isinstance(step.change, AddDevice)
            }
            self.ask(lambda state, _seen: requests.approve(state, decision, decision.plan.id, "drill"))

    def settle(self, ticks: int, *, approving: bool = True) -> int:
        """Seconds until nothing is left to do for three passes; `ticks` if that does not come."""
        quiet = 0
        for tick in range(ticks):
            verdict = self.tick()
            if verdict is None:
                quiet = 0
                continue
            if approving:
                self.approve()
            quiet = quiet + 1 if self.is_settled(verdict) else 0
            if quiet == 3:
                return tick
        return ticks

    def is_settled(self, verdict: Verdict) -> bool:
        """Nothing to do, and nothing to wait for."""
        guarded = verdict.decision.guarded
        obstacles = all(is_lasting(held.because) for held in guarded.held)
        return verdict.seen.engine is not None and not verdict.taken and not guarded.waiting and obstacles


def is_lasting(because: str) -> bool:
    """Obstacles that do not go away by themselves."""
    return "is not seen" in because or "must not be touched" in because


def _remember_state(scheduler: SimulatedScheduler, decided: list[FrameworkState]) -> Callable[[], Verdict]:
    """A pass, and with what state it has decided: between `learn` and the first intent."""

    def one_pass() -> Verdict:
        act = scheduler._actor.act

        def acting(*arguments: object) -> object:
            decided.append(scheduler.memory.state)
            return act(*arguments)  # type: ignore[arg-type]

        scheduler._actor.act = acting  # type: ignore[assignment,method-assign]
        try:
            return scheduler.one_pass()
        finally:
            scheduler._actor.act = act  # type: ignore[method-assign]

    return one_pass
