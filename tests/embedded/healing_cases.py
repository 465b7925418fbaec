"""Small clusters and shorthands for the tests of healing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from artesian.embedded.healing import (
    Decision,
    HealingPolicy,
    decide,
)
from artesian.embedded.state.commands import apply
from tests.embedded.healing_cluster import POOL, Cluster

POLICY = HealingPolicy(batch_bytes=0)
MIB = 1 << 20


def cluster_of(servers: int, devices: int = 1, slices: int = 16, chunks: int = 1) -> Cluster:
    """Servers a, b, c… with devices a1, a2, b1…; one volume; everything placed and settled."""
    cluster = Cluster(slices, POLICY)
    for server in "abcdefgh"[:servers]:
        cluster.add_server(server)
        for number in range(1, devices + 1):
            cluster.add_device(f"{server}{number}", server)
    cluster.step()
    cluster.add_volume(chunks)
    cluster.now_s += 10
    return cluster


def decision_of(cluster: Cluster, **changes: Any) -> Decision:
    return decide(cluster.state, replace(cluster.live(), **changes), cluster.policy)


def joins_of(decision: Decision) -> list[dict[str, Any]]:
    return [join for name, args in decision.commands if name == "begin_joins" for join in args["joins"]]


def names_of(decision: Decision) -> list[str]:
    return [name for name, _ in decision.commands]


def mark_stale(cluster: Cluster, *device_ids: str) -> None:
    apply(cluster.state, "mark_stale", {"device_ids": list(device_ids), "reason": "test"})


def slices_of(cluster: Cluster, device_id: str) -> set[int]:
    return {
        index
        for index, item in enumerate(cluster.pool.slices)
        if any(copy.device_id == device_id for copy in item.copies)
    }


def begin(
    cluster: Cluster, slice_index: int, source: str, target: str, replaces: str | None, reason: str
) -> int:
    join = {"slice": slice_index, "source": source, "target": target, "replaces": replaces, "reason": reason}
    return int(apply(cluster.state, "begin_joins", {"pool_id": POOL, "joins": [join]})["job_ids"][0])


def outcome_of(cluster: Cluster, **changes: Any) -> str | None:
    """What is decided about the joins under way."""
    names = set(names_of(decision_of(cluster, **changes))) & {"finish_joins", "abort_joins"}
    return names.pop() if names else None


def a_slice_on(cluster: Cluster, *device_ids: str) -> int:
    """A slice with exactly these holders, in this order."""
    for index, item in enumerate(cluster.pool.slices):
        if {copy.device_id for copy in item.copies} == set(device_ids):
            item.copies.sort(key=lambda copy: device_ids.index(copy.device_id))
            return index
    raise AssertionError(f"no slice on {device_ids}")


def rebuild_under_way() -> tuple[Cluster, int]:
    """The copy of one slice on a1 is stale and a away; it is being remade on another device than b1."""
    cluster = cluster_of(4)
    mark_stale(cluster, "a1")
    cluster.stop_server("a")
    cluster.now_s += 100
    index = a_slice_on(cluster, "a1", "b1")
    return cluster, begin(cluster, index, "b1", "c1", "a1", "rebuild")
