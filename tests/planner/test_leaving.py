"""Nodes that whoever runs the machines wants empty are in maintenance for as long, and no longer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.model import changes as c
from artesian.model.errors import Conflict
from artesian.model.node import NodeState
from artesian.model.observation import SeenAttachment
from artesian.model.remedy import Remedy, RemedyState
from artesian.model.rule import RemedyKind
from artesian.model.spec import Spec, Taking
from artesian.model.state import NodeRecord, with_item
from artesian.model.wishes import VolumeWish
from artesian.planner.leaving import heed, needed_for, standings, volume_left
from artesian.scheduler.node_requests import maintain_node, remove_node
from tests.planner.situations import GIB, POOL, World, nodes

TAKE = Spec(new_disks=Taking.TAKE, new_nodes=Taking.TAKE)
NODE = "node-1"


@pytest.fixture
def world() -> World:
    made = World(nodes(4), TAKE)
    made.converge()
    made.done.clear()
    return made


def be(world: World, name: str = NODE, **values: object) -> None:
    """Let a node be seen like this from now on."""
    world.nodes = tuple(
        replace(one, **values) if one.name == name else one  # type: ignore[arg-type]
        for one in world.nodes
    )


def look(world: World) -> list[str]:
    """Heed what is wanted, and go on as far as possible; what was told."""
    heeded = heed(world.state, world.observation)
    world.state = heeded.state
    world.converge()
    return [event.kind for event in heeded.events]


def why_it_does_not_join(world: World, name: str) -> list[str]:
    return [one.because for one in world.decide().guarded.held if one.step.change == c.JoinNode(name)]


def resting(world: World) -> list[str]:
    assert world.engine is not None
    return [one.name.partition(".")[0] for one in world.engine.servers if one.in_maintenance]


def record(world: World, name: str = NODE) -> NodeRecord:
    return world.state.node(name)


def use(world: World, name: str = NODE) -> None:
    """Let a volume be on a node."""
    wish = VolumeWish("data", POOL, GIB, node=name)
    world.state = replace(world.state, volumes=with_item(world.state.volumes, "data", wish))
    world.converge()


def test_it_is_in_maintenance_as_long_as_it_is_to_be_empty(world: World) -> None:
    be(world, leaving=True)
    assert look(world) == ["drained"]
    assert resting(world) == [NODE]
    assert look(world) == []
    be(world, leaving=False)
    assert look(world) == ["undrained"]
    assert resting(world) == []


def test_nothing_is_thought_of_a_node_that_nobody_can_reach(world: World) -> None:
    """It is being restarted, most likely: what is wanted of it is known when it is back."""
    be(world, leaving=True)
    look(world)
    be(world, leaving=False, unreachable=True, state=NodeState.SILENT)
    assert look(world) == []
    assert resting(world) == [NODE]


def test_one_that_is_gone_for_certain_is_not_waited_for(world: World) -> None:
    be(world, leaving=True)
    look(world)
    be(world, leaving=False, state=NodeState.GONE)
    assert look(world) == ["undrained"]
    assert not record(world).in_maintenance


def test_what_somebody_has_asked_for_is_not_ended(world: World) -> None:
    world.state = maintain_node(world.state, world.observation, NODE, in_maintenance=True)
    be(world, leaving=True)
    assert look(world) == []
    be(world, leaving=False)
    assert look(world) == []
    assert record(world).in_maintenance and resting(world) == [NODE]


def test_what_is_asked_for_while_it_is_drained_lasts(world: World) -> None:
    be(world, leaving=True)
    look(world)
    world.state = maintain_node(world.state, world.observation, NODE, in_maintenance=True)
    be(world, leaving=False)
    assert look(world) == []
    assert record(world).in_maintenance and not record(world).drained


def test_who_drains_it_ends_it(world: World) -> None:
    be(world, leaving=True)
    look(world)
    with pytest.raises(Conflict, match="node node-1 is drained, and stays in maintenance until whoever"):
        maintain_node(world.state, world.observation, NODE, in_maintenance=False)


def test_a_node_that_is_being_removed_is_left_to_that(world: World) -> None:
    be(world, leaving=True)
    look(world)
    world.state = remove_node(world.state, world.observation, NODE)
    assert look(world) == []
    assert not (record(world).in_maintenance or record(world).drained)
    be(world, leaving=False)
    assert look(world) == []


def test_a_node_that_nobody_uses_is_not_touched() -> None:
    world = World(nodes(4), Spec())
    be(world, leaving=True)
    assert heed(world.state, world.observation).state is world.state


def test_a_new_node_that_is_to_be_empty_does_not_join() -> None:
    world = World(nodes(4), TAKE)
    be(world, "node-4", leaving=True)
    world.converge()
    assert not world.state.node("node-4").joined
    assert why_it_does_not_join(world, "node-4") == ["whoever runs the machines wants node node-4 empty"]


def test_a_new_node_that_is_out_of_reach_does_not_join() -> None:
    world = World(nodes(4), TAKE)
    be(world, "node-4", unreachable=True)
    world.converge()
    assert not world.state.node("node-4").joined
    assert why_it_does_not_join(world, "node-4") == [
        "node node-4 is out of reach for whoever runs the machines"
    ]
    be(world, "node-4", unreachable=False)
    world.converge()
    assert world.state.node("node-4").joined


def test_of_several_one_goes_at_a_time(world: World) -> None:
    be(world, leaving=True)
    be(world, "node-2", leaving=True)
    assert look(world) == ["drained", "drained"]
    assert resting(world) == [NODE]
    be(world, leaving=False)
    look(world)
    look(world)
    assert resting(world) == ["node-2"]


def test_its_agent_may_have_been_ended_before_its_server_rests(world: World) -> None:
    be(world, leaving=True, state=NodeState.SILENT)
    look(world)
    assert resting(world) == [NODE]


def test_a_node_that_is_silent_without_being_drained_does_not_rest(world: World) -> None:
    be(world, state=NodeState.SILENT)
    world.state = maintain_node(world.state, world.observation, NODE, in_maintenance=True)
    world.converge()
    assert resting(world) == []


def test_nodes_of_one_fault_set_go_together_although_the_first_is_silent_by_then() -> None:
    racks = ("a", "a", "b", "b", "c", "d", "e")
    seen = tuple(
        replace(one, attributes={"scaleio-fault-set": rack})
        for one, rack in zip(nodes(7), racks, strict=True)
    )
    world = World(seen, TAKE)
    world.converge()
    managers = {one.node for one in world.state.engine.managers} if world.state.engine is not None else set()
    assert not {"node-1", "node-2"} <= managers, "the quorum is not what is tested here"
    be(world, leaving=True)
    look(world)
    be(world, state=NodeState.SILENT)
    be(world, "node-2", leaving=True)
    look(world)
    assert resting(world) == [NODE, "node-2"]


def test_the_cluster_can_do_without_a_node_that_rests_and_has_no_volume(world: World) -> None:
    use(world)
    be(world, leaving=True)
    look(world)
    assert reason(world) == "volume data is to be on it"
    world.state = world.state.with_volume(replace(world.state.volumes["data"], node="node-2"))
    assert world.engine is not None
    attached = SeenAttachment(world.engine.volumes[0].id, NODE, "/dev/x")
    world.attachments = (attached,)
    world.converge()
    assert reason(world) == "volume data is still mapped to it"
    world.attachments = ()
    world.converge()
    world.attachments = (attached,)
    assert reason(world) == "a volume is attached there"
    world.attachments = ()
    assert reason(world) == ""


def test_a_volume_that_is_left_on_a_node_is_named_with_what_keeps_it_there(world: World) -> None:
    assert volume_left(NODE, world.observation, world.state) == ""
    use(world)
    be(world, leaving=True)
    look(world)
    assert world.engine is not None
    left = SeenAttachment(world.engine.volumes[0].id, NODE, "/dev/x", "/data")
    assert volume_left(NODE, world.observation, world.state) == (
        "volume data is not elsewhere yet: it is to be on it until it is moved or detached"
    )
    held = RemedyState.HELD
    remedy = Remedy("r1", "empty", RemedyKind.MOVE_VOLUMES, NODE, "", held, 0.0, 0.0, detail="no home")
    world.state = world.state.with_remedy(remedy)
    world.attachments = (left,)
    assert volume_left(NODE, world.observation, world.state) == (
        "volume data is attached there at /data: remedy r1, which moves it, is held (no home)"
    )
    world.state = world.state.with_volume(replace(world.state.volumes["data"], node="node-2"))
    busy = "/data is in use by sleep (17)"
    for problem, kept in (("", f"node {NODE} has not let go of it yet"), (busy, busy)):
        world.attachments = (replace(left, problem=problem),)
        said = volume_left(NODE, world.observation, world.state)
        assert said == f"volume data is attached there at /data: {kept}"
    world.attachments = ()
    assert volume_left(NODE, world.observation, world.state) == "volume data is still mapped to it"
    world.converge()
    assert volume_left(NODE, world.observation, world.state) == ""


def test_it_is_needed_until_it_is_in_maintenance(world: World) -> None:
    assert reason(world) == "it is not in maintenance"
    be(world, leaving=True)
    be(world, "node-2", leaving=True)
    look(world)
    assert reason(world) == ""
    assert reason(world, "node-2") == "its server of domain default is not in maintenance yet"


def test_a_majority_of_managers_needs_it(world: World) -> None:
    be(world, leaving=True)
    look(world)
    assert world.engine is not None
    others = [one for one in world.engine.managers if one.host != "10.0.0.1"]
    assert len(others) == 2
    ill = tuple(replace(one, healthy=one not in others[:1]) for one in world.engine.managers)
    world.engine = replace(world.engine, managers=ill)
    assert reason(world) == "only 1 of 3 managers would answer without it, which is no majority"


def test_nobody_needs_a_node_that_does_nothing() -> None:
    world = World(nodes(4), Spec())
    assert reason(world) == ""


def reason(world: World, name: str = NODE) -> str:
    return needed_for(name, world.observation, world.state)


def test_how_it_is_with_every_node(world: World) -> None:
    be(world, state=NodeState.SILENT, unreachable=True)
    be(world, "node-2", state=NodeState.GONE)
    seen = replace(world.observation, unheard=frozenset({"node-3"}))
    found = standings(seen, world.state, {"node-4": 7.0})
    shown = {name: (one.reports, one.away) for name, one in found.items()}
    assert shown == {
        "node-1": (False, True),
        "node-2": (False, True),
        "node-3": (False, False),
        "node-4": (True, False),
    }
    assert [one.heard_s for one in found.values()][2:] == [float("-inf"), 7.0]
