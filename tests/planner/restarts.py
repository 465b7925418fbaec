"""A cluster whose agents start processes anew as they are assigned, for tests of rolling restarts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType

from artesian.model import changes as c
from artesian.model.assignment import Assignment
from artesian.model.names import server_name
from artesian.model.node import NodeState
from artesian.model.observation import Observation, SeenProcess
from artesian.model.plan import HeldStep, Step
from artesian.model.restart import RestartPart, RestartState
from artesian.model.spec import Spec, Taking
from artesian.planner.assigning import assignment_of
from artesian.planner.planning import Decision, decide
from artesian.planner.recording import intend
from artesian.planner.restarting import awaited, settled
from artesian.scheduler import restarting
from artesian.strategy.deriver import Deriver
from tests.planner.situations import IDENTITY, World, nodes

TAKE = Spec(new_disks=Taking.TAKE, new_nodes=Taking.TAKE)
NOW_S = 1_000.0
SETTLED_AFTER = 2  # looks: the engine is one of them behind
_PARTS = {"mdm": RestartPart.MANAGERS, "gateway": RestartPart.MANAGERS, "sds": RestartPart.SERVERS}


@dataclass
class Process:
    """One of a node. It runs again when `away` has come down to nothing, and `age` looks ago that was."""

    number: int
    away: int = 0
    age: int = SETTLED_AFTER


@dataclass(frozen=True)
class Restarted:
    """A process that was ended, and how things were then."""

    node: str
    name: str
    number: int
    resting: frozenset[str]  # servers in maintenance
    away: frozenset[str]  # other nodes of which something does not run
    whole: bool


@dataclass
class RestartWorld(World):
    """`away`: for how many looks a process is not there after it was ended."""

    count: int = 4
    away: int = 0
    silent: set[str] = field(default_factory=set)
    old_agents: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)  # nodes on which nothing starts
    log: list[Restarted] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(nodes(self.count), TAKE)
        self._deriver = Deriver()
        self.running: dict[str, dict[str, Process]] = {}
        self.known_away: set[tuple[str, str]] = set()  # to the engine
        self.told: dict[str, Assignment] = {}
        self.converge()
        self.agents()
        self.done.clear()

    def decide(self) -> Decision:
        return decide(self.spec, self.observation, self.state, self._deriver)

    # --- what is seen

    @property
    def observation(self) -> Observation:
        engine = self.engine
        seen = tuple(
            replace(one, state=NodeState.SILENT) if one.name in self.silent else one for one in self.nodes
        )
        if engine is not None:
            by_address = {one.address: one.name for one in self.nodes}
            engine = replace(
                engine,
                managers=tuple(
                    replace(one, healthy=self._runs(by_address[one.host], "mdm")) for one in engine.managers
                ),
                servers=tuple(
                    replace(one, connected=self._runs(one.name.partition(".")[0], f"sds-{one.name}"))
                    for one in engine.servers
                ),
            )
        return Observation(
            seen,
            engine,
            behind=frozenset(
                one.name
                for one in self.nodes
                if one.name in self.told and self._assigned(one.name) != self.told[one.name]
            ),
            processes=MappingProxyType({name: self._report(name) for name in self.running}),
        )

    def _report(self, node: str) -> tuple[SeenProcess, ...]:
        knows = node not in self.old_agents
        return tuple(
            SeenProcess(
                name,
                not one.away,
                part=_PARTS.get(name.partition("-")[0]) if knows else None,
                started_under=one.number if knows else None,
                settled=one.age >= SETTLED_AFTER,
            )
            for name, one in sorted(self.running[node].items())
        )

    def _runs(self, node: str, name: str) -> bool:
        return (node, name) not in self.known_away

    # --- what agents do

    def _assigned(self, node: str) -> Assignment:
        address = next(one.address for one in self.nodes if one.name == node)
        return assignment_of(self.state, node, address)

    def agents(self, but: frozenset[str] = frozenset()) -> None:
        """Every agent hears what is assigned, but for those that are late or away, and makes it so."""
        for node in self.nodes:
            if node.name not in self.silent | but:
                self.told[node.name] = self._assigned(node.name)
        self.known_away = self._away()
        for name, assignment in self.told.items():
            if name not in self.silent:
                self._make_so(name, assignment)

    def _away(self) -> set[tuple[str, str]]:
        return {
            (node, name) for node, all_of in self.running.items() for name, one in all_of.items() if one.away
        }

    def _make_so(self, node: str, assignment: Assignment) -> None:
        running = self.running.setdefault(node, {})
        wanted = [f"sds-{server_name(node, domain)}" for domain in assignment.domains]
        wanted += ["mdm"] * assignment.manages + ["gateway"] * assignment.is_gateway
        wanted += ["sdc"] * assignment.is_client
        for name in wanted:
            known, part = running.get(name), _PARTS.get(name.partition("-")[0])
            if known is None:
                running[name] = Process(assignment.restart)
            elif known.number < assignment.since(part) and node not in self.old_agents:
                self._note(node, name, assignment.restart)
                running[name] = Process(assignment.restart, self.away + 1, 0)
        for one in running.values():
            one.away = max(0, one.away - (node not in self.stuck))
            one.age += not one.away

    def _note(self, node: str, name: str, number: int) -> None:
        assert self.engine is not None
        self.log.append(
            Restarted(
                node,
                name,
                number,
                frozenset(one.name for one in self.engine.servers if one.in_maintenance),
                frozenset(
                    other
                    for other, processes in self.running.items()
                    if other != node and any(one.away for one in processes.values())
                ),
                all(one.is_settled for one in self.engine.pools),
            )
        )

    # --- what the scheduler does

    def take(self, step: Step) -> None:
        if isinstance(step.change, c.RestartProcesses):  # done once it is seen
            self.state = intend(self.state, [step], IDENTITY, {})
            return
        super().take(step)

    def take_half(self, step: Step, effect: bool) -> None:
        """The scheduler dies after the intent, or after the effect."""
        self.state = intend(self.state, [step], IDENTITY, {one.name: one.address for one in self.nodes})
        if effect:
            self._effect(step.change)

    def settle(self) -> None:
        self.state = settled(self.state, self.observation).state

    def look(self) -> tuple[Step, ...]:
        """One pass of scheduler and agents; what was ready in it."""
        self.settle()
        ready = self.decide().guarded.ready
        for one in ready:
            self.take(one)
        self.agents()
        return ready

    def run(self, looks: int = 200) -> None:
        """Until the restart has ended."""
        for _ in range(looks):
            if self.state.restart is None or not self.state.restart.is_going:
                return
            self.look()
        raise AssertionError(f"it does not end: {self.decide().guarded}")

    # --- what users do

    def ask(self, *names: str) -> None:
        self.state = restarting.ask(self.state, self.observation, names, NOW_S, "test")

    def cancel(self) -> None:
        self.state = restarting.cancel(self.state)

    def resume(self) -> None:
        self.state = restarting.resume(self.state)

    def stop_for(self) -> None:
        """Whoever is waited for has taken too long."""
        self.state = settled(self.state, self.observation, awaited(self.state, self.observation)).state

    @property
    def ended_as(self) -> RestartState:
        assert self.state.restart is not None
        return self.state.restart.state

    def resting(self) -> list[str]:
        assert self.engine is not None
        return [one.name for one in self.engine.servers if one.in_maintenance]

    def held(self) -> list[HeldStep]:
        return list(self.decide().guarded.held)

    def nodes_in_order(self) -> list[tuple[str, str]]:
        """Which processes were restarted, where."""
        return [(one.node, one.name.partition("-")[0]) for one in self.log]
