"""Drills in simulated clusters; every other batch of seeds is in `test_seeds_too.py`, for another processor.

`SIMULATION_SEEDS=9000 pytest tests/simulation/test_seeds*.py` runs more.
"""

from __future__ import annotations

import os

import pytest

from tests.simulation import drill

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "300"))
BATCH = 25

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("first", range(0, SEEDS, 2 * BATCH))
def test_nothing_happens_that_must_not_and_all_ends_well(first: int) -> None:
    for seed in range(first, min(first + BATCH, SEEDS)):
        outcome = drill.run(seed)
        assert outcome.changes > 10, f"seed {seed}: hardly anything was done"


def test_a_drill_is_the_same_every_time() -> None:
    assert drill.run(1) == drill.run(1)
