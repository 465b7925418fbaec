"""Healing within its limits: joins of a device, room; removal and balance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.embedded.assignment import server_assignment
from artesian.embedded.healing import (
    HealingPolicy,
    decide,
    is_busy,
    joins_allowed,
    obstacle_to_removal,
)
from artesian.embedded.healing.room import shortage
from artesian.embedded.state.commands import apply
from artesian.embedded.state.live import DeviceLive, Live
from artesian.embedded.state.model import CHUNK_BYTES, Copy, Lifecycle, RebuildPolicy
from tests.embedded.healing_cases import (
    MIB,
    POLICY,
    a_slice_on,
    begin,
    cluster_of,
    decision_of,
    joins_of,
    mark_stale,
    names_of,
)
from tests.embedded.healing_cluster import POOL, Cluster

# --- limits


@pytest.mark.parametrize(
    ("policy", "busy", "allowed"),
    [
        (RebuildPolicy.UNLIMITED, True, 16),
        (RebuildPolicy.LIMIT_CONCURRENT, True, 3),
        (RebuildPolicy.FAVOR_APPLICATIONS, False, 1),
        (RebuildPolicy.DYNAMIC_THROTTLING, True, 1),
        (RebuildPolicy.DYNAMIC_THROTTLING, False, 16),
    ],
)
def test_the_pools_policy_limits_the_joins_of_a_device(
    policy: RebuildPolicy, busy: bool, allowed: int
) -> None:
    pool = cluster_of(3).pool
    pool.rebuild_policy, pool.rebuild_concurrency = policy, 3
    pool.rebalance_policy, pool.rebalance_concurrency = policy, 3
    assert joins_allowed(pool, "rebuild", 1, busy, POLICY) == allowed
    assert joins_allowed(pool, "evacuate", 1, busy, POLICY) == allowed


def test_small_slices_count_together_as_one() -> None:
    pool = cluster_of(3).pool
    pool.rebuild_policy, pool.rebuild_concurrency = RebuildPolicy.LIMIT_CONCURRENT, 2
    policy = HealingPolicy(batch_bytes=16 * MIB, batch_limit=32)
    assert [joins_allowed(pool, "resync", slots, True, policy) for slots in (0, 1, 4, 16, 1000)] == [
        64, 32, 8, 2, 2,
    ]  # fmt: skip


def test_a_limit_of_bandwidth_is_not_passed_by_many_small_slices() -> None:
    pool = cluster_of(3).pool
    pool.rebuild_policy, pool.rebuild_limit_bytes_per_s = RebuildPolicy.FAVOR_APPLICATIONS, 8 * MIB
    policy = HealingPolicy(batch_bytes=16 * MIB)
    assert joins_allowed(pool, "rebuild", 1, True, policy) == 2
    assert joins_allowed(pool, "rebuild", 100, True, policy) == 1


def test_joins_share_the_limit_of_the_busier_device() -> None:
    cluster = cluster_of(4)
    pool = cluster.pool
    pool.rebuild_policy, pool.rebuild_limit_bytes_per_s = RebuildPolicy.FAVOR_APPLICATIONS, 8 * MIB
    mark_stale(cluster, "a1")
    begin(cluster, a_slice_on(cluster, "a1", "b1"), "b1", "a1", "a1", "resync")
    begin(cluster, a_slice_on(cluster, "a1", "c1"), "c1", "a1", "a1", "resync")

    def limits(policy: RebuildPolicy) -> set[tuple[int, bool]]:
        pool.rebuild_policy = policy
        return {
            (join["limit_bytes_per_s"], join["limited_while_busy_only"])
            for server_id in cluster.state.servers
            for join in server_assignment(cluster.state, server_id)["joins"]
        }

    assert limits(RebuildPolicy.FAVOR_APPLICATIONS) == {(4 * MIB, False)}
    assert limits(RebuildPolicy.DYNAMIC_THROTTLING) == {(4 * MIB, True)}
    assert limits(RebuildPolicy.LIMIT_CONCURRENT) == {(4 * MIB, False)}
    assert limits(RebuildPolicy.UNLIMITED) == {(0, False)}


def test_joins_under_way_count_at_both_ends() -> None:
    cluster = cluster_of(2)
    cluster.pool.rebuild_policy, cluster.pool.rebuild_concurrency = RebuildPolicy.LIMIT_CONCURRENT, 2
    mark_stale(cluster, "a1")
    assert len(joins_of(decision_of(cluster))) == 2
    cluster.step()
    live = replace(cluster.live(), joins={})
    assert joins_of(decide(cluster.state, live, cluster.policy)) == []


def test_applications_are_busy_by_what_devices_counted_since() -> None:
    cluster = cluster_of(3)

    def seen(now_s: float, writes: int, write_bytes: int) -> Live:
        device = DeviceLive("ready", write_count=writes, write_bytes=write_bytes)
        return Live(now_s, True, devices={"a1": device})

    then = seen(10.0, 1000, 1000 * MIB)
    assert not is_busy(cluster.state, seen(12.0, 1005, 1001 * MIB), POLICY, POOL, then)
    assert is_busy(cluster.state, seen(12.0, 1500, 1001 * MIB), POLICY, POOL, then), "many operations"
    assert is_busy(cluster.state, seen(12.0, 1010, 1100 * MIB), POLICY, POOL, then), "many bytes"
    assert is_busy(cluster.state, seen(12.0, 3, 0), POLICY, POOL, then), "counters that went back"
    assert is_busy(cluster.state, then, POLICY, POOL, None), "nothing to compare with"


# --- room


def test_what_must_avoid_one_unit_may_go_to_any_other() -> None:
    assert shortage({"a": 5, "b": 5}, {"a": 5, "b": 5, "c": 0}) == 0
    assert shortage({"a": 6}, {"a": 100, "b": 4}) == 2
    assert shortage({"a": 6, "b": 6}, {"a": 6, "b": 4}) == 2
    assert shortage({"": 10}, {"a": 3, "b": 3}) == 4
    assert shortage({}, {"a": 1}) == 0


def full_cluster(free: int) -> Cluster:
    """Four servers; 16 slices of 10 chunks, 8 on each device, and room for `free` chunks more on each."""
    cluster = cluster_of(4, chunks=10)
    for device in cluster.state.devices.values():
        device.slot_count = 80 + free
    return cluster


def test_a_short_capacity_for_rebuilding_is_reported_with_what_is_missing() -> None:
    cluster = full_cluster(free=20)
    cluster.fail_device("a1")
    decision = decision_of(cluster)
    assert 0 < len(joins_of(decision)) <= 6
    assert decision.warnings == [
        "Pool 'pool': capacity for rebuilding is short: "
        "20.0 MiB more are needed to have two copies of everything."
    ]
    for _ in range(60):
        cluster.step()
        used = cluster.slots_used()
        assert all(used[id] <= device.slot_count for id, device in cluster.state.devices.items())
    assert sum(cluster.slots_used().values()) - cluster.slots_used()["a1"] == 300


def test_joins_under_way_have_taken_their_room_already() -> None:
    cluster = full_cluster(free=10)
    cluster.pool.rebuild_policy = RebuildPolicy.UNLIMITED
    cluster.fail_device("a1")
    first = decision_of(cluster)
    assert len(joins_of(first)) == 3, "one slice fits on each"
    for name, arguments in first.commands:
        apply(cluster.state, name, arguments)
    assert joins_of(decision_of(cluster)) == []


def test_an_evacuation_that_would_not_fit_is_not_begun_and_says_so() -> None:
    cluster = full_cluster(free=30)
    cluster.remove_device("a1")
    for device in ("b1", "c1", "d1"):
        cluster.state.devices[device].slot_count = 90
    decision = decision_of(cluster)
    assert decision.commands == []
    (warning,) = decision.warnings
    assert warning == "Pool 'pool': the data of a1 of a is not moved away: 50.0 MiB of room are missing."


def test_a_removal_that_would_not_fit_is_seen_beforehand() -> None:
    roomy, full = full_cluster(free=30), full_cluster(free=20)
    assert obstacle_to_removal(roomy.state, roomy.live(), POLICY, ["a1"]) is None
    assert obstacle_to_removal(full.state, full.live(), POLICY, ["a1"]) == (
        "Pool 'pool' lacks 20.0 MiB of room for the data on these devices."
    )
    two = cluster_of(2)
    assert "no other fault set or server" in str(obstacle_to_removal(two.state, two.live(), POLICY, ["a1"]))
    two.state.volumes.clear()
    assert obstacle_to_removal(two.state, two.live(), POLICY, ["a1"]) is None, "there is no data"


def test_a_capacity_limit_counts_instead_of_the_devices_size() -> None:
    cluster = full_cluster(free=1000)
    for device in cluster.state.devices.values():
        device.capacity_limit_bytes = 90 * CHUNK_BYTES
    assert "lacks 50.0 MiB" in str(obstacle_to_removal(cluster.state, cluster.live(), POLICY, ["a1"]))


# --- removal


def test_a_device_that_is_removed_is_emptied_and_then_goes() -> None:
    cluster = cluster_of(4)
    cluster.remove_device("a1")
    joins = joins_of(decision_of(cluster))
    assert {(join["replaces"], join["reason"]) for join in joins} == {("a1", "evacuate")}
    cluster.run_until_quiet(200)
    assert "a1" not in cluster.state.devices
    assert sum(cluster.copies_of(id) for id in ("b1", "c1", "d1")) == 32


def test_a_server_that_is_removed_goes_with_its_devices_even_when_it_is_dead() -> None:
    cluster = cluster_of(4, devices=2)
    cluster.stop_server("a")
    cluster.now_s += 20
    cluster.remove_server("a")
    cluster.run_until_quiet(200)
    assert "a" not in cluster.state.servers
    assert not {"a1", "a2"} & set(cluster.state.devices)


def test_a_device_with_the_only_good_copies_is_not_let_go() -> None:
    cluster = cluster_of(2)
    mark_stale(cluster, "b1")
    cluster.stop_server("b")
    cluster.state.devices["a1"].lifecycle = Lifecycle.REMOVING
    cluster.now_s += 100
    decision = decision_of(cluster)
    assert decision.commands == []
    assert decision.warnings


# --- balance


def test_a_new_device_draws_its_share_and_then_all_is_quiet() -> None:
    cluster = cluster_of(4, slices=64)
    cluster.add_device("e1", cluster.add_server("e"))
    joins = joins_of(decision_of(cluster))
    assert {(join["target"], join["reason"]) for join in joins} == {("e1", "rebalance")}
    cluster.run_until_quiet(500)
    assert sorted(cluster.copies_of(f"{server}1") for server in "abcde") == [25, 25, 26, 26, 26]
    assert len(cluster.begun) == cluster.copies_of("e1"), "each move brought one copy to the new device"


def test_nothing_is_balanced_while_a_copy_is_missing() -> None:
    cluster = cluster_of(4)
    cluster.add_device("e1", cluster.add_server("e"))
    cluster.stop_server("a")
    assert decision_of(cluster).commands == []


def test_balancing_can_be_disabled_even_while_it_goes_on() -> None:
    cluster = cluster_of(4)
    cluster.add_device("e1", cluster.add_server("e"))
    cluster.step()
    assert cluster.joins()
    cluster.pool.rebalance_enabled = False
    assert names_of(decision_of(cluster)) == ["abort_joins"]


def test_a_small_imbalance_is_not_worth_a_move() -> None:
    cluster = cluster_of(4, slices=64)
    index = a_slice_on(cluster, "a1", "b1")
    cluster.pool.slices[index].copies = [Copy("a1"), Copy("c1")]
    assert decision_of(cluster).commands == []
