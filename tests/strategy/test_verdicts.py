"""Which disks may be taken."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artesian.model.disk import Claim, Disk, EngineLabel, PoolName, Tombstone
from artesian.model.node import Node, NodeState
from artesian.model.topology import DiskVerdict, VerdictKind
from artesian.strategy.verdicts import Memory, judge_disks
from tests.strategy.clusters import GIB, TIB, disk, memories, node, nodes

POOL = PoolName("default", "default")


def judge(*cluster: Node, memory: Memory | None = None, system_id: str | None = "ours") -> list[DiskVerdict]:
    return list(judge_disks(cluster, memory or Memory(), minimum_bytes=GIB, system_id=system_id))


def test_an_empty_disk_that_nobody_uses_is_free() -> None:
    (verdict,) = judge(node("a", disk("/dev/sdb")))
    assert verdict.kind is VerdictKind.FREE
    assert verdict.because == "it carries no signature, and nobody uses it"


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({"signatures": ("ext4",)}, "ext4"),
        ({"partitions": ("/dev/sdb1",)}, "partitions"),
        ({"mounted_at": ("/data",)}, "mounted at /data"),
        ({"holders": ("dm-3",)}, "held by dm-3"),
        ({"read_only": True}, "read-only"),
        ({"is_system": True}, "runs on it"),
        ({"unreadable": "wipefs is missing"}, "wipefs is missing"),
        ({"size_bytes": GIB - 1}, "too small"),
        ({"identity": None}, "nothing but its name"),
        ({"label": EngineLabel("other", "1")}, "another engine"),
        ({"label": EngineLabel("ours", "1")}, "this engine"),
    ],
)
def test_whatever_speaks_against_a_disk_is_said(facts: dict[str, Any], word: str) -> None:
    (verdict,) = judge(node("a", disk("/dev/sdb", **facts)))
    assert verdict.kind is VerdictKind.REFUSED
    assert word in verdict.because


def test_a_removed_disk_does_not_come_back_by_itself() -> None:
    one = node("a", disk("/dev/sdb"))
    buried = Memory(tombstones={"serial:/dev/sdb@a": Tombstone("serial:/dev/sdb@a", "it was worn out")})
    (verdict,) = judge(one, memory=buried)
    assert verdict.kind is VerdictKind.REFUSED
    assert "worn out" in verdict.because


def claimed(identity: str, where: str = "a", path: str = "/dev/sdb") -> Memory:
    return Memory(claims={identity: Claim(identity, where, path, POOL, 2 * TIB, "it was free")})


def test_a_disk_that_is_called_otherwise_today_is_the_same_disk() -> None:
    (verdict,) = judge(node("a", disk("/dev/sdc", "wwn:1")), memory=claimed("wwn:1@a"))
    assert verdict.kind is VerdictKind.CLAIMED
    assert "as /dev/sdb, and is called /dev/sdc now" in verdict.because


def test_another_disk_that_has_its_name_today_is_not_taken_for_it() -> None:
    memory = claimed("wwn:1@a")
    first, second = judge(node("a", disk("/dev/sdb", "wwn:2"), disk("/dev/sdc", "wwn:1")), memory=memory)
    assert first.kind is VerdictKind.REFUSED
    assert "wwn:1@a had it" in first.because
    assert second.kind is VerdictKind.CLAIMED


def test_a_disk_that_moved_to_another_node_is_the_same_disk() -> None:
    (verdict,) = judge(Node("b", "10.0.0.2", disks=(disk("/dev/sdq", "wwn:1"),)), memory=claimed("wwn:1"))
    assert verdict.kind is VerdictKind.CLAIMED
    assert "on node a, and is on b now" in verdict.because


def test_a_disk_that_comes_back_with_another_signature_is_not_touched() -> None:
    (verdict,) = judge(node("a", disk("/dev/sdb", "wwn:1", signatures=("xfs",))), memory=claimed("wwn:1@a"))
    assert verdict.kind is VerdictKind.REFUSED
    assert "xfs" in verdict.because


def test_two_disks_that_claim_to_be_one_are_both_refused() -> None:
    twins = Node("a", "10.0.0.1", disks=(disk("/dev/sdb", "wwn:1"), disk("/dev/sdc", "wwn:1")))
    assert [verdict.kind for verdict in judge(twins)] == [VerdictKind.REFUSED] * 2


def test_what_was_seen_of_a_silent_node_frees_nothing() -> None:
    (verdict,) = judge(node("a", disk("/dev/sdb"), state=NodeState.SILENT))
    assert verdict.kind is VerdictKind.REFUSED
    assert "stale" in verdict.because


@given(st.data())
def test_only_what_nothing_speaks_against_is_free(data: st.DataObject) -> None:
    cluster = data.draw(nodes())
    memory = data.draw(memories(cluster))
    seen: dict[tuple[str, str], Disk] = {(one.name, each.path): each for one in cluster for each in one.disks}
    verdicts = judge_disks(cluster, memory, minimum_bytes=GIB, system_id="ours")
    assert len(verdicts) == len(seen)
    assert verdicts == judge_disks(reversed(cluster), memory, minimum_bytes=GIB, system_id="ours")
    for verdict in verdicts:
        one = seen[verdict.node, verdict.path]
        touched = (
            one.signatures or one.mounted_at or one.holders or one.partitions or one.read_only
            or one.is_system or one.label or one.unreadable or one.identity is None or one.size_bytes < GIB
        )  # fmt: skip
        assert verdict.because
        if verdict.kind is VerdictKind.FREE:
            assert not touched
            assert one.identity not in memory.claims
            assert one.identity not in memory.tombstones
        if verdict.kind is VerdictKind.CLAIMED:
            assert one.identity in memory.claims
            assert not (one.signatures or one.mounted_at or one.partitions)
