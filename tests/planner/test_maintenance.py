"""A node that is about to be away: only when nothing needs it, and one at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.model import changes as c
from artesian.model.disk import Tombstone
from artesian.model.node import NodeState
from artesian.model.spec import Spec, Taking
from artesian.model.state import with_item
from artesian.model.wishes import VolumeWish
from tests.planner.situations import GIB, POOL, World, node, nodes

TAKE = Spec(new_disks=Taking.TAKE, new_nodes=Taking.TAKE)


def maintain(world: World, name: str, *, begin: bool = True) -> None:
    """Wish for it."""
    record = replace(world.state.node(name), in_maintenance=begin)
    world.state = replace(world.state, nodes=with_item(world.state.nodes, name, record))


@pytest.fixture
def world() -> World:
    made = World(nodes(4), TAKE)
    made.converge()
    made.done.clear()
    return made


def resting(world: World) -> list[str]:
    assert world.engine is not None
    return [one.name.partition(".")[0] for one in world.engine.servers if one.in_maintenance]


def objection(world: World) -> str:
    """Why the node does not go into maintenance."""
    return next(
        one.because for one in world.decide().guarded.held if isinstance(one.step.change, c.EnterMaintenance)
    )


def test_it_begins_and_ends_as_wished(world: World) -> None:
    maintain(world, "node-1")
    world.converge()
    assert resting(world) == ["node-1"]
    maintain(world, "node-1", begin=False)
    world.converge()
    assert resting(world) == []
    assert [type(step.change) for step in world.done] == [c.EnterMaintenance, c.ExitMaintenance]


def test_of_two_that_are_wished_for_at_once_one_waits(world: World) -> None:
    maintain(world, "node-1")
    maintain(world, "node-2")
    world.converge()
    assert resting(world) == ["node-1"]
    assert objection(world) == "server node-1.default of domain default is in maintenance already"
    maintain(world, "node-1", begin=False)
    world.converge()
    assert resting(world) == ["node-2"]


def test_servers_of_one_fault_set_may_be_away_together_if_managers_can() -> None:
    racked = tuple(
        replace(node(number), attributes={"scaleio-fault-set": f"rack-{number % 3}"})
        for number in range(1, 7)
    )
    world = World(racked, TAKE)
    world.converge()
    for name in ("node-1", "node-2", "node-4"):
        maintain(world, name)
    world.converge()
    assert resting(world) == ["node-1", "node-4"]


def test_managers_that_may_be_away_at_any_moment_are_counted_out() -> None:
    racked = tuple(
        replace(
            node(number),
            attributes={
                "scaleio-fault-set": f"rack-{number % 3}",
                "scaleio-persona": "primary" if number in (1, 4, 2) else "data",
            },
        )
        for number in range(1, 7)
    )
    world = World(racked, TAKE)
    world.converge()
    maintain(world, "node-1")
    maintain(world, "node-4")
    world.converge()
    assert resting(world) == ["node-1"]
    assert "only 1 of 3 managers" in objection(world)


def test_a_node_with_a_volume_keeps_working(world: World) -> None:
    wish = VolumeWish("data", POOL, 2 * GIB, node="node-1")
    world.state = replace(world.state, volumes=with_item(world.state.volumes, "data", wish))
    world.converge()
    maintain(world, "node-1")
    assert objection(world) == "volume data is on node node-1: move or detach it first"


def test_a_degraded_pool_is_healed_first(world: World) -> None:
    assert world.engine is not None
    world.engine = replace(world.engine, pools=(replace(world.engine.pools[0], degraded_bytes=GIB),))
    maintain(world, "node-1")
    assert "is degraded, and is healed first" in objection(world)


def test_managers_keep_their_majority(world: World) -> None:
    assert world.engine is not None
    first, *others = world.engine.managers
    world.engine = replace(world.engine, managers=(first, replace(others[0], healthy=False), *others[1:]))
    maintain(world, first.name.removeprefix("mdm-"))
    assert "majority" in objection(world)


def test_nothing_begins_while_another_node_is_silent(world: World) -> None:
    world.nodes = (node(1), node(2), node(3), node(4, state=NodeState.SILENT))
    maintain(world, "node-1")
    assert "node node-4 is silent" in objection(world)


def test_no_disk_is_taken_out_of_a_node_in_maintenance(world: World) -> None:
    maintain(world, "node-1")
    world.converge()
    identity = node(1).disks[0].identity
    assert identity is not None
    tombstones = with_item(world.state.tombstones, identity, Tombstone(identity, "somebody has removed it"))
    world.state = replace(world.state, tombstones=tombstones)
    held = [one.because for one in world.decide().guarded.held]
    assert held == ["node node-1 is in maintenance: its data moves when that has ended"]


def test_no_disk_is_added_to_a_node_in_maintenance(world: World) -> None:
    maintain(world, "node-1")
    world.converge()
    world.nodes = (node(1, disks=3), *world.nodes[1:])
    world.converge()
    assert not any(isinstance(step.change, c.AddDevice) for step in world.done)
