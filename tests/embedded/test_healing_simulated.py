"""Healing under random faults: a simulated cluster, the real decisions, and what must always hold.

`HEALING_SEEDS=5000 pytest tests/embedded/test_healing_simulated.py` runs more seeds than usual.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from random import Random

import pytest

from artesian.embedded.errors import CommandRefused
from artesian.embedded.healing import obstacle_to_removal, summarize
from artesian.embedded.placement import PlacementDevice, fair_counts
from artesian.embedded.state.model import CopyState, Lifecycle
from tests.embedded.healing_cluster import POLICY, POOL, Cluster, random_policy

SEEDS = int(os.environ.get("HEALING_SEEDS", "200"))
SEEDS_PER_TEST = 25
BATCHING = replace(POLICY, batch_bytes=16 << 20)


class Scenario:
    """A random cluster and the random things that happen to it."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.cluster = cluster = Cluster(random.choice([16, 32, 64]), random.choice([POLICY, BATCHING]))
        random_policy(cluster.pool, random)
        self.fault_sets = random.choice([0, 0, 3, 4])
        self.made = 0
        self.layout_changed = False
        servers = random.choice([1, 2, 2, 3, 3, 4, 5, 6, 8, 16])
        for _ in range(servers):
            self.add_server()
        for _ in range(4):
            cluster.step(random)
        cluster.add_volume(1)
        for index in range(len(cluster.newest)):
            cluster.write(index)

    def add_server(self) -> None:
        random = self.random
        self.made += 1
        fault_set = f"fs{random.randrange(self.fault_sets)}" if self.fault_sets else None
        server = self.cluster.add_server(f"s{self.made}", fault_set)
        for _ in range(random.choice([1, 1, 2, 3, 8 if self.made < 3 else 2])):
            self.add_device(server)

    def add_device(self, server: str) -> None:
        self.made += 1
        self.cluster.add_device(f"{self.made:016x}", server, self.random.choice([500, 1000, 1000, 2000]))

    def happen(self) -> None:
        """One random event."""
        random, cluster = self.random, self.cluster
        server = random.choice(sorted(cluster.state.servers))
        device = random.choice(sorted(cluster.state.devices))
        match random.randrange(17):
            case 0 | 1 | 2:
                cluster.stop_server(server)
            case 3 | 4 | 5:
                cluster.start_server(server)
            case 6:
                if cluster.state.devices[device].error is not None:
                    cluster.mend_device(device)
                elif self.can_fail(device):
                    cluster.fail_device(device)
            case 7 if cluster.state.servers[server].lifecycle is Lifecycle.NORMAL:
                self.add_device(server)
            case 8 if len(cluster.state.servers) < 16:
                self.add_server()
            case 9:
                self.try_removal([device], lambda: cluster.remove_device(device))
            case 10:
                devices = [id for id, item in cluster.state.devices.items() if item.server_id == server]
                self.try_removal(devices, lambda: cluster.remove_server(server))
            case 11:
                cluster.change_leader()
            case 12 if self.fault_sets and random.random() < 0.3:
                self.move_server(server)
            case 13:
                if self.has_partners(device) and cluster.is_up(device):
                    cluster.damage_device(device)
            case 14 if cluster.chunks[0] < 6:
                cluster.add_volume(random.randint(1, 3))
            case 15:
                with suppress(CommandRefused):
                    cluster.enter_maintenance(server)
                    cluster.stop_server(server)
            case 16:
                self.end_maintenance()
        for index in range(len(cluster.newest)):
            if random.random() < 0.2:
                cluster.write(index)

    def end_maintenance(self) -> None:
        for server in sorted(self.cluster.state.servers):
            self.cluster.exit_maintenance(server)

    def try_removal(self, device_ids: list[str], remove: Callable[[], None]) -> None:
        """Remove something if healing and the state both find that its data can move."""
        cluster = self.cluster
        if obstacle_to_removal(cluster.state, cluster.live(), cluster.policy, device_ids) is None:
            with suppress(CommandRefused):
                remove()

    def move_server(self, server: str) -> None:
        """Another fault set for a server, as long as two remain."""
        item = self.cluster.state.servers[server]
        before, item.fault_set_id = item.fault_set_id, f"fs{self.random.randrange(self.fault_sets)}"
        if len(self.lasting_units()) > 1:
            self.layout_changed = True
        else:
            item.fault_set_id = before

    def has_partners(self, device: str) -> bool:
        """Every slice that is good on a device is good on another one, too."""
        for item in self.cluster.pool.slices:
            good = [copy.device_id for copy in item.copies if copy.state == CopyState.IN_SYNC]
            if device in good and len(good) < 2:
                return False
        return True

    def can_fail(self, device: str) -> bool:
        """No data is lost with a device, and what remains can take two copies of everything."""
        return self.has_partners(device) and len(self.lasting_units(device)) > 1

    def lasting_units(self, but: str = "") -> set[str]:
        """The fault units of all devices that neither failed nor leave."""
        return {
            self.cluster.unit(id)
            for id, item in self.cluster.state.devices.items()
            if id != but and item.error is None and item.lifecycle is Lifecycle.NORMAL
        }

    def end_faults(self) -> None:
        for server in sorted(self.cluster.state.servers):
            self.cluster.start_server(server)
        self.end_maintenance()

    def check_units(self) -> None:
        if self.layout_changed:
            return
        for index, item in enumerate(self.cluster.pool.slices):
            units = [self.cluster.unit(copy.device_id) for copy in item.copies]
            assert len(set(units)) == len(units), f"both copies of slice {index} are in one fault unit"

    def check_end(self) -> None:
        """Everything has two good copies in two fault units (or one, if there is only one unit), balanced."""
        cluster = self.cluster
        usable = [
            PlacementDevice(id, cluster.unit(id), device.slot_count)
            for id, device in cluster.state.devices.items()
            if cluster.is_up(id) and device.lifecycle is Lifecycle.NORMAL
        ]
        copies = min(2, len({device.fault_unit for device in usable}))
        for index, item in enumerate(cluster.pool.slices):
            units = {cluster.unit(copy.device_id) for copy in item.copies}
            assert len(units) == copies, f"slice {index} is in {units}"
            assert all(copy.state == CopyState.IN_SYNC for copy in item.copies)
            assert all(cluster.is_up(copy.device_id) for copy in item.copies)
        counts = {device.device_id: cluster.copies_of(device.device_id) for device in usable}
        fair = fair_counts(usable, len(cluster.pool.slices), counts)
        for device_id, count in counts.items():
            assert abs(count - fair[device_id]) <= max(1, fair[device_id] // 50), f"{counts} should be {fair}"
        health = summarize(cluster.state, cluster.live(), cluster.policy)[0]
        assert health.is_healthy or copies == 1
        assert health.pool_id == POOL
        left = {Lifecycle.REMOVING, Lifecycle.ADDING}
        assert not any(device.lifecycle in left for device in cluster.state.devices.values())


def run(seed: int) -> None:
    scenario = Scenario(seed)
    random, cluster = scenario.random, scenario.cluster
    for _ in range(60):
        if random.random() < 0.3:
            scenario.happen()
        cluster.step(random)
        scenario.check_units()
    scenario.end_faults()
    for _ in range(10):  # until everybody is back and what was begun in the fault has been sorted out
        cluster.step()
    before = len(cluster.begun)
    passes = cluster.run_until_quiet(2000)
    assert len(cluster.begun) - before <= 6 * len(cluster.pool.slices), "copies were moved more than needed"
    assert passes < 2000
    scenario.check_end()


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_PER_TEST))
def test_a_cluster_heals_whatever_happens_to_it(first: int) -> None:
    for seed in range(first, min(first + SEEDS_PER_TEST, SEEDS)):
        try:
            run(seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error
