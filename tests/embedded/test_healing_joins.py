"""What becomes of joins under way, and how it is all summed up."""

from __future__ import annotations

from dataclasses import replace

from artesian.embedded.healing import (
    summarize,
)
from artesian.embedded.state.live import JoinLive, Live
from artesian.embedded.state.model import CopyState, Lifecycle
from tests.embedded.healing_cases import (
    MIB,
    POLICY,
    a_slice_on,
    begin,
    cluster_of,
    decision_of,
    names_of,
    outcome_of,
    rebuild_under_way,
    slices_of,
)
from tests.embedded.healing_cluster import Cluster

# --- joins under way


def test_a_complete_copy_becomes_a_member() -> None:
    cluster, job_id = rebuild_under_way()
    assert outcome_of(cluster) is None
    assert outcome_of(cluster, joins={job_id: JoinLive("mirrored")}) == "finish_joins"


def test_a_complete_copy_counts_before_the_leader_has_settled() -> None:
    cluster, job_id = rebuild_under_way()
    assert outcome_of(cluster, settled=False, joins={job_id: JoinLive("mirrored")}) == "finish_joins"


def test_a_complete_copy_whose_device_was_lost_is_given_up_at_once() -> None:
    cluster, job_id = rebuild_under_way()
    cluster.stop_server("c")
    assert outcome_of(cluster, joins={job_id: JoinLive("mirrored")}) == "abort_joins"


def test_an_old_word_of_a_source_that_is_away_does_not_make_a_member() -> None:
    cluster, job_id = rebuild_under_way()
    cluster.stop_server("b")
    assert outcome_of(cluster, joins={job_id: JoinLive("mirrored")}) is None


def test_a_failed_join_is_given_up_with_its_reason() -> None:
    cluster, job_id = rebuild_under_way()
    decision = decision_of(cluster, joins={job_id: JoinLive("failed", error="no space")})
    assert names_of(decision)[0] == "abort_joins"
    assert any("no space" in sentence for sentence in decision.because)


def test_a_join_waits_for_an_end_that_is_away_for_a_moment_only() -> None:
    cluster, _ = rebuild_under_way()
    cluster.stop_server("b")
    assert outcome_of(cluster) is None
    cluster.now_s += POLICY.abandon_after_s
    assert outcome_of(cluster, settled=False) is None
    assert outcome_of(cluster) == "abort_joins"


def test_a_join_that_its_source_does_not_know_is_given_up() -> None:
    cluster, _ = rebuild_under_way()
    cluster.carried_out["b"] = cluster.state.version - 1
    assert outcome_of(cluster) is None, "its source has not yet been told"
    cluster.carried_out["b"] = cluster.state.version
    assert outcome_of(cluster) == "abort_joins"


def test_a_rebuild_ends_when_the_device_is_back_unless_it_is_nearly_done() -> None:
    cluster, job_id = rebuild_under_way()
    cluster.start_server("a")
    assert outcome_of(cluster, joins={job_id: JoinLive("copying", 10, 100)}) == "abort_joins"
    assert outcome_of(cluster, joins={job_id: JoinLive("copying", 60, 100)}) is None


def test_a_join_onto_a_device_that_fails_or_is_removed_is_given_up() -> None:
    cluster, _ = rebuild_under_way()
    cluster.state.devices["c1"].error = "I/O error"
    assert outcome_of(cluster, settled=False) == "abort_joins"
    cluster, _ = rebuild_under_way()
    cluster.state.devices["c1"].lifecycle = Lifecycle.REMOVING
    assert outcome_of(cluster) == "abort_joins"


def test_a_join_is_given_up_when_its_target_comes_to_share_the_fault_unit() -> None:
    cluster, _ = rebuild_under_way()
    cluster.state.servers["b"].fault_set_id = cluster.state.servers["c"].fault_set_id = "x"
    assert outcome_of(cluster) == "abort_joins"


def test_moving_the_good_copy_ends_when_the_other_one_is_lost() -> None:
    cluster = cluster_of(4)
    index = a_slice_on(cluster, "a1", "b1")
    begin(cluster, index, "b1", "c1", "b1", "rebalance")
    assert outcome_of(cluster) is None
    cluster.pool.slices[index].copies[0].state = CopyState.STALE
    assert outcome_of(cluster) == "abort_joins"


def test_an_evacuation_ends_when_the_removal_is_taken_back() -> None:
    cluster = cluster_of(4)
    index = a_slice_on(cluster, "a1", "b1")
    begin(cluster, index, "b1", "c1", "a1", "evacuate")
    assert outcome_of(cluster) == "abort_joins"


# --- how things stand


def test_the_summary_of_a_healthy_pool() -> None:
    cluster = cluster_of(3, chunks=2)
    (health,) = summarize(cluster.state, cluster.live(), POLICY)
    assert health.is_healthy
    assert (health.protected_slices, health.protected_bytes) == (16, 32 * MIB)
    assert health.sentences == ("Pool 'pool': everything has two good copies.",)


def test_the_summary_counts_what_is_degraded_and_how_long_it_takes() -> None:
    cluster, job_id = rebuild_under_way()
    seen = JoinLive("copying", MIB // 2, MIB, rate_bytes_per_s=MIB / 4)
    live = replace(cluster.live(), joins={job_id: seen})
    (health,) = summarize(cluster.state, live, POLICY)
    degraded = len(slices_of(cluster, "a1"))
    assert (health.degraded_slices, health.protected_slices) == (degraded, 16 - degraded)
    (progress,) = health.joins
    assert (progress.reason, progress.under_way, progress.waiting) == ("rebuild", 1, degraded - 1)
    assert progress.left_bytes == MIB // 2 + (degraded - 1) * MIB
    assert progress.seconds_left == progress.left_bytes / (MIB / 4)
    assert "one good copy within reach" in health.sentences[0]
    assert health.sentences[1].startswith("Remaking lost copies: 1 under way")


def test_the_summary_tells_what_cannot_be_reached() -> None:
    cluster = cluster_of(3)
    cluster.stop_server("a")
    cluster.stop_server("b")
    (health,) = summarize(cluster.state, cluster.live(), POLICY)
    both = len(slices_of(cluster, "a1") & slices_of(cluster, "b1"))
    assert health.unavailable_slices == both
    assert health.degraded_slices == 16 - both
    assert "cannot be reached" in health.sentences[0]


def test_the_summary_of_a_pool_without_devices() -> None:
    (health,) = summarize(Cluster(16).state, Live(0.0, True), POLICY)
    assert health.unplaced_slices == 16
    assert health.sentences == ("Pool 'pool': no device is in use yet.",)
