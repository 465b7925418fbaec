"""Limits of volumes: set where the volume is, and set anew wherever it goes."""

from __future__ import annotations

from dataclasses import replace

from artesian.model import changes as c
from artesian.model.engine import SeenLimits
from artesian.model.names import client_guid
from artesian.model.state import with_item
from artesian.model.wishes import VolumeWish
from tests.planner.situations import GIB, POOL, World, nodes

MIB = 1 << 20


def world_with(**values: object) -> World:
    """A volume on node-1."""
    world = World(nodes(3)).deploy()
    wish(world, VolumeWish("data", POOL, 2 * GIB, node="node-1", **values))  # type: ignore[arg-type]
    world.converge()
    return world


def wish(world: World, wanted: VolumeWish) -> None:
    world.state = replace(world.state, volumes=with_item(world.state.volumes, wanted.name, wanted))


def change(world: World, **values: object) -> None:
    wish(world, replace(world.state.volumes["data"], **values))  # type: ignore[arg-type]


def limits(world: World, node: str) -> SeenLimits:
    assert world.engine is not None
    (volume,) = world.engine.volumes
    return volume.limits_of(client_guid(world.engine.system_id, node))


def set_limits(world: World) -> list[c.SetLimits]:
    return [step.change for step in world.done if isinstance(step.change, c.SetLimits)]


def test_a_volume_without_limits_has_no_step_for_them() -> None:
    assert not set_limits(world_with())


def test_limits_are_set_once_the_volume_is_mapped() -> None:
    world = world_with(limit_iops=500, limit_bandwidth_bytes_per_s=MIB)
    assert limits(world, "node-1") == SeenLimits(500, MIB)
    assert [type(step.change) for step in world.done][-2:] == [c.MapVolume, c.SetLimits]
    assert world.done[-1].because == "volume data on node node-1 may do 500 requests and 1.0 MiB a second"


def test_other_limits_are_one_step() -> None:
    world = world_with(limit_iops=500)
    change(world, limit_iops=700)
    (step,) = world.decide().plan.steps
    assert step.change == c.SetLimits("data", "node-1", 700, 0)
    assert step.because == (
        "volume data on node node-1 may do 700 requests a second, and not 500 requests a second any more"
    )
    change(world, limit_iops=0)
    world.converge()
    assert limits(world, "node-1") == SeenLimits()
    assert world.done[-1].because.startswith("volume data on node node-1 may do as much as it can, and not")


def test_limits_that_somebody_else_has_changed_are_set_again() -> None:
    world = world_with(limit_iops=500)
    world.take(replace(world.done[-1], change=c.SetLimits("data", "node-1", 20, 0)))
    assert limits(world, "node-1") == SeenLimits(20)
    world.converge()
    assert limits(world, "node-1") == SeenLimits(500)


def test_limits_travel_with_the_volume() -> None:
    world = world_with(limit_iops=500)
    change(world, node="node-2")
    planned = [step.change for step in world.decide().plan.steps]
    assert planned == [
        c.UnmapVolume("data", "node-1"), c.MapVolume("data", "node-2"), c.SetLimits("data", "node-2", 500, 0),
    ]  # fmt: skip
    world.converge()
    assert limits(world, "node-2") == SeenLimits(500)
    assert limits(world, "node-1") == SeenLimits()


def test_a_volume_that_is_nowhere_keeps_its_limits_for_later() -> None:
    world = world_with(limit_iops=500)
    change(world, node=None)
    world.converge()
    change(world, limit_iops=600)
    world.converge()
    assert not world.decide().plan.steps
    change(world, node="node-3")
    world.converge()
    assert limits(world, "node-3") == SeenLimits(600)


def test_a_new_name_comes_before_new_limits() -> None:
    world = world_with()
    renamed = replace(world.state.volumes["data"], name="ledger", limit_iops=50)
    world.state = replace(world.state, volumes={"ledger": renamed})
    world.converge()
    assert limits(world, "node-1") == SeenLimits(50)
    assert [type(step.change) for step in world.done][-2:] == [c.RenameVolume, c.SetLimits]
