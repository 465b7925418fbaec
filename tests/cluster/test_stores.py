"""The scheduler's store is lost, or an old copy of it comes back: nothing that runs is harmed."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cases import ANY_CODE, Cluster
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.bring_up(5, "1GiB")
        yield made


def stores(cluster: Cluster) -> list[Path]:
    return sorted((cluster.folder / "scheduler").glob("store.sqlite*"))


def take_away(cluster: Cluster, to: Path) -> None:
    """The store of a scheduler that does not run."""
    cluster.kill_scheduler()
    to.mkdir()
    for path in stores(cluster):
        shutil.move(path, to / path.name)


def bring_back(cluster: Cluster, kept: Path) -> None:
    cluster.kill_scheduler()
    for path in stores(cluster):
        path.unlink()
    for path in kept.iterdir():
        shutil.copy(path, cluster.folder / "scheduler" / path.name)
    cluster.run("up", "--yes", "--timeout", f"{60 * PATIENCE:g}", timeout_s=90 * PATIENCE)


def secrets(cluster: Cluster) -> set[str]:
    return {path.read_text() for path in cluster.folder.glob("nodes/*/agent/engine/secret")}


def managers(cluster: Cluster) -> set[str]:
    return {one["node"] for one in cluster.get("/status")["managers"] if one["healthy"]}


def test_an_empty_store_changes_nothing_on_the_nodes(cluster: Cluster, tmp_path: Path) -> None:
    before, running = secrets(cluster), cluster.processes("node-4")
    take_away(cluster, tmp_path / "kept")
    cluster.run("up", "--yes", "--timeout", "5", code=ANY_CODE)
    assert secrets(cluster) == before
    bring_back(cluster, tmp_path / "kept")
    cluster.wait_healthy()
    assert secrets(cluster) == before
    assert cluster.processes("node-4") == running


def let_lead(cluster: Cluster, node: str) -> None:
    """Whoever else leads stands still for a moment."""

    def leads() -> bool:
        leader = next((one["node"] for one in cluster.get("/status")["managers"] if one["leads"]), None)
        if leader is not None and leader != node:
            (process_id,) = (id for name, id in cluster.processes(leader).items() if name.startswith("mdm"))
            os.kill(process_id, signal.SIGSTOP)
            try:
                cluster.wait(
                    "another one leads",
                    lambda: any(
                        one["leads"] and one["node"] != leader for one in cluster.get("/status")["managers"]
                    ),
                )
            finally:
                os.kill(process_id, signal.SIGCONT)
        return leader == node

    cluster.wait(f"the manager on {node} leads", leads, 120.0)


def test_an_old_store_ends_no_manager_that_is_a_member(cluster: Cluster, tmp_path: Path) -> None:
    old = tmp_path / "old"
    take_away(cluster, old)
    bring_back(cluster, old)
    cluster.wait_healthy()
    cluster.run("node", "remove", "node-2")
    cluster.wait_healthy()
    members = managers(cluster)
    assert "node-2" not in members and len(members) == 3
    (new,) = members - {"node-1", "node-2", "node-3"}
    let_lead(cluster, new)  # of which the old store knows nothing
    bring_back(cluster, old)
    cluster.wait_healthy()
    assert len(managers(cluster)) == 3
    state = cluster.engine_state()
    assert managers(cluster) == {one.name.removeprefix("mdm-") for one in state.managers.values()}
