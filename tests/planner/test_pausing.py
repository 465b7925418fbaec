"""Pauses in the planner: what touches a paused pool or node waits, and what keeps data safe does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.model import changes as c
from artesian.model.disk import PoolName
from artesian.model.engine import Healing, ManagerPlace
from artesian.model.names import device_name
from artesian.model.node import NodeState
from artesian.model.pause import Pause
from artesian.model.spec import Spec, Taking
from artesian.model.state import FrameworkState, with_item
from artesian.model.topology import ManagerRole
from artesian.model.wishes import VolumeWish
from artesian.planner.facts import Facts
from artesian.planner.pausing import paused
from tests.planner.situations import GIB, POOL, World, disk, nodes

OTHER = PoolName("default", "other")
PLACE = ManagerPlace("node-1", "10.0.0.1", ManagerRole.MANAGER)
ELSEWHERE = ManagerPlace("node-2", "10.0.0.2", ManagerRole.MANAGER)

OF_NODE_1: tuple[c.Change, ...] = (
    c.JoinNode("node-1"),
    c.CreateEngine((ELSEWHERE, PLACE)),
    c.AddManager(PLACE),
    c.RemoveManager(PLACE),
    c.AddServer("node-1", "10.0.0.1", "default", None),
    c.AddDevice("node-1", "serial:x", "/dev/x", OTHER, GIB),
    c.RemoveDevice("node-1", "serial:x", OTHER),
    c.AddClient("node-1"),
    c.RemoveServer("node-1", "default"),
    c.RemoveClient("node-1"),
    c.EnterMaintenance("node-1", "default"),
    c.MapVolume("data", "node-1"),
)
OF_POOL: tuple[c.Change, ...] = (
    c.AddPool(POOL, 10),
    c.SetSpare(POOL, 10),
    c.SetHealing(POOL, Healing.LIMITED),
    c.AddDevice("node-2", "serial:x", "/dev/x", POOL, GIB),
    c.RemoveDevice("node-2", "serial:x", POOL),
    c.EnterMaintenance("node-2", "default"),
    c.CreateVolume("new", POOL, GIB, thick=False),
    c.GrowVolume("data", 3 * GIB),
    c.RenameVolume("before", "data"),
    c.DeleteVolume("data"),
)
KEEPING_SAFE: tuple[c.Change, ...] = (
    c.UnmapVolume("data", "node-1"),
    c.ExitMaintenance("node-1", "default"),
    c.ReturnDevice("node-1", "serial:1-sdb"),
)


def stored(world: World) -> World:
    """With the volume `data` of the pool."""
    volumes = with_item(world.state.volumes, "data", VolumeWish("data", POOL, 2 * GIB))
    world.state = replace(world.state, volumes=volumes)
    return world


def a_world(*scopes: str) -> World:
    world = stored(World(nodes(3)).deploy())
    pause_these(world, *scopes)
    return world


def pause_these(world: World, *scopes: str) -> None:
    for scope in scopes:
        pauses = with_item(world.state.pauses, scope, Pause(scope, because="racks are moved"))
        world.state = replace(world.state, pauses=pauses)


def facts(world: World) -> Facts:
    decision = world.decide()
    assert world.engine is not None
    seen = world.observation
    by_name = {one.name: one for one in seen.nodes}
    return Facts(world.spec, decision.topology, seen, world.state, world.engine, by_name)


@pytest.mark.parametrize("change", OF_NODE_1, ids=lambda one: type(one).__name__)
def test_what_touches_a_paused_node_waits(change: c.Change) -> None:
    assert paused(change, facts(a_world("node:node-1"))) == "node node-1 is paused: racks are moved"
    assert paused(change, facts(a_world("node:node-3", "pool:default/third", "remedies"))) is None


@pytest.mark.parametrize("change", OF_POOL, ids=lambda one: type(one).__name__)
def test_what_touches_a_paused_pool_waits(change: c.Change) -> None:
    held = paused(change, facts(a_world("pool:default/default")))
    assert held == "pool default/default is paused: racks are moved"
    assert paused(change, facts(a_world("pool:default/other", "rule:expand", "node:node-3"))) is None


@pytest.mark.parametrize("change", KEEPING_SAFE, ids=lambda one: type(one).__name__)
def test_what_keeps_data_safe_goes_on(change: c.Change) -> None:
    world = a_world("node:node-1", "pool:default/default")
    assert paused(change, facts(world)) is None
    world.state = replace(world.state, paused=True)
    assert paused(change, facts(world)) == "everything is paused"


def test_a_lost_manager_of_a_paused_node_leaves_the_quorum() -> None:
    world = a_world("node:node-1")
    assert world.engine is not None
    managers = tuple(replace(one, healthy=one.host != PLACE.address) for one in world.engine.managers)
    assert paused(c.RemoveManager(PLACE), facts(world)) is not None
    world.engine = replace(world.engine, managers=managers)
    assert paused(c.RemoveManager(PLACE), facts(world)) is None


def test_a_volume_is_taken_over_while_its_pool_and_its_old_node_are_paused() -> None:
    world = a_world()
    world.state = world.state.with_volume(replace(world.state.volumes["data"], node="node-1"))
    world.converge()
    pause_these(world, "node:node-1", "pool:default/default")
    gone = replace(world.nodes[0], state=NodeState.GONE)
    world.nodes = (gone, *world.nodes[1:])
    world.state = world.state.with_volume(replace(world.state.volumes["data"], node="node-2"))
    while world.step():
        pass
    assert world.engine is not None
    assert world.engine.volumes[0].mapped_to == (world.state.guid_of("node-2"),)


def test_a_paused_pool_gets_no_new_disk_and_other_steps_go_on() -> None:
    world = World(nodes(3), Spec(new_disks=Taking.TAKE, new_nodes=Taking.TAKE))
    world.converge()
    pause_these(world, "pool:default/default")
    world.nodes = (replace(world.nodes[0], disks=(*world.nodes[0].disks, disk("sdx"))), *world.nodes[1:])
    world.nodes = (*world.nodes, *nodes(4)[3:])
    world.converge()
    assert world.engine is not None
    assert "node-4" in {one.name for one in world.engine.clients}
    assert device_name("serial:1-sdx") not in {one.name for one in world.engine.devices}
    assert any("is paused: racks are moved" in one.because for one in world.decide().guarded.held)
    world.state = replace(world.state, pauses={})
    world.converge()
    assert device_name("serial:1-sdx") in {one.name for one in world.engine.devices}


def test_of_two_pauses_everything_is_named_first() -> None:
    both = FrameworkState(paused=True, pauses={"node:a": Pause("node:a")})
    assert both.paused_because("node:a") == "everything is paused"
    assert FrameworkState().paused_because("node:a") is None
