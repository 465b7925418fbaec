"""Healing while servers are in maintenance: nothing is remade for their absence, and nothing is put there."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.embedded.errors import CommandRefused
from artesian.embedded.healing import summarize
from artesian.embedded.state.commands import apply
from artesian.embedded.state.model import CopyState
from tests.embedded.healing_cases import (
    POLICY,
    a_slice_on,
    begin,
    cluster_of,
    decision_of,
    joins_of,
    mark_stale,
    names_of,
    slices_of,
)
from tests.embedded.healing_cluster import Cluster

WEEK_S = 7 * 24 * 3600.0


def in_maintenance(cluster: Cluster, server: str = "a") -> Cluster:
    cluster.enter_maintenance(server)
    return cluster


def away_in_maintenance(servers: int, slices: int = 16) -> Cluster:
    """Server a has been away in maintenance for long, and every slice was written to meanwhile."""
    cluster = in_maintenance(cluster_of(servers, slices=slices))
    cluster.stop_server("a")
    for index in range(slices):
        cluster.write(index)
    cluster.now_s += WEEK_S
    return cluster


# --- the server that is in maintenance


def test_nothing_is_remade_while_it_is_away_however_long() -> None:
    cluster = away_in_maintenance(4)
    decision = decision_of(cluster)
    assert decision.commands == []
    assert any("in maintenance: a;" in warning for warning in decision.warnings)


def test_nor_is_it_when_nobody_wrote_and_its_copies_still_count_as_good() -> None:
    cluster = in_maintenance(cluster_of(4))
    cluster.stop_server("a")
    cluster.now_s += WEEK_S
    assert decision_of(cluster).commands == []


def test_the_pool_says_that_it_is_degraded_and_waits_for_nothing() -> None:
    cluster = away_in_maintenance(3)
    (health,) = summarize(cluster.state, cluster.live(), cluster.policy)
    assert health.degraded_slices == len(slices_of(cluster, "a1"))
    assert not health.is_healthy and health.joins == ()


def test_when_it_is_back_it_gets_what_it_missed_in_its_place() -> None:
    cluster = away_in_maintenance(4)
    cluster.start_server("a")
    joins = joins_of(decision_of(cluster))
    assert {(join["target"], join["replaces"], join["reason"]) for join in joins} == {("a1", "a1", "resync")}
    cluster.run_until_quiet(200)
    cluster.exit_maintenance("a")
    cluster.run_until_quiet(200)
    assert set(cluster.begun) == {"resync"}


def test_a_disk_that_fails_there_is_remade_as_ever() -> None:
    cluster = in_maintenance(cluster_of(4))
    cluster.fail_device("a1")
    assert {(join["replaces"], join["reason"]) for join in joins_of(decision_of(cluster))} == {
        ("a1", "rebuild")
    }


def test_after_maintenance_it_has_as_long_to_come_back_as_anybody() -> None:
    cluster = away_in_maintenance(4)
    cluster.exit_maintenance("a")
    assert decision_of(cluster).commands == []
    cluster.now_s += POLICY.rebuild_after_s - 0.1
    assert decision_of(cluster).commands == []
    cluster.now_s += 0.1
    assert {(join["replaces"], join["reason"]) for join in joins_of(decision_of(cluster))} == {
        ("a1", "rebuild")
    }


# --- the others meanwhile


def test_what_another_server_loses_is_remade_on_those_that_are_not_in_maintenance() -> None:
    cluster = in_maintenance(cluster_of(5, slices=64))
    cluster.stop_server("b")
    cluster.now_s += POLICY.rebuild_after_s
    joins = joins_of(decision_of(cluster))
    assert {join["replaces"] for join in joins} == {"b1"}
    assert {join["target"] for join in joins} == {"c1", "d1", "e1"}
    cluster.run_until_quiet(200)
    assert cluster.copies_of("b1") == 0


def test_a_good_copy_in_maintenance_is_a_source_like_any_other() -> None:
    cluster = in_maintenance(cluster_of(4))
    index = a_slice_on(cluster, "a1", "b1")
    cluster.fail_device("b1")
    cluster.run_until_quiet(200)
    assert "a1" in [copy.device_id for copy in cluster.pool.slices[index].copies]


def test_slices_that_lost_their_other_copy_too_wait_until_one_is_back() -> None:
    cluster = away_in_maintenance(4)
    alone = slices_of(cluster, "a1") & slices_of(cluster, "b1")
    cluster.stop_server("b")
    cluster.now_s += WEEK_S
    decision = decision_of(cluster)
    assert {join["slice"] for join in joins_of(decision)}.isdisjoint(alone)
    assert any(f"{len(alone)} slices cannot be read or written" in warning for warning in decision.warnings)
    cluster.start_server("b")
    cluster.run_until_quiet(400)
    cluster.start_server("a")
    cluster.run_until_quiet(400)
    assert all(copy.state is CopyState.IN_SYNC for item in cluster.pool.slices for copy in item.copies)


def test_nothing_is_balanced_until_everybody_is_back() -> None:
    cluster = in_maintenance(cluster_of(3))
    cluster.add_device("d1", cluster.add_server("d"))
    assert decision_of(cluster).commands == []
    assert summarize(cluster.state, cluster.live(), cluster.policy)[0].joins == ()
    cluster.exit_maintenance("a")
    assert {join["reason"] for join in joins_of(decision_of(cluster))} == {"rebalance"}


def test_what_is_being_moved_there_is_given_up_at_once() -> None:
    cluster = cluster_of(4)
    index = a_slice_on(cluster, "b1", "c1")
    begin(cluster, index, "b1", "a1", "c1", "rebalance")
    cluster.enter_maintenance("a")
    assert not cluster.joins()


def test_a_device_that_leaves_is_emptied_onto_the_others() -> None:
    cluster = in_maintenance(cluster_of(5, slices=32))
    cluster.remove_device("b1")
    cluster.run_until_quiet(200)
    assert "b1" not in cluster.state.devices


def test_of_two_copies_in_one_fault_set_the_one_that_is_not_in_maintenance_moves() -> None:
    cluster = in_maintenance(cluster_of(3), "b")
    for server, fault_set in (("a", "x"), ("b", "x"), ("c", "y")):
        cluster.state.servers[server].fault_set_id = fault_set
    joins = joins_of(decision_of(cluster))
    assert {(join["replaces"], join["target"]) for join in joins} == {("a1", "c1")}


# --- pools without data


def empty_with_a_in_maintenance(servers: int) -> Cluster:
    cluster = cluster_of(servers)
    cluster.state.volumes.clear()
    return in_maintenance(cluster)


def test_an_empty_pool_keeps_its_places() -> None:
    cluster = empty_with_a_in_maintenance(3)
    cluster.stop_server("a")
    cluster.now_s += WEEK_S
    cluster.add_device("d1", cluster.add_server("d"))
    assert decision_of(cluster).commands == []
    cluster.start_server("a")
    cluster.exit_maintenance("a")
    assert cluster.step() == ["place_slices"]
    assert cluster.copies_of("d1") == 8


@pytest.mark.parametrize("servers", [3, 4])
def test_places_that_an_empty_pool_loses_are_found_on_the_others(servers: int) -> None:
    cluster = empty_with_a_in_maintenance(servers)
    lost = slices_of(cluster, "b1")
    cluster.remove_device("b1")
    (name, arguments), *_ = decision_of(cluster).commands
    assert name == "place_slices"
    assert {int(index) for index in arguments["placements"]} == lost
    assert not any({"a1", "b1"} & set(devices) for devices in arguments["placements"].values())
    cluster.run_until_quiet(20)


def test_an_empty_pool_does_not_give_up_its_last_places() -> None:
    cluster = empty_with_a_in_maintenance(2)
    cluster.stop_server("b")
    cluster.now_s += WEEK_S
    assert decision_of(cluster).commands == []


def test_slices_without_copies_are_placed_on_the_others() -> None:
    cluster = in_maintenance(cluster_of(4))
    cluster.pool.slices[5].copies = []
    (name, arguments), *_ = decision_of(cluster).commands
    assert name == "place_slices"
    assert "a1" not in arguments["placements"]["5"]


# --- whatever happens


server = st.sampled_from("abcde")
event = st.one_of(
    st.tuples(st.sampled_from(["enter", "exit", "stop", "start", "fail", "remove", "add"]), server),
    st.tuples(st.just("wait"), st.sampled_from(["0", "3", "10"])),
    st.tuples(st.just("lead"), st.just("")),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([0, 3]), st.lists(event, max_size=20))
def test_no_copy_comes_to_a_server_in_maintenance_and_none_is_remade_for_it(
    fault_sets: int, events: list[tuple[str, str]]
) -> None:
    """`Cluster.step` asserts both of every decision; and that no good copy is given up, as ever."""
    cluster = Cluster(16, replace(POLICY, rebuild_after_s=6.0, abandon_after_s=2.0))
    for number, name in enumerate("abcde"):
        fault_set = f"f{number % fault_sets}" if fault_sets else None
        cluster.add_device(f"{name}1", cluster.add_server(name, fault_set))
    cluster.step()
    cluster.add_volume()
    cluster.now_s += 10
    for index in range(16):
        cluster.write(index)
    for what, argument in events:
        with suppress(CommandRefused):
            _happen(cluster, what, argument)
        for _ in range(4):
            cluster.step()
        for index in range(16):
            cluster.write(index)
        _check_whole(cluster)


def _happen(cluster: Cluster, what: str, argument: str) -> None:
    device = f"{argument}1"
    match what:
        case "enter":
            cluster.enter_maintenance(argument)
        case "exit":
            cluster.exit_maintenance(argument)
        case "stop":
            cluster.stop_server(argument)
        case "start":
            cluster.start_server(argument)
        case "fail" if device in cluster.state.devices and _has_partners(cluster, device):
            cluster.fail_device(device)
        case "remove" if device in cluster.state.devices:
            cluster.remove_device(device)
        case "add":
            cluster.add_device(f"{argument}{len(cluster.disks)}", argument)
        case "wait":
            cluster.now_s += float(argument)
        case "lead":
            cluster.change_leader()


def _has_partners(cluster: Cluster, device: str) -> bool:
    for item in cluster.pool.slices:
        good = [copy.device_id for copy in item.copies if copy.state is CopyState.IN_SYNC]
        if device in good and len(good) < 2:
            return False
    return True


def _check_whole(cluster: Cluster) -> None:
    """Servers in maintenance are of one fault unit, and none of them is being emptied."""
    servers = [one for one in cluster.state.servers.values() if one.in_maintenance]
    assert len({one.fault_set_id or one.id for one in servers}) <= 1
    for device_id, device in cluster.state.devices.items():
        assert not cluster.is_in_maintenance(device_id) or device.lifecycle.value != "removing"


def test_a_copy_that_is_being_brought_up_to_date_there_goes_on() -> None:
    cluster = cluster_of(4)
    mark_stale(cluster, "a1")
    cluster.step()
    under_way = set(cluster.joins())
    assert under_way
    cluster.enter_maintenance("a")
    assert set(cluster.joins()) == under_way
    assert "abort_joins" not in names_of(decision_of(cluster))
    apply(cluster.state, "exit_maintenance", {"server_id": "a"})
    cluster.run_until_quiet(100)
