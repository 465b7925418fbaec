"""The scheduler is killed at every commit of a remedy: the end is always the same, and no disk is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from artesian.model.remedy import PartState, RemedyState
from tests.simulation.remedy_watch import is_given_back
from tests.simulation.scheduler import simulated
from tests.simulation.test_crash_points import EDGES
from tests.simulation.test_found_remedies import expansion, full, wait
from tests.simulation.world import World

TICK_S = 10.0


def expand(world: World) -> None:
    """A pool fills up, and one of the first two disks is stuck."""
    world.cloud.stick.add(1)
    wait(world, RemedyState.HELPED, 2000, TICK_S)
    for _ in range(60):
        world.tick(TICK_S)


def replace_device(world: World) -> None:
    """The pool is expanded, and then a disk breaks."""
    wait(world, RemedyState.HELPED, 900, TICK_S)
    world.system.broken.add("wwn:node-00001-b")
    while "wwn:node-00001-b" in world.store.state().claims or len(world.cloud.disks) < 3:
        world.tick(TICK_S)
    for _ in range(40):
        world.tick(TICK_S)


STORIES: tuple[Callable[[World], None], ...] = (expand, replace_device)


def ending(world: World) -> tuple[object, ...]:
    """What there is at the end."""
    state = world.store.state()
    remedies = sorted(str(one.state) for one in state.remedies.values())
    used = [part.state for one in state.remedies.values() for part in one.parts].count(PartState.IN_USE)
    return len(world.system.devices), len(world.cloud.disks), used, remedies, sorted(state.tombstones)


@pytest.mark.parametrize("story", STORIES)
def test_killed_at_every_commit(story: Callable[[World], None]) -> None:
    undisturbed = full("ask")
    first = undisturbed.store.commits
    with simulated(undisturbed.clock):
        story(undisturbed)
    wanted = ending(undisturbed)
    assert is_given_back(undisturbed.store.state(), undisturbed.cloud)
    assert expansion(undisturbed).state is RemedyState.HELPED
    for commit in range(first + 1, undisturbed.store.commits + 1):
        for edge in EDGES:
            world = full("ask")
            world.store.kill_at, world.store.kill_after = commit, edge == "after"
            with simulated(world.clock):
                story(world)
            assert world.kills, f"commit {commit} was never reached"
            assert ending(world) == wanted, f"{edge} commit {commit}: {world.kills}"
            world.remedies.at_the_end(world.store.state())
