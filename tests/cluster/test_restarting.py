"""Every process of the engine is started anew while somebody writes: one node at a time, and each once."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from artesian.cli.outcome import ExitCode
from artesian.host import processes
from tests.cluster.cases import Cluster, unable_to_mount
from tests.cluster.writing import Writer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]

BREATH_S = 10.0  # for which a writer may stand still
LOOK_S = 0.02
TWO_NODES = ("--node", "node-1", "--node", "node-2")


class Watched:
    """What was seen of the processes of all nodes while a restart went on, by their pid files."""

    def __init__(self, cluster: Cluster) -> None:
        self.ids: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.at_once: list[set[str]] = []
        self._files = {
            (node, name): cluster.folder / "nodes" / node / "agent" / "engine" / "run" / f"{name}.pid"
            for node in cluster.nodes()
            for name in cluster.processes(node)
        }
        self._over = threading.Event()

    def _look(self) -> None:
        away = set()
        for (node, name), path in self._files.items():
            identity = processes.running(path)
            if identity is None:
                away.add(node)
            elif identity.process_id not in self.ids[node, name]:
                self.ids[node, name].append(identity.process_id)
        if len(away) > 1:
            self.at_once.append(away)

    def _go_on(self) -> None:
        while not self._over.wait(LOOK_S):
            self._look()

    @contextmanager
    def watching(self) -> Iterator[None]:
        self._look()
        thread = threading.Thread(target=self._go_on)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
        self._look()

    def restarted(self) -> set[str]:
        """Those of which there was a second one, and never a third; no two nodes lacked some at once."""
        assert all(len(one) <= 2 for one in self.ids.values()), self.ids
        assert not self.at_once
        return {f"{node} {name.partition('-')[0]}" for (node, name), one in self.ids.items() if len(one) == 2}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.bring_up(4, "1GiB")
        made.run("volume", "create", "data", "1GiB", "--node", "node-4", "--mount", made.mounts / "data")
        yield made


@pytest.fixture(scope="module")
def writer(cluster: Cluster) -> Iterator[Writer]:
    made = Writer(cluster.mounts / "data", cluster.home / "progress")
    yield made
    made.stop()


def everything(cluster: Cluster, *nodes: str) -> set[str]:
    """All that is to be restarted, on these nodes or on all: tiebreakers have no gateway."""
    managers = {one["node"]: one["role"] for one in cluster.get("/status")["managers"]}
    gateways = {f"{node} gateway" for node, role in managers.items() if role == "manager"}
    found = {f"{node} sds" for node in cluster.nodes()} | {f"{node} mdm" for node in managers} | gateways
    return {one for one in found if not nodes or one.startswith(nodes)}


def test_a_dry_run_shows_the_plan_and_changes_nothing(cluster: Cluster, writer: Writer) -> None:
    steps = cluster.json("restart", "--dry-run")["steps"]
    assert [one["change"] for one in steps] == ["RestartProcesses"] * 3 + [
        "EnterMaintenance",
        "RestartProcesses",
        "ExitMaintenance",
    ] * 4
    assert cluster.get("/restart") is None
    said = cluster.error(ExitCode.REFUSED, "restart")
    assert "say --yes" in said


def test_everything_is_restarted_once_and_nobody_notices(cluster: Cluster, writer: Writer) -> None:
    watched = Watched(cluster)
    with watched.watching():
        assert cluster.json("restart", "--yes")["state"] == "done"
    assert watched.restarted() == everything(cluster)
    cluster.wait_healthy()
    writer.goes_on()
    assert writer.longest_pause_s() < BREATH_S


@pytest.mark.parametrize("node", ["node-1", "node-4"])  # whose managers come first, and which has none
def test_so_it_is_when_scheduler_and_agent_are_killed_meanwhile(
    cluster: Cluster, writer: Writer, node: str
) -> None:
    watched = Watched(cluster)
    with watched.watching():
        cluster.run("restart", "--node", node, "--yes", "--no-wait")
        cluster.wait("its turn", lambda: being_restarted(cluster) == node)
        cluster.kill_agent(node)
        cluster.kill_scheduler()
        cluster.run("up", "--yes")
        cluster.wait("its end", lambda: cluster.get("/restart")["state"] == "done", 60.0)
    assert watched.restarted() == everything(cluster, node)
    cluster.wait_healthy()
    writer.goes_on()
    assert writer.longest_pause_s() < BREATH_S


def being_restarted(cluster: Cluster) -> str:
    """The node whose turn it is; empty between two."""
    for node in cluster.get("/restart")["nodes"]:
        if any(one["begun"] and not one["restarted"] for one in node["parts"]):
            return str(node["name"])
    return ""


def test_it_ends_half_way_and_goes_on_where_it_was(cluster: Cluster, writer: Writer) -> None:
    watched = Watched(cluster)
    with watched.watching():
        cluster.run("restart", *TWO_NODES, "--yes", "--no-wait")
        cluster.wait("it has begun", lambda: being_restarted(cluster))
        assert "restart: " in cluster.run("status").stdout
        cluster.run("restart", "--cancel")
        cluster.wait_healthy()
        assert cluster.get("/restart")["state"] == "cancelled"
        assert not all(one["restarted"] for one in cluster.get("/restart")["nodes"])
        assert cluster.json("restart", "--resume", "--yes")["state"] == "done"
    assert watched.restarted() == everything(cluster, "node-1", "node-2")
    writer.goes_on()


def test_one_node_alone(cluster: Cluster, writer: Writer) -> None:
    watched = Watched(cluster)
    with watched.watching():
        cluster.run("restart", "--node", "node-4", "--yes")
    assert watched.restarted() == {"node-4 sds"}
    writer.goes_on()


def test_somebodys_maintenance_is_waited_for(cluster: Cluster, writer: Writer) -> None:
    cluster.run("node", "maintain", "node-2")
    said = cluster.error(ExitCode.TOOK_TOO_LONG, "restart", "--node", "node-1", "--yes", "--timeout", "2")
    assert "node node-2 is in maintenance" in said
    cluster.run("node", "maintain", "node-2", "--end")
    cluster.wait("its end", lambda: cluster.get("/restart")["state"] == "done")
    cluster.wait_healthy()
    writer.goes_on()
