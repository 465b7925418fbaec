"""What a node's roles take, and nodes that have too little for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.model.assignment import Assignment
from artesian.model.node import Node
from artesian.model.resources import Resources, total
from artesian.planner.needs import AGENT, CLIENT, MANAGER, SERVER, role_needs, too_small
from tests.planner.situations import World, nodes

MIB = 1 << 20
ALL = total([AGENT, CLIENT, MANAGER, SERVER])
NODE = Node("node-1", "10.0.0.1")


def test_a_node_that_does_nothing_yet_needs_its_agent() -> None:
    assert role_needs(Assignment("node-1", "10.0.0.1")) == {"agent": AGENT}


def test_each_role_takes_what_it_takes() -> None:
    assert Resources(0.1, 96 * MIB) == AGENT
    everything = {"agent": AGENT, "client": CLIENT, "manager": MANAGER, "server": SERVER}
    assert total(everything.values()) == ALL


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


def test_of_a_node_of_which_nobody_knows_nothing_is_said() -> None:
    assert too_small(NODE) is None


def test_a_node_that_is_too_small_does_not_join_and_the_others_do() -> None:
    small = replace(nodes(4)[-1], cpus=0.2, memory_bytes=64 * MIB)
    world = World((*nodes(3), small)).deploy()
    assert world.engine is not None
    assert {one.name.partition(".")[0] for one in world.engine.servers} == {"node-1", "node-2", "node-3"}
    held = {one.step.change: one.because for one in world.decide().guarded.held}
    assert too_small(small) in held.values()
