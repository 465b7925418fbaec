"""What healing decides about copies, case by case."""

from __future__ import annotations

from artesian.embedded.healing import (
    Decision,
)
from artesian.embedded.state.model import CopyState, RebuildPolicy
from tests.embedded.healing_cases import (
    POLICY,
    begin,
    cluster_of,
    decision_of,
    joins_of,
    mark_stale,
    names_of,
    slices_of,
)
from tests.embedded.healing_cluster import Cluster

# --- a healthy pool


def test_a_healthy_pool_is_left_alone() -> None:
    decision = decision_of(cluster_of(3))
    assert decision == Decision()


def test_the_same_input_gives_the_same_decision_and_is_not_changed() -> None:
    cluster = cluster_of(4, 2)
    mark_stale(cluster, "a1")
    cluster.stop_server("b")
    cluster.now_s += 100
    assert decision_of(cluster) == decision_of(cluster)


# --- placing what is empty


def test_a_pool_without_volumes_is_placed_on_all_devices_and_again_when_one_comes() -> None:
    cluster = Cluster(16, POLICY)
    for server in "abc":
        cluster.add_device(f"{server}1", cluster.add_server(server))
    assert cluster.step() == ["place_slices"]
    assert cluster.step() == []
    cluster.add_device("d1", cluster.add_server("d"))
    assert cluster.step() == ["place_slices"]
    assert cluster.copies_of("d1") == 8


def test_placing_does_not_wait_until_the_leader_knows_who_is_absent() -> None:
    cluster = Cluster(16, POLICY)
    cluster.add_device("a1", cluster.add_server("a"))
    assert names_of(decision_of(cluster, settled=False)) == ["place_slices"]


def test_a_device_that_is_not_formatted_yet_gets_nothing() -> None:
    cluster = Cluster(16, POLICY)
    cluster.add_device("a1", cluster.add_server("a"), slot_count=0)
    assert decision_of(cluster).commands == []


def test_an_empty_pool_does_not_move_because_a_server_is_briefly_away() -> None:
    cluster = cluster_of(3)
    cluster.state.volumes.clear()
    cluster.stop_server("a")
    assert decision_of(cluster).commands == []
    cluster.now_s += 60
    assert names_of(decision_of(cluster)) == ["place_slices"]


def test_an_empty_pool_keeps_its_places_until_the_leader_knows_who_is_absent() -> None:
    cluster = cluster_of(3)
    cluster.state.volumes.clear()
    cluster.stop_server("a")
    cluster.now_s += 60
    assert decision_of(cluster, settled=False).commands == []


def test_stale_copies_of_an_empty_pool_are_good_again_at_no_cost() -> None:
    cluster = cluster_of(3)
    mark_stale(cluster, "a1")
    cluster.state.volumes.clear()
    assert cluster.step() == ["place_slices"]
    assert all(copy.state is CopyState.IN_SYNC for item in cluster.pool.slices for copy in item.copies)


def test_the_last_devices_of_an_empty_pool_are_let_go() -> None:
    cluster = cluster_of(1)
    cluster.state.volumes.clear()
    cluster.remove_device("a1")
    (name, arguments), *_ = decision_of(cluster).commands
    assert name == "place_slices"
    assert set(map(tuple, arguments["placements"].values())) == {()}


def test_slices_that_hold_data_are_never_placed_outright() -> None:
    cluster = cluster_of(3)
    cluster.pool.slices[5].copies = []
    cluster.add_device("d1", cluster.add_server("d"))
    placements = [
        args["placements"] for name, args in decision_of(cluster).commands if name == "place_slices"
    ]
    assert [list(placement) for placement in placements] == [["5"]]


# --- servers that are away


def test_a_stale_copy_whose_device_is_back_is_brought_up_to_date_in_place() -> None:
    cluster = cluster_of(3)
    mark_stale(cluster, "a1")
    joins = joins_of(decision_of(cluster))
    assert joins
    for join in joins:
        assert (join["target"], join["replaces"], join["reason"]) == ("a1", "a1", "resync")
        assert join["source"] in ("b1", "c1")


def test_that_does_not_wait_until_the_leader_has_settled() -> None:
    cluster = cluster_of(3)
    mark_stale(cluster, "a1")
    assert {join["reason"] for join in joins_of(decision_of(cluster, settled=False))} == {"resync"}


def test_nothing_is_remade_while_a_server_is_away_for_a_short_time() -> None:
    cluster = cluster_of(4)
    mark_stale(cluster, "a1")
    cluster.stop_server("a")
    cluster.now_s += POLICY.rebuild_after_s - 0.1
    assert decision_of(cluster).commands == []


def test_copies_of_a_server_that_stays_away_are_remade_by_many_on_many() -> None:
    cluster = cluster_of(6, slices=64)
    mark_stale(cluster, "a1")
    cluster.stop_server("a")
    cluster.now_s += POLICY.rebuild_after_s
    joins = joins_of(decision_of(cluster))
    assert {join["reason"] for join in joins} == {"rebuild"}
    assert {join["replaces"] for join in joins} == {"a1"}
    ends = {join["source"] for join in joins} | {join["target"] for join in joins}
    assert ends == {"b1", "c1", "d1", "e1", "f1"}


def test_copies_are_remade_where_they_are_wanted_so_that_nothing_moves_afterwards() -> None:
    cluster = cluster_of(5, slices=64)
    cluster.fail_device("a1")
    lost = cluster.copies_of("a1")
    cluster.run_until_quiet(200)
    assert [cluster.copies_of(f"{server}1") for server in "bcde"] == [32, 32, 32, 32]
    assert cluster.begun == ["rebuild"] * lost


def test_copies_under_way_count_where_they_are_going() -> None:
    cluster = cluster_of(5, slices=64)
    cluster.pool.rebuild_policy = RebuildPolicy.UNLIMITED
    cluster.fail_device("a1")
    under_way = sorted(slices_of(cluster, "a1") - slices_of(cluster, "c1"))[:4]
    for index in under_way:
        (source,) = [copy.device_id for copy in cluster.pool.slices[index].copies if copy.device_id != "a1"]
        begin(cluster, index, source, "c1", "a1", "rebuild")
    cluster.run_until_quiet(200)
    assert [cluster.copies_of(f"{server}1") for server in "bcde"] == [32, 32, 32, 32]
    assert set(cluster.begun) == {"rebuild"}


def test_copies_are_remade_even_if_nobody_wrote_since_their_server_went_away() -> None:
    cluster = cluster_of(4)
    cluster.stop_server("a")
    cluster.now_s += POLICY.rebuild_after_s
    decision = decision_of(cluster)
    assert {join["replaces"] for join in joins_of(decision)} == {"a1"}
    assert "mark_stale" not in names_of(decision), "no good copy is given up before another is complete"


def test_nothing_is_remade_by_a_leader_that_has_not_settled() -> None:
    cluster = cluster_of(4)
    mark_stale(cluster, "a1")
    cluster.stop_server("a")
    cluster.now_s += 100
    assert decision_of(cluster, settled=False).commands == []


def test_copies_of_a_broken_device_are_remade_as_soon_as_the_leader_has_settled() -> None:
    cluster = cluster_of(4)
    cluster.fail_device("a1")
    assert decision_of(cluster, settled=False).commands == []
    joins = joins_of(decision_of(cluster))
    assert {(join["replaces"], join["reason"]) for join in joins} == {("a1", "rebuild")}


def test_a_connected_server_gets_more_time_to_open_a_device() -> None:
    cluster = cluster_of(4)
    mark_stale(cluster, "a1")
    cluster.disks["a1"].ready = False
    cluster.now_s += POLICY.rebuild_after_s + 1
    assert decision_of(cluster).commands == []
    cluster.now_s += POLICY.opening_after_s
    assert joins_of(decision_of(cluster))


def test_resync_goes_before_rebuild_at_a_devices_limit() -> None:
    cluster = cluster_of(4)
    cluster.pool.rebuild_policy = RebuildPolicy.FAVOR_APPLICATIONS
    mark_stale(cluster, "a1")
    cluster.fail_device("b1")
    joins = joins_of(decision_of(cluster))
    assert joins[0]["reason"] == "resync"
    assert [join["reason"] for join in joins].count("resync") == 1


def test_slices_without_a_good_copy_within_reach_wait_and_are_reported() -> None:
    cluster = cluster_of(2)
    cluster.stop_server("a")
    mark_stale(cluster, "b1")
    cluster.now_s += 100
    decision = decision_of(cluster)
    assert decision.commands == []
    assert any("16 slices cannot be read or written" in warning for warning in decision.warnings)


def test_rebuilding_can_be_disabled() -> None:
    cluster = cluster_of(4)
    cluster.pool.rebuild_enabled = False
    cluster.fail_device("a1")
    decision = decision_of(cluster)
    assert joins_of(decision) == []
    assert any("rebuilding is disabled" in warning for warning in decision.warnings)


def test_an_inactive_domain_is_left_alone() -> None:
    cluster = cluster_of(4)
    cluster.state.protection_domains["d"].active = False
    cluster.fail_device("a1")
    assert decision_of(cluster).commands == []


# --- one fault unit


def test_a_single_fault_unit_keeps_one_copy_loudly_and_makes_the_second_when_it_can() -> None:
    cluster = cluster_of(1, devices=2)
    decision = decision_of(cluster)
    assert decision.commands == []
    assert any("ONE COPY" in warning for warning in decision.warnings)
    cluster.add_device("b1", cluster.add_server("b"))
    joins = joins_of(decision_of(cluster))
    assert {(join["target"], join["replaces"], join["reason"]) for join in joins} == {("b1", None, "rebuild")}


def test_servers_of_one_fault_set_never_share_a_slice() -> None:
    cluster = Cluster(16, POLICY)
    for server, fault_set in (("a", "x"), ("b", "x"), ("c", "y"), ("d", "z")):
        cluster.add_device(f"{server}1", cluster.add_server(server, fault_set))
    cluster.step()
    cluster.add_volume()
    cluster.now_s += 10
    cluster.fail_device("c1")
    for _ in range(100):
        cluster.step()
        for item in cluster.pool.slices:
            assert len({cluster.unit(copy.device_id) for copy in item.copies}) == 2
    assert cluster.copies_of("c1") == 0


def test_copies_that_came_to_share_a_fault_set_are_parted_without_losing_one() -> None:
    cluster = cluster_of(3)
    for server, fault_set in (("a", "x"), ("b", "x"), ("c", "y")):
        cluster.state.servers[server].fault_set_id = fault_set
    joins = joins_of(decision_of(cluster))
    assert joins
    assert {(join["target"], join["reason"]) for join in joins} == {("c1", "rebuild")}
    cluster.run_until_quiet(200)


# --- damage


def test_the_copies_on_a_damaged_device_are_distrusted_where_another_is_good() -> None:
    cluster = cluster_of(3)
    cluster.damage_device("a1")
    decision = decision_of(cluster, settled=False)
    assert decision.commands[0] == (
        "mark_stale", {"device_ids": ["a1"], "reason": "part of the slot table was lost"},
    )  # fmt: skip
    assert joins_of(decision) == [], "what is being marked is not joined in the same pass"
    cluster.run_until_quiet(100)
    assert "resync" in cluster.begun


def test_the_only_copy_on_a_damaged_device_is_kept_and_cried_out() -> None:
    cluster = cluster_of(1)
    cluster.damage_device("a1")
    decision = decision_of(cluster)
    assert "mark_stale" not in names_of(decision)
    assert any(warning.count("DATA MAY BE LOST") and "16 slices" in warning for warning in decision.warnings)


def test_two_damaged_partners_are_both_kept() -> None:
    cluster = cluster_of(2)
    cluster.damage_device("a1")
    cluster.damage_device("b1")
    decision = decision_of(cluster)
    assert "mark_stale" not in names_of(decision)
    assert len([warning for warning in decision.warnings if "DATA MAY BE LOST" in warning]) == 2
