"""Whole engines in a simulated loop, with servers, managers, clients, disks and power that fail by seed.

`DRILL_SEEDS=1000 pytest tests/embedded/simulation`, or `make drills SEEDS=1000`, run more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import structlog

from tests.embedded.simulation import drill

SEEDS = int(os.environ.get("DRILL_SEEDS", "20"))
BATCH = 5

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_no_acknowledged_write_is_lost_whatever_fails(first: int) -> None:
    for seed in range(first, min(first + BATCH, SEEDS)):
        outcome = drill.run(seed)
        assert outcome.acknowledged > 100, f"seed {seed}: the workload hardly ran"


def test_a_drill_is_the_same_every_time() -> None:
    assert drill.run(4).events[:3] == drill.run(4).events[:3]
