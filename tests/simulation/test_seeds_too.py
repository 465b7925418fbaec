"""The other half of the seeds of `test_seeds.py`."""

from __future__ import annotations

import pytest

from tests.simulation import drill
from tests.simulation.test_seeds import BATCH, SEEDS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("first", range(BATCH, SEEDS, 2 * BATCH))
def test_nothing_happens_that_must_not_and_all_ends_well(first: int) -> None:
    for seed in range(first, min(first + BATCH, SEEDS)):
        outcome = drill.run(seed)
        assert outcome.changes > 10, f"seed {seed}: hardly anything was done"
