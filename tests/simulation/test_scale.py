"""Large clusters: a plan for all of them, and that it leads there in a few passes.

`SCALE_NODES=10000 pytest -s tests/simulation/test_scale.py` prints figures of another size.
"""

from __future__ import annotations

import os

import pytest

from tests.simulation.scale import large_cluster
from tests.simulation.scheduler import simulated

NODES = int(os.environ.get("SCALE_NODES", "1000"))  # 10,000 once storing 100,000 claims is linear
DISKS = 10
PASSES = 15


@pytest.mark.parametrize("nodes", [30, NODES])
def test_a_large_cluster_is_made_in_a_few_passes(nodes: int) -> None:
    cluster = large_cluster(nodes, DISKS)
    with simulated(cluster.clock):
        cluster.agents()
        first, _ = cluster.one_pass()
        print(f"\n{nodes} nodes: a first plan of {len(first.plan.steps)} steps: {cluster.figures()}")
        assert len(first.plan.steps) >= nodes * (DISKS + 3)
        while cluster.passes < PASSES:
            cluster.agents()
            decision, taken = cluster.one_pass()
            if not decision.plan.steps and not taken:
                break
            print(f"{len(decision.plan.steps)} steps, {len(taken)} taken: {cluster.figures()}")
        cluster.agents()
        decision, taken = cluster.one_pass()
        print(f"{nodes} nodes: an unchanged pass: {cluster.figures()}")
    assert decision.plan.steps == () and taken == []
    assert len(cluster.system.devices) == nodes * DISKS
    assert len(cluster.system.servers) == len(cluster.system.clients) == nodes
    assert set(cluster.memory.state.claims) == set(cluster.system.devices)
    assert len(cluster.system.managers) == 3
