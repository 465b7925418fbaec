"""Clusters that live for weeks. `python -m tests.simulation --months 1 --seeds 100` runs more and longer."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation import months
from tests.simulation.in_force import faults_in_force
from tests.simulation.month_people import HOUR_S
from tests.simulation.pace import LONGEST_S, SHORTEST_S, Pace
from tests.simulation.scheduler import simulated
from tests.simulation.test_found_remedies import full

DAYS = 4


@pytest.mark.parametrize("seed", [5, 301, 203])
def test_nothing_unsafe_is_done_within_weeks_of_faults(seed: int) -> None:
    life = months.run(seed, days=DAYS)
    assert life.by_kind.total() > life.fault_s > 0.5 * life.seconds, "hardly anything was broken"
    assert life.changes > 20 and life.passes < life.seconds / 60


def test_a_life_is_the_same_every_time() -> None:
    assert months.run(7, days=2) == months.run(7, days=2)


def test_the_clock_takes_long_steps_while_nothing_changes() -> None:
    world = full()
    world.system.pools[next(iter(world.system.pools))].used_bytes = 0
    pace, steps = Pace(), []
    with simulated(world.clock, world.wall):
        for _ in range(30):
            steps.append(pace.step_s(world, 1e9))
            pace.saw(world, world.tick(steps[-1]), steps[-1])
    assert steps[0] == SHORTEST_S and steps[-1] == LONGEST_S


def test_each_fault_counts_for_as_long_as_it_is_in_force() -> None:
    world = full()
    world.fault_s, world.fault_s_by_kind = 0.0, Counter()
    with simulated(world.clock, world.wall):
        world.cloud.faults.quota = 0
        world.nodes["node-00001"].cut_off = True
        world.tick(HOUR_S)
        assert faults_in_force(world) == {"quota used up": 1, "node cut off": 1}
        assert world.fault_s == HOUR_S
        assert world.fault_s_by_kind == {"quota used up": HOUR_S, "node cut off": HOUR_S}
        world.nodes["node-00001"].cut_off = False
        world.tick(HOUR_S)
        assert world.fault_s_by_kind == {"quota used up": 2 * HOUR_S, "node cut off": HOUR_S}
