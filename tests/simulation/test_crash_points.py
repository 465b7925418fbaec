"""The scheduler is killed at every commit and at every change of a story: the end is always the same.

The story: bare nodes become storage, volumes are made, attached, moved, grown, renamed and deleted, snapshots
are taken, cloned and deleted, and a disk is taken out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from artesian.model.disk import PoolName
from artesian.model.names import client_guid
from artesian.model.wishes import VolumeWish
from artesian.scheduler import requests
from artesian.scheduler.node_requests import remove_disk
from artesian.scheduler.snapshot_requests import clone, delete_snapshot, take_snapshot
from artesian.scheduler.volume_requests import (
    attach_volume,
    create_volume,
    delete_volume,
    grow_volume,
    limit_volume,
    rename_volume,
)
from tests.simulation.drill import labelled
from tests.simulation.nodes import GIB, make_node
from tests.simulation.scheduler import simulated
from tests.simulation.world import World

POOL = PoolName("default", "default")
PATIENCE_S = 120
EDGES = ("before", "after")


def bare_world() -> World:
    """Four nodes, one disk of which must not be touched."""
    nodes = [make_node(number, 2) for number in range(4)]
    nodes[3].change_disk("wwn:node-00003-c", signatures=("ext4",))
    return World(nodes, "{new_disks: ask, new_nodes: take}", prompt=True)


def attach(name: str, node: str) -> Callable[..., Any]:
    """A volume is wanted on a node."""
    return lambda state, seen: attach_volume(
        state, seen, name, node, mount_path=None, fstype=None, force=False
    )


STORY: tuple[tuple[Callable[..., Any], ...], ...] = (
    (),
    (
        lambda state, seen: create_volume(state, seen, VolumeWish("one", POOL, 8 * GIB, node="node-00000")),
        lambda state, seen: create_volume(state, seen, VolumeWish("two", POOL, 8 * GIB)),
        lambda state, seen: create_volume(state, seen, VolumeWish("three", POOL, 8 * GIB)),
    ),
    (
        attach("one", "node-00001"),
        lambda state, _: limit_volume(state, "one", 500, None),
        lambda state, seen: take_snapshot(state, seen, "one", "kept"),
        lambda state, seen: take_snapshot(state, seen, "two", "passing"),
        lambda state, seen: grow_volume(state, seen, "two", 16 * GIB),
        lambda state, _: delete_volume(state, "three"),
        lambda state, seen: remove_disk(state, seen, "node-00002", "wwn:node-00002-b"),
    ),
    (
        attach("two", "node-00003"),
        lambda state, seen: rename_volume(state, seen, "one", "uno"),
        lambda state, seen: clone(state, seen, "uno", "kept", "copy"),
        lambda state, _: delete_snapshot(state, "two", "passing"),
    ),
    (
        lambda state, seen: clone(state, seen, "uno", "kept", "other"),
        lambda state, seen: take_snapshot(state, seen, "copy", "of-the-copy"),
    ),
    (
        lambda state, _: delete_snapshot(state, "uno", "kept"),
        lambda state, _: delete_volume(state, "copy", with_snapshots=True),
    ),
)


def tell(world: World) -> None:
    """The whole story; a user whose request was lost with the scheduler asks again."""
    for chapter in STORY:
        for request in chapter:
            kills = -1
            while kills != len(world.kills):
                kills = len(world.kills)
                while world.verdict is None:
                    world.tick()
                world.ask(request)
        assert world.settle(PATIENCE_S) < PATIENCE_S, world.verdict
    for _ in range(10):
        world.tick()


def ending(world: World) -> dict[str, object]:
    """What there is at the end, but for ids that are drawn."""
    state, system = world.store.state(), world.system
    assert state.engine is not None
    assert state.engine.system_id == system.system_id
    names = {client_guid(state.engine.system_id, name): name for name in world.nodes}
    return {
        "managers": system.managers,
        "pools": {name: pool.spare_percentage for name, pool in system.pools.items()},
        "servers": {(one.node, one.domain, one.fault_set) for one in system.servers.values()},
        "devices": {(one.identity, one.node, one.path, one.pool) for one in system.devices.values()},
        "clients": {(names[guid], name) for guid, name in system.clients.items()},
        "volumes": {
            (one.name, one.size_bytes, tuple(names[guid] for guid in one.writers), *sorted(one.snapshots))
            for one in system.volumes.values()
        },
        "attached": {name: len(node.attached) for name, node in world.nodes.items()},
        "claims": {(one.identity, one.node, one.pool) for one in state.claims.values()},
        "wishes": {
            (one.name, one.node, one.size_bytes, one.deleted, *(each.name for each in one.snapshots))
            for one in state.volumes.values()
        },
        "nodes": dict(state.nodes),
        "tombstones": set(state.tombstones),
        "verdict": world.verdict.sentence if world.verdict is not None else "",
    }


@pytest.fixture(scope="module")
def undisturbed() -> World:
    world = bare_world()
    with simulated(world.clock):
        tell(world)
    return world


def test_the_undisturbed_story_ends_well(undisturbed: World) -> None:
    found = ending(undisturbed)
    assert undisturbed.verdict is not None and undisturbed.verdict.healthy, undisturbed.verdict
    assert len(undisturbed.system.devices) == 6
    assert found["volumes"] == {
        ("uno", 8 * GIB, ("node-00001",)),
        ("two", 16 * GIB, ("node-00003",)),
        ("other", 8 * GIB, ()),
    }
    (copied,) = (one.content for one in undisturbed.system.volumes.values() if one.name == "other")
    assert copied


@pytest.mark.parametrize("edge", EDGES)
def test_killed_at_every_commit(undisturbed: World, edge: str) -> None:
    for commit in range(1, undisturbed.store.commits + 1):
        world = bare_world_killed_at_commit(commit, edge)
        with simulated(world.clock):
            tell(world)
        assert world.kills, f"commit {commit} was never reached"
        assert ending(world) == ending(undisturbed), f"{edge} commit {commit}: {world.kills}"


def bare_world_killed_at_commit(commit: int, edge: str) -> World:
    """The first commits are made by the world's making: those happen anew."""
    world = bare_world()
    if commit <= world.store.commits:
        world.store.documents.clear()
        world.store.commits = 0
        world.kill("it begins anew")
        world.store.kill_at, world.store.kill_after = commit, edge == "after"
        while world.ask(lambda state, _: requests.set_spec(state, "{new_disks: ask, new_nodes: take}")):
            pass
        if not world.store.state().spec_text:
            world.ask(lambda state, _: requests.set_spec(state, "{new_disks: ask, new_nodes: take}"))
    world.store.kill_at, world.store.kill_after = commit, edge == "after"
    return world


@pytest.mark.parametrize("edge", EDGES)
def test_killed_at_every_change(undisturbed: World, edge: str) -> None:
    for change in range(1, undisturbed.faults.changes + 1):
        world = bare_world()
        world.faults.kill_at, world.faults.kill_after = change, edge == "after"
        with simulated(world.clock):
            tell(world)
        assert world.kills, f"change {change} was never reached"
        assert ending(world) == ending(undisturbed), f"{edge} change {change}: {world.kills}"


def test_the_same_story_with_threads(undisturbed: World) -> None:
    world = bare_world()
    tell(world)
    assert ending(world) == ending(undisturbed)


def test_a_lost_store_makes_nothing_anew(undisturbed: World) -> None:
    """Disks of an engine are there, and nothing is remembered: nobody makes another one."""
    nodes = [make_node(number, 2) for number in range(4)]
    labelled(nodes[2])
    world = World(nodes, "{new_disks: take, new_nodes: take}", prompt=True)
    with simulated(world.clock):
        for _ in range(60):
            world.tick()
    assert world.system.system_id is None
    assert not world.store.state().claims
