"""Whatever happens in whatever order: one drill at a time, and nothing is left of any of them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.drill.advancing import abort, advance, begin
from artesian.drill.choosing import choose
from artesian.drill.facts import DrillFacts, Stall, Told
from artesian.model.assignment import Assignment
from artesian.model.drill import DrillKind, DrillState, DrillWish, Fault, SeenFault, SeenWriter, WriterMode
from artesian.model.errors import ArtesianError
from artesian.model.observation import Observation
from artesian.model.state import FrameworkState, with_item
from artesian.planner.assigning import assignment_of
from tests.drill.cases import NAMES, NOW_S, device, engine, facts, manager, pool, seen, server, state


@dataclass
class Agent:
    """A node's agent: what it was assigned last, the faults that it holds, and what it has said last."""

    assigned: Assignment
    held: dict[str, tuple[Fault, float]] = field(default_factory=dict)  # and since when
    over: set[str] = field(default_factory=set)
    said: Told = field(default_factory=Told)
    said_of: Assignment | None = None

    def act(self, now_s: float) -> None:
        wanted = {one.id: one for one in self.assigned.faults}
        for key, (fault, since_s) in list(self.held.items()):
            if key not in wanted or now_s - since_s >= fault.hold_s:
                del self.held[key]
                self.over.add(key)
        self.over &= wanted.keys()
        for key, fault in wanted.items():
            if key not in self.held and key not in self.over and now_s <= fault.begin_by_s:
                self.held[key] = fault, now_s

    def report(self) -> None:
        faults = [SeenFault(one.id, False, one.amount_bytes) for one, _ in self.held.values()]
        faults += [SeenFault(key, True) for key in self.over]
        writer = self.assigned.drill_writer
        verified = 100 if writer is not None and writer.mode is WriterMode.VERIFY else None
        told = SeenWriter(writer.drill, True, 100, 0.1, verified) if writer is not None else None
        self.said, self.said_of = Told(tuple(faults), told), self.assigned


class World:
    """A cluster whose engine is well or not as chance has it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.state: FrameworkState = state()
        self.now_s = NOW_S
        self.agents = {name: Agent(self.assignment(name)) for name in NAMES}
        self.ill = False
        self.scheduler = 0
        self.stalled_s: float | None = None

    def assignment(self, name: str) -> Assignment:
        return assignment_of(self.state, name, f"10.0.0.{name[-1]}")

    def facts(self) -> DrillFacts:
        behind = {name for name, one in self.agents.items() if one.said_of != self.assignment(name)}
        drill = next((one for one in self.state.drills.values() if one.state.is_open), None)
        stall = None
        if (
            drill is not None
            and drill.kind is DrillKind.STALL_PROVIDER
            and drill.state is not DrillState.PREPARING
        ):
            self.stalled_s = self.stalled_s if self.stalled_s is not None else self.now_s
            held = self.now_s - self.stalled_s < drill.hold_s and drill.state.has_fault
            stall = Stall.HANGING if held else Stall.ANSWERED
        if drill is None:
            self.stalled_s = None
        return facts(
            seen=replace(self.look(), behind=frozenset(behind)),
            state=self.state,
            now_s=self.now_s,
            scheduler=str(self.scheduler),
            told={name: one.said for name, one in self.agents.items()},
            stall=stall,
        )

    def look(self) -> Observation:
        hit = {name for name, one in self.agents.items() if one.held}
        servers = tuple(server(one, connected=one not in hit) for one in NAMES)
        managers = tuple(manager(one, healthy=one not in hit) for one in NAMES[:3])
        devices = tuple(device(one, failed=self.ill and one == "n4") for one in NAMES)
        degraded = pool(degraded_bytes=1 if hit or self.ill else 0)
        return seen(engine=engine(servers=servers, managers=managers, devices=devices, pools=(degraded,)))

    # --- what may happen

    def a_pass(self) -> None:
        self.state = advance(self.facts()).state
        for name, wish in list(self.state.volumes.items()):
            if wish.deleted and not any(one.assigned.drill_writer for one in self.agents.values()):
                left = {key: one for key, one in self.state.volumes.items() if key != name}
                self.state = replace(self.state, volumes=left)
            elif wish.engine_id is None:
                self.state = replace(
                    self.state, volumes=with_item(self.state.volumes, name, replace(wish, engine_id=name))
                )
        drill = next((one for one in self.state.drills.values() if one.state.is_open), None)
        if drill is not None and drill.state is DrillState.PROVOKING and drill.killer == str(self.scheduler):
            self.scheduler += 1

    def an_agent_hears(self) -> None:
        name = self.chance.choice(NAMES)
        self.agents[name].assigned = self.assignment(name)

    def an_agent_acts(self) -> None:
        self.agents[self.chance.choice(NAMES)].act(self.now_s)

    def an_agent_speaks(self) -> None:
        self.agents[self.chance.choice(NAMES)].report()

    def somebody_asks(self, kind: DrillKind | None = None) -> None:
        kind = kind or self.chance.choice(list(DrillKind))
        try:
            wish = DrillWish(
                kind, restarts_scheduler=True, share=0.2 if kind is DrillKind.FILL_POOL else None
            )
            self.state = begin(self.state, choose(wish, self.facts()))
        except ArtesianError:
            pass

    def somebody_is_impatient(self) -> None:
        drill = next((one for one in self.state.drills.values() if one.state.is_open), None)
        if drill is not None and drill.state is not DrillState.UNDOING:
            self.state = abort(self.state, drill, "me", self.now_s)

    def time_passes(self) -> None:
        self.now_s += self.chance.choice([0.5, 3.0, 20.0])

    def something_goes_wrong(self) -> None:
        self.ill = self.chance.random() < 0.3

    # --- what must never be

    def check(self) -> None:
        open_ones = [one for one in self.state.drills.values() if one.state.is_open]
        assert len(open_ones) <= 1
        allowed = {one.id: one.node for one in open_ones if one.state.has_fault}
        for name in NAMES:
            for fault in self.assignment(name).faults:
                assert allowed.get(fault.id) == name
        for drill in self.state.drills.values():
            if not drill.state.is_open:
                assert drill.volume not in self.state.volumes
                for agent in self.agents.values():
                    assert drill.id not in agent.held, f"{drill.state} {drill.kind}"
                    assert all(one.id != drill.id for one in agent.assigned.faults)


MOVES = (
    [World.a_pass] * 4
    + [World.an_agent_hears, World.an_agent_acts, World.an_agent_speaks] * 4
    + [World.somebody_asks, World.time_passes, World.time_passes, World.somebody_is_impatient]
    + [World.something_goes_wrong]
)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_nothing_is_left_of_any_drill(seed: int) -> None:
    world = World(seed)
    for _ in range(250):
        world.chance.choice(MOVES)(world)
        world.check()
    world.ill = False
    for _ in range(150):
        for agent_move in (World.an_agent_hears, World.an_agent_acts, World.an_agent_speaks) * 4:
            agent_move(world)
        world.now_s += 3.0  # longer in all than a drill may take
        world.a_pass()
        world.check()
    assert all(not one.state.is_open for one in world.state.drills.values())
    assert set(world.state.volumes) == {"data"}


def test_the_world_of_these_tests_lets_drills_pass() -> None:
    """Or the test above would say nothing."""
    for kind in set(DrillKind) - {DrillKind.FAIL_DISK, DrillKind.FILL_POOL}:  # which wait for rules
        world = World(7)
        world.somebody_asks(kind)
        for _ in range(80):
            for agent_move in (World.an_agent_hears, World.an_agent_acts, World.an_agent_speaks) * 4:
                agent_move(world)
            world.now_s += 1.0
            world.a_pass()
        (drill,) = world.state.drills.values()
        assert (drill.kind, drill.state) == (kind, DrillState.PASSED), drill.verdict
