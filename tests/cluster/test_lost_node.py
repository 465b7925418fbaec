"""Nodes that are lost for good, and those that come instead, on real processes: rules do it all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artesian.cli.outcome import ExitCode
from tests.cluster.cases import Cluster, unable_to_mount

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]

MIB = 1 << 20
WHOLE = "cluster_degraded_bytes == 0 and cluster_failed_bytes == 0 and cluster_moving_bytes == 0"
SPEC = f"""
new_disks: take
new_nodes: take
default_rules: no
budget: {{nodes_per_day: 1}}
rules:
  - name: move-volumes
    when: gone and volumes > 0
    remedy: move-volumes
    approval: automatic
  - name: remove-node
    when: gone and away_s > 2s and in_use and not in_maintenance and {WHOLE}
    for: 2s
    remedy: remove-node
    approval: automatic
"""
MORE = """
  - name: another-machine
    when: used_share > 30% and cluster_nodes < 5
    remedy: add-node
    approval: automatic
    parameters: {disks: 2, disk_size: 1GiB}
"""
LOST = "node-4"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.bring_up(4, "1GiB", SPEC)
        made.run("volume", "create", "data", "1GiB", "--node", LOST, "--mount", made.mounts / "data")
        yield made


def volume(cluster: Cluster) -> dict[str, Any]:
    return next(one for one in cluster.get("/volumes") if one["name"] == "data")


def helped(cluster: Cluster, kind: str) -> bool:
    found = cluster.remedies(kind)
    assert not any(one["state"] == "failed" for one in found), found
    return any(one["state"] == "helped" for one in found)


def fill(path: Path, size_bytes: int) -> str:
    """With data that cannot be left out, to stable storage; its digest."""
    digest = hashlib.sha256()
    with path.open("wb") as file, open("/dev/urandom", "rb") as source:
        for _ in range(size_bytes // MIB):
            block = source.read(MIB)
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture(scope="module")
def written(cluster: Cluster) -> str:
    """The digest of the file `kept` on the volume, from before anything was lost."""
    return fill(cluster.mounts / "data" / "kept", 100 * MIB)


def test_nothing_happens_to_a_node_that_is_paused(cluster: Cluster, written: str) -> None:
    cluster.run("pause", f"node:{LOST}", "--because", "its power supply is looked at")
    cluster.run("local", "off", LOST)
    cluster.wait("a remedy", lambda: cluster.remedies("move-volumes"))
    cluster.wait("a reason", lambda: cluster.remedies("move-volumes")[0]["detail"])
    (remedy,) = cluster.remedies("move-volumes")
    assert remedy["state"] == "held"
    assert f"node {LOST} is paused" in remedy["detail"] and "power supply" in remedy["detail"]
    assert volume(cluster)["node"] == LOST
    assert "power supply" in cluster.run("status").stdout
    assert "power supply" in cluster.run("why", LOST).stdout
    assert "there is no node node-9" in cluster.error(ExitCode.NOT_THERE, "pause", "node:node-9")


def test_a_volume_is_taken_from_a_node_that_is_gone(cluster: Cluster, written: str) -> None:
    cluster.run("resume", f"node:{LOST}")
    cluster.wait("help", lambda: helped(cluster, "move-volumes"), 60.0)
    cluster.wait("the volume", lambda: volume(cluster)["ready"], 30.0)
    assert volume(cluster)["node"] not in (LOST, None)
    assert digest_of(cluster.mounts / "data" / "kept") == written


def test_a_node_that_is_gone_for_good_is_removed_once_its_data_is_rebuilt(
    cluster: Cluster, written: str
) -> None:
    cluster.wait("help", lambda: helped(cluster, "remove-node"), 90.0)
    (remedy,) = cluster.remedies("remove-node")
    assert remedy["thing"] == LOST
    assert {key: remedy["saw"][key] for key in ("cluster_degraded_bytes", "cluster_moving_bytes")} == {
        "cluster_degraded_bytes": 0.0,
        "cluster_moving_bytes": 0.0,
    }
    whole = cluster.pool()
    assert whole["is_settled"] and not whole["degraded_bytes"] and whole["devices"] == 3
    assert not [one for (node, _), one in cluster.disks().items() if node == LOST and one["pool"]]
    assert cluster.node(LOST)["roles"] == []
    assert LOST not in {one["node"] for one in cluster.get("/status")["managers"]}
    assert digest_of(cluster.mounts / "data" / "kept") == written


def test_a_pool_without_room_gets_another_machine(cluster: Cluster, written: str, tmp_path: Path) -> None:
    before = cluster.pool()["size_bytes"]
    there = set(cluster.nodes())
    spec = tmp_path / "spec.yaml"
    text = SPEC.replace("new_disks: take\nnew_nodes: take", "new_disks: ask\nnew_nodes: ask")
    spec.write_text(text.replace("nodes_per_day: 1", "nodes_per_day: 1, nodes_total: 2") + MORE)
    cluster.run("pause", "remedy:add-node", "--for", "10s")
    cluster.run("apply", "--spec", spec, "--yes", "--timeout", "100")
    fill(cluster.mounts / "data" / "more", 300 * MIB)
    cluster.wait("a remedy", lambda: cluster.remedies("add-node"))
    cluster.wait("its begin", lambda: cluster.remedies("add-node")[0]["machine"])  # the pause ends by itself
    cluster.kill_scheduler()  # with the machine asked for, or made already: another one is never made
    cluster.run("up", "--timeout", "150")
    cluster.wait("help", lambda: helped(cluster, "add-node"), 90.0)
    (remedy,) = cluster.remedies("add-node")
    (made,) = set(cluster.nodes()) - there
    assert made == f"node-{remedy['id']}" == remedy["machine"]["name"]
    assert {one["pool"] for (node, _), one in cluster.disks().items() if node == made} == {"default/default"}
    assert cluster.pool()["size_bytes"] >= before + 2 * 1000 * MIB
    assert cluster.get("/pauses") == []
    assert digest_of(cluster.mounts / "data" / "kept") == written
