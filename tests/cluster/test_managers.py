"""Managers move, and become more, while the cluster runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cases import Cluster

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.bring_up(6, "1GiB")
        yield made


def managers(cluster: Cluster) -> dict[str, bool]:
    """By node, whether they are healthy."""
    return {one["node"]: one["healthy"] for one in cluster.get("/status")["managers"]}


def test_a_node_with_a_manager_is_removed_and_another_has_it_then(cluster: Cluster) -> None:
    assert managers(cluster) == {"node-1": True, "node-2": True, "node-3": True}
    cluster.run("node", "remove", "node-1")
    cluster.wait_healthy()
    assert managers(cluster) == {"node-2": True, "node-3": True, "node-4": True}
    cluster.wait("its processes have ended", lambda: not cluster.processes("node-1"))


def test_five_managers_after_the_spec_says_so(cluster: Cluster, tmp_path: Path) -> None:
    cluster.run("node", "add", "node-1")
    cluster.run("apply", "--yes")
    cluster.wait_healthy()
    spec = tmp_path / "spec.yaml"
    spec.write_text("managers: {count: 5}\n")
    cluster.run("apply", "--spec", spec, "--yes")
    cluster.wait("five managers", lambda: list(managers(cluster).values()) == [True] * 5)
    cluster.wait_healthy()


def test_no_more_nodes_leave_than_managers_can_do_without(cluster: Cluster) -> None:
    cluster.run("node", "remove", "node-6")
    assert "managers need" in cluster.run("node", "remove", "node-5", code=8).stderr
