"""What a node's roles take, and nodes that have too little for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.model.assignment import AssignedDevice, Assignment
from artesian.model.disk import PoolName
from artesian.model.engine import CephSettings
from artesian.model.node import Node
from artesian.model.resources import Resources, total
from artesian.model.spec import Spec
from artesian.planner.needs import AGENT, EMBEDDED, needs_with, role_needs, too_small
from tests.planner.situations import World, nodes

MIB = 1 << 20
GIB = 1 << 30
ALL = EMBEDDED.at_most
CEPH = CephSettings(osd_memory_bytes=2 * GIB)
NODE = Node("node-1", "10.0.0.1")


def test_a_node_that_does_nothing_yet_needs_its_agent() -> None:
    assert role_needs(Assignment("node-1", "10.0.0.1")) == {"agent": AGENT}


def assigned(*devices: str, ceph: CephSettings | None = None) -> Assignment:
    """A node with every role and these disks."""
    pool = PoolName("default", "default")
    given = tuple(AssignedDevice(f"serial:{one}", f"/dev/{one}", pool, 10 * GIB) for one in devices)
    return Assignment(
        "node-1", "10.0.0.1", manages=True, domains=("default",), is_client=True, devices=given, ceph=ceph
    )


def test_each_role_takes_what_it_takes() -> None:
    assert role_needs(assigned()) == {
        "agent": Resources(0.1, 96 * MIB),
        "client": Resources(0.1, 96 * MIB),
        "manager": Resources(0.1, 160 * MIB),
        "server": Resources(0.2, 128 * MIB),
    }
    assert total(role_needs(assigned()).values()) == ALL


def test_a_server_of_two_domains_takes_twice_as_much() -> None:
    both = replace(assigned(), domains=("default", "other"))
    assert role_needs(both)["server"] == Resources(0.4, 256 * MIB)


def test_with_ceph_a_server_takes_what_each_of_its_disks_may_take() -> None:
    assert role_needs(assigned("sdb", "sdc", "sdd", ceph=CEPH)) == {
        "agent": Resources(0.1, 96 * MIB),
        "client": Resources(0.1, 128 * MIB),
        "manager": Resources(0.2, 400 * MIB),
        "server": Resources(0.2, 6 * GIB),
    }


def test_with_ceph_a_server_that_has_no_disk_yet_will_have_one() -> None:
    assert role_needs(assigned(ceph=CEPH))["server"] == Resources(0.2, 2 * GIB)
    assert role_needs(assigned("sdb", ceph=CEPH))["server"] == Resources(0.2, 2 * GIB)
    assert total(role_needs(assigned("sdb", ceph=CEPH)).values()) == needs_with(CEPH).at_most


def test_a_node_that_has_exactly_enough_is_large_enough() -> None:
    assert too_small(replace(NODE, cpus=ALL.cpus, memory_bytes=ALL.memory_bytes)) is None


@pytest.mark.parametrize(
    ("cpus", "memory_bytes", "said"),
    [
        (ALL.cpus - 0.1, ALL.memory_bytes, "0.4 processors and 480 MiB"),
        (ALL.cpus, ALL.memory_bytes - 1, "0.5 processors and 479 MiB"),
        (0.0, ALL.memory_bytes, "0 processors and 480 MiB"),
    ],
)
def test_a_node_that_is_too_small_is_named_with_what_it_has_and_what_it_takes(
    cpus: float, memory_bytes: int, said: str
) -> None:
    assert too_small(replace(NODE, cpus=cpus, memory_bytes=memory_bytes)) == (
        f"node node-1 has {said} of memory to give, "
        "and its storage takes 0.5 processors and 480 MiB of memory"
    )


def test_a_node_that_is_large_enough_may_be_too_small_for_ceph() -> None:
    enough = replace(NODE, cpus=0.6, memory_bytes=2 * GIB + 624 * MIB)
    assert too_small(enough, CEPH) is None
    small = replace(enough, memory_bytes=ALL.memory_bytes)
    assert too_small(small) is None
    assert "its storage takes 0.6 processors and 2672 MiB of memory" in (too_small(small, CEPH) or "")


def test_of_a_node_of_which_nobody_knows_nothing_is_said() -> None:
    assert too_small(NODE) is None


def test_a_node_that_is_too_small_does_not_join_and_the_others_do() -> None:
    small = replace(nodes(4)[-1], cpus=0.2, memory_bytes=64 * MIB)
    world = World((*nodes(3), small)).deploy()
    assert world.engine is not None
    assert {one.name.partition(".")[0] for one in world.engine.servers} == {"node-1", "node-2", "node-3"}
    held = {one.step.change: one.because for one in world.decide().guarded.held}
    assert too_small(small) in held.values()


def test_with_ceph_nodes_join_that_have_room_for_ceph() -> None:
    small = replace(nodes(4)[-1], cpus=1.0, memory_bytes=GIB)
    world = World((*nodes(3), small), Spec(ceph=CEPH)).deploy()
    assert world.engine is not None
    assert {one.name.partition(".")[0] for one in world.engine.servers} == {"node-1", "node-2", "node-3"}
    held = {one.step.change: one.because for one in world.decide().guarded.held}
    assert too_small(small, CEPH) in held.values()
    assert too_small(small) is None
