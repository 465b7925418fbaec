"""Drills of remedies. `SIMULATION_REMEDY_SEEDS=2000 pytest tests/simulation/test_remedy_seeds.py` runs
more."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from artesian.model.rule import RemedyKind
from tests.simulation import remedy_drill

SEEDS = int(os.environ.get("SIMULATION_REMEDY_SEEDS", "50"))
BATCH = 25


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_remedies_harm_nothing_and_all_of_them_end(first: int) -> None:
    begun = disks = 0
    ended: Counter[str] = Counter()
    for seed in range(first, min(first + BATCH, SEEDS)):
        outcome = remedy_drill.run(seed)
        begun += outcome.begun
        disks += outcome.disks_made
        ended += outcome.remedies
    assert begun > BATCH and disks > BATCH, "hardly anything was done"
    assert ended[f"{RemedyKind.EXPAND_POOL} helped"] and ended[f"{RemedyKind.REPLACE_DEVICE} helped"]


def test_a_drill_is_the_same_every_time() -> None:
    assert remedy_drill.run(4) == remedy_drill.run(4)
