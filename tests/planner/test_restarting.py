"""A rolling restart: one node at a time, while all else is whole, and nothing twice."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from artesian.model import changes as c
from artesian.model.engine import CephSettings, ExistingEngine
from artesian.model.errors import Conflict, NotPossible, NotThere
from artesian.model.names import device_name
from artesian.model.node import NodeState
from artesian.model.observation import Observation, SeenProcess
from artesian.model.pause import Pause
from artesian.model.restart import RestartPart, RestartState
from artesian.model.state import with_item
from artesian.model.wishes import VolumeWish
from artesian.planner.assigning import assignment_of
from artesian.planner.restarted import what_is_missing
from artesian.planner.restarting import awaited
from tests.planner.restarts import NOW_S, SETTLED_AFTER, Process, RestartWorld
from tests.planner.situations import GIB, POOL


@pytest.fixture
def world() -> RestartWorld:
    return RestartWorld(away=2)


def degrade(world: RestartWorld, lost_bytes: int) -> None:
    assert world.engine is not None
    pool = replace(world.engine.pools[0], degraded_bytes=lost_bytes)
    world.engine = replace(world.engine, pools=(pool, *world.engine.pools[1:]))


def maintain(world: RestartWorld, node: str, *, begin: bool = True) -> None:
    world.state = world.state.with_node(node, in_maintenance=begin)


def because(world: RestartWorld) -> str:
    """Why its next step is not taken."""
    (held,) = world.held()
    return held.because


def test_every_process_is_restarted_once_managers_first_and_clients_never(world: RestartWorld) -> None:
    world.ask()
    world.run()
    assert world.ended_as is RestartState.DONE
    names = world.nodes_in_order()
    assert len(names) == len(set(names))
    managers = [one for one in names if one[1] in ("mdm", "gateway")]
    assert names[: len(managers)] == managers and {node for node, _ in managers} == {
        "node-1",
        "node-2",
        "node-3",
    }
    assert [node for node, name in names if name == "sds"] == [f"node-{one}" for one in range(1, 5)]
    assert "sdc" not in {name for _, name in names}
    assert world.resting() == [] and world.decide().plan.steps == ()


def test_servers_are_in_maintenance_meanwhile_and_everybody_else_is_there(world: RestartWorld) -> None:
    world.ask()
    world.run()
    for one in world.log:
        assert one.away == frozenset() and one.whole
        assert one.resting == ({f"{one.node}.default"} if one.name.startswith("sds") else frozenset())


def test_the_leading_manager_comes_last(world: RestartWorld) -> None:
    assert world.engine is not None
    first, *others = world.engine.managers
    world.engine = replace(world.engine, managers=(replace(first, leads=True), *others))
    world.ask()
    world.run()
    nodes = [node for node, name in world.nodes_in_order() if name == "mdm"]
    assert f"mdm-{nodes[-1]}" == first.name


def test_all_is_planned_and_one_step_is_ready(world: RestartWorld) -> None:
    world.ask()
    guarded = world.decide().guarded
    assert [type(one.change) for one in guarded.plan.steps] == [c.RestartProcesses] * 3 + [
        c.EnterMaintenance,
        c.RestartProcesses,
        c.ExitMaintenance,
    ] * 4
    assert [one.change for one in guarded.ready] == [
        c.RestartProcesses("node-1", RestartPart.MANAGERS, int(NOW_S))
    ]
    assert not guarded.held and len(guarded.waiting) == len(guarded.plan.steps) - 1


def test_a_volume_stays_where_it_is(world: RestartWorld) -> None:
    wish = VolumeWish("data", POOL, 2 * GIB, node="node-1")
    world.state = replace(world.state, volumes=with_item(world.state.volumes, "data", wish))
    world.converge()
    world.agents()
    world.ask()
    world.run()
    assert world.ended_as is RestartState.DONE and world.state.volumes["data"].node == "node-1"


def test_only_the_nodes_that_are_named(world: RestartWorld) -> None:
    world.ask("node-2")
    world.run()
    assert {node for node, _ in world.nodes_in_order()} == {"node-2"}


def test_what_has_been_started_since_counts_as_restarted(world: RestartWorld) -> None:
    world.ask("node-1")
    del world.running["node-1"]["sds-node-1.default"]  # it dies, and its agent starts it as ever
    world.run()
    assert set(world.nodes_in_order()) == {("node-1", "gateway"), ("node-1", "mdm")}


def test_a_second_one_restarts_everything_again(world: RestartWorld) -> None:
    world.ask()
    world.run()
    first = len(world.log)
    world.ask()
    world.run()
    assert len(world.log) == 2 * first
    assert len({one.number for one in world.log}) == 2


# --- when it waits


def test_nothing_is_begun_while_a_pool_is_not_whole(world: RestartWorld) -> None:
    degrade(world, GIB)
    world.ask()
    assert because(world) == "pool default/default is degraded, and is healed first"
    degrade(world, 0)
    world.run()


def test_nor_while_data_is_moving(world: RestartWorld) -> None:
    assert world.engine is not None
    pool = replace(world.engine.pools[0], moving_bytes=1)
    world.engine = replace(world.engine, pools=(pool,))
    world.ask()
    assert because(world) == "data is moving in pool default/default"


def test_nor_while_a_manager_is_away(world: RestartWorld) -> None:
    assert world.engine is not None
    world.ask()
    world.running["node-2"]["mdm"].away = 1
    assert because(world) == "mdm of node node-2 does not run"
    world.running["node-2"]["mdm"] = Process(0, age=0)
    assert because(world) == "mdm of node node-2 has only just been started"
    world.running["node-2"]["mdm"].age = SETTLED_AFTER
    world.known_away = {("node-2", "mdm")}
    assert because(world) == "the manager on node node-2 does not answer"


def test_a_disk_of_ceph_is_back_once_the_map_names_the_process_that_runs_now(world: RestartWorld) -> None:
    assert world.state.engine is not None and world.engine is not None
    claims = {key: one for key, one in world.state.claims.items() if one.node == "node-1"}
    (name, *_), number = [device_name(one) for one in claims], int(NOW_S)
    ceph = replace(world.state.engine, kind="ceph", ceph=CephSettings())
    state = replace(world.state, engine=ceph, claims=dict(list(claims.items())[:1]))
    served = SeenProcess("osd-1", True, 5_001_234, RestartPart.SERVERS, number)
    devices = tuple(one for one in world.engine.devices if one.name == name)

    def missing(served_by: int | None) -> str:
        engine = replace(world.engine, devices=(replace(devices[0], served_by=served_by),))
        seen = Observation(world.nodes, engine, processes={"node-1": (served,)})
        return what_is_missing(state, seen, number, "node-1", RestartPart.SERVERS)

    assert missing(1_234) == ""
    assert missing(4_321).endswith("has not come back") and missing(None) == missing(4_321)


def test_nor_while_a_node_is_silent(world: RestartWorld) -> None:
    world.silent = {"node-4"}
    world.ask("node-1")
    assert because(world) == "node node-4 is silent"


def test_somebodys_maintenance_is_waited_for_and_never_ended(world: RestartWorld) -> None:
    maintain(world, "node-3")
    world.look()
    world.ask()
    for _ in range(5):
        world.look()
    assert world.log == [] and world.resting() == ["node-3.default"]
    assert because(world) == "node node-3 is in maintenance"
    assert "node node-3 is in maintenance: it is restarted when that is over" in world.decide().plan.notes
    maintain(world, "node-3", begin=False)
    world.run()
    assert world.ended_as is RestartState.DONE


def test_a_maintenance_that_begins_meanwhile_goes_on_after_the_node_was_restarted(
    world: RestartWorld,
) -> None:
    world.ask("node-4")
    while not world.log:
        world.look()
    maintain(world, "node-4")
    for _ in range(10):
        world.look()
    assert world.resting() == ["node-4.default"]
    assert world.ended_as is RestartState.DONE


def test_nobody_goes_into_maintenance_while_a_node_is_restarted(world: RestartWorld) -> None:
    world.ask("node-4")
    while not world.resting():
        world.look()
    maintain(world, "node-1")
    assert "server node-4.default of domain default is in maintenance already" in [
        one.because for one in world.held() if one.step.change == c.EnterMaintenance("node-1", "default")
    ]


def test_an_agent_that_knows_nothing_of_restarts_is_named(world: RestartWorld) -> None:
    world.old_agents = {"node-2"}
    world.ask("node-2")
    step = world.decide().plan.steps[0]
    assert "the agent of node node-2 knows nothing of restarts" in step.because
    for _ in range(5):
        world.look()
    assert world.log == [] and awaited(world.state, world.observation) is not None


def test_nodes_that_leave_or_are_gone_are_passed_over(world: RestartWorld) -> None:
    world.ask()
    world.nodes = tuple(
        replace(one, state=NodeState.GONE) if one.name == "node-4" else one for one in world.nodes
    )
    notes = world.decide().plan.notes
    assert "node node-4 is gone for certain, and the restart passes over it" in notes
    assert not any(getattr(one.change, "node", "") == "node-4" for one in world.decide().plan.steps)


def test_a_pause_holds_it_back(world: RestartWorld) -> None:
    world.ask("node-1")
    world.state = replace(world.state, pauses={"node:node-1": Pause("node:node-1")})
    assert because(world) == "node node-1 is paused"


# --- when somebody does not come back


def test_it_does_not_go_on_while_a_node_has_not_come_back(world: RestartWorld) -> None:
    world.stuck = {"node-2"}
    world.ask()
    for _ in range(50):
        world.look()
    assert {one.node for one in world.log} == {"node-1", "node-2"}
    assert {one.name for one in world.log if one.node == "node-2"} == {"mdm", "gateway"}
    turn = awaited(world.state, world.observation)
    assert turn is not None and turn.node == "node-2" and "does not run" in turn.missing


def test_then_it_stops_and_the_rest_of_its_servers_ends(world: RestartWorld) -> None:
    world.ask("node-4")
    world.stuck = {"node-4"}
    for _ in range(5):
        world.look()
    assert world.resting() == ["node-4.default"]
    world.stop_for()
    assert world.ended_as is RestartState.STOPPED
    assert world.state.restart is not None
    assert "sds-node-4.default of node node-4 does not run" in world.state.restart.because
    for _ in range(3):
        world.look()
    assert world.resting() == [] and world.state.node("node-4").rests_for == 0


def test_it_can_be_gone_on_with(world: RestartWorld) -> None:
    world.ask()
    world.stuck = {"node-2"}
    for _ in range(10):
        world.look()
    world.stop_for()
    world.stuck = set()
    for _ in range(10):
        world.look()
    world.resume()
    world.run()
    assert world.ended_as is RestartState.DONE
    names = world.nodes_in_order()
    assert len(names) == len(set(names))


def test_what_goes_on_does_not_begin_in_a_maintenance_that_is_about_to_end(world: RestartWorld) -> None:
    world.ask("node-4")
    while not world.resting():
        world.look()
    world.cancel()
    world.resume()
    assert [one.change for one in world.decide().guarded.ready] == [c.ExitMaintenance("node-4", "default")]
    world.run()
    assert [one.resting for one in world.log] == [{"node-4.default"}]


def test_cancelled_it_begins_with_nobody_and_the_last_one_comes_back(world: RestartWorld) -> None:
    world.ask()
    while not world.resting():
        world.look()
    world.cancel()
    before = len(world.log)
    for _ in range(10):
        world.look()
    assert world.resting() == [] and {one.node for one in world.log[before:]} <= {"node-1"}
    assert world.decide().plan.steps == ()


def test_maintenance_does_not_end_under_a_node_that_may_still_begin(world: RestartWorld) -> None:
    world.ask("node-4")
    while world.state.node("node-4").servers_since == 0:
        world.settle()
        for step in world.decide().guarded.ready:
            world.take(step)
    world.cancel()
    assert because(world) == "node node-4 has not heard yet what it is to do"
    world.agents()
    world.look()
    assert world.resting() == [] and world.log == []


def test_nothing_is_assigned_any_more_once_it_has_ended(world: RestartWorld) -> None:
    world.ask("node-1")
    world.look()
    assigned = assignment_of(world.state, "node-1", "10.0.0.1")
    assert assigned.managers_since == assigned.restart == int(NOW_S)
    world.cancel()
    assigned = assignment_of(world.state, "node-1", "10.0.0.1")
    assert (assigned.managers_since, assigned.restart) == (0, int(NOW_S))


# --- what is refused


def test_an_adopted_engine_is_restarted_by_whoever_looks_after_it(world: RestartWorld) -> None:
    assert world.state.engine is not None
    existing = ExistingEngine((), ("10.0.0.1:6789",), "admin", "/p", "/s")
    world.state = replace(world.state, engine=replace(world.state.engine, adopted=existing))
    with pytest.raises(NotPossible, match="has been adopted"):
        world.ask()


def test_one_at_a_time(world: RestartWorld) -> None:
    world.ask("node-1")
    with pytest.raises(Conflict, match="goes on already"):
        world.ask("node-2")


def test_a_node_that_is_not_there(world: RestartWorld) -> None:
    with pytest.raises(NotThere):
        world.ask("node-9")


def test_an_engine_that_could_not_bear_it() -> None:
    world = RestartWorld(count=1)
    with pytest.raises(NotPossible, match="with 1 manager none can be away"):
        world.ask()


def test_a_pool_on_one_node_alone(world: RestartWorld) -> None:
    assert world.engine is not None
    mine = tuple(one for one in world.engine.devices if one.server == "node-1.default")
    world.engine = replace(world.engine, devices=mine)
    with pytest.raises(NotPossible, match="is on one node alone"):
        world.ask()


# --- whatever happens


class Fate:
    """Draws what happens besides, and holds whatever is done against what must never be."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world = RestartWorld(count=self.chance.choice((3, 4, 6)), away=self.chance.randrange(4))
        self.world.ask()
        self._maintained = ""

    def pass_by(self, *, calm: bool) -> None:
        world, chance = self.world, self.chance
        if not calm:
            self.harm()
        world.settle()
        for step in world.decide().guarded.ready:
            if calm or chance.random() < 0.7:
                world.take(step)
            else:
                world.take_half(step, effect=chance.random() < 0.5)
                break  # whoever follows begins with another look
        late = frozenset() if calm else frozenset(one.name for one in world.nodes if chance.random() < 0.3)
        world.agents(late)
        self._check()

    def harm(self) -> None:
        world, chance = self.world, self.chance
        drawn = chance.random()
        if drawn < 0.05:
            degrade(world, GIB if chance.random() < 0.5 else 0)
        elif drawn < 0.1:
            world.silent = {chance.choice(world.nodes).name} if chance.random() < 0.5 else set()
        elif drawn < 0.15:
            world.stuck = {chance.choice(world.nodes).name} if chance.random() < 0.5 else set()
        elif drawn < 0.18 and world.state.restart is not None:
            if world.state.restart.is_going:
                world.cancel()
            elif world.ended_as is not RestartState.DONE:
                world.resume()
        elif drawn < 0.2 and awaited(world.state, world.observation) is not None:
            world.stop_for()
        elif drawn < 0.23:
            self._maintain()

    def _maintain(self) -> None:
        if self._maintained:
            maintain(self.world, self._maintained, begin=False)
            self._maintained = ""
        else:
            self._maintained = self.chance.choice(self.world.nodes).name
            maintain(self.world, self._maintained)

    def calm(self) -> None:
        """Everything that was wrong is well again."""
        world = self.world
        degrade(world, 0)
        world.silent, world.stuck = set(), set()
        if self._maintained:
            self._maintain()
        if world.ended_as in (RestartState.CANCELLED, RestartState.STOPPED):
            world.resume()

    def _check(self) -> None:
        log = self.world.log
        names = [(one.node, one.name, one.number) for one in log]
        assert len(names) == len(set(names)), f"restarted twice: {names}"
        for one in log:
            assert one.away == frozenset(), f"somebody else is away: {one}"
            if one.name.startswith("sds"):
                assert f"{one.node}.default" in one.resting, f"not in maintenance: {one}"


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_it_ends_one_node_at_a_time_and_restarts_nothing_twice(seed: int) -> None:
    fate = Fate(seed)
    for _ in range(60):
        fate.pass_by(calm=False)
    fate.calm()
    for _ in range(200):
        fate.pass_by(calm=True)
    world = fate.world
    assert world.ended_as is RestartState.DONE, world.decide().guarded
    assert world.resting() == []
    numbers = {one.number for node in world.running.values() for name, one in node.items() if name != "sdc"}
    assert numbers == {int(NOW_S)}


@pytest.mark.parametrize("seed", range(60))
def test_nobody_else_is_away_when_a_process_is_ended(seed: int) -> None:
    """Nothing falls silent here between a look and what follows from it: that nobody can exclude."""
    fate = Fate(1_000 + seed)
    world = fate.world
    for _ in range(100):
        fate.pass_by(calm=True)
        fate.harm()
    for one in world.log:
        assert one.whole and one.away == frozenset()
        if one.name.startswith("sds"):
            assert one.resting == {f"{one.node}.default"}
