"""Nodes of a real Mesos that are to be empty, for maintenance; and agents that are renewed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import artesian
from artesian.cli.outcome import ExitCode
from tests.cluster.cases import unable_to_mount
from tests.cluster.mesos_namespaces import MesosNodes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]

SPEC = "new_disks: take\nnew_nodes: take\n"
TEXT = "written before\n"


@pytest.fixture(scope="module")
def cluster() -> Iterator[MesosNodes]:
    made = MesosNodes(3)
    try:
        made.up(SPEC)
        path = made.mounts / "data"
        made.run("volume", "create", "data", "1GiB", "--node", "node-3", "--mount", path)
        made.sh("node-3", f"echo written before > {path}/kept; sync -f {path}")
        yield made
    finally:
        made.destroy()


def maintenance(cluster: MesosNodes, node: str) -> tuple[bool, bool]:
    """Whether a node is to be in maintenance, and whether its server is as wanted."""
    found = cluster.node(node)["maintenance"]
    return found["wanted"], found["done"]


def answer(cluster: MesosNodes, node: str) -> str | None:
    """What we have said to Mesos' question whether a node may go."""
    status = cluster.operator.call("GET_MAINTENANCE_STATUS")["get_maintenance_status"]["status"]
    for machine in status.get("draining_machines", ()):
        if machine["id"]["hostname"] == node:
            return next((str(one["status"]) for one in machine.get("statuses", ())), None)
    return None


def schedule(cluster: MesosNodes, *nodes: str) -> None:
    """Let the maintenance of these nodes begin now, and no other's."""
    machines = [{"hostname": one, "ip": cluster.agents[one].ip} for one in nodes]
    window: dict[str, Any] = {
        "machine_ids": machines,
        "unavailability": {"start": {"nanoseconds": int(time.time() * 1e9)}},
    }
    windows = [window] if nodes else []
    cluster.operator.call("UPDATE_MAINTENANCE_SCHEDULE", {"schedule": {"windows": windows}})


def test_a_drained_node_is_emptied_rests_and_is_used_again(cluster: MesosNodes) -> None:
    roles, path = cluster.tasks("node-3"), cluster.mounts / "data"
    agent = cluster.agent_id("node-3")
    cluster.operator.drain_agent(agent)
    cluster.wait("Mesos is done", lambda: cluster.drain_state("node-3") == "DRAINED", 60.0)
    assert str(path) not in cluster.mounts_of("node-3")  # it let go before its agent ended
    assert cluster.tasks("node-3") == []
    cluster.wait("its executor ends", lambda: cluster.executors("node-3") == [])
    cluster.wait("it rests", lambda: maintenance(cluster, "node-3") == (True, True), 60.0)
    cluster.wait("the volume is elsewhere", lambda: cluster.view("data")["ready"], 60.0)
    home = cluster.view("data")["node"]
    assert home != "node-3" and cluster.sh(home, f"cat {path}/kept") == TEXT
    assert "is drained" in cluster.error(ExitCode.IN_THE_WAY, "node", "maintain", "node-3", "--end")
    cluster.wait("its agent is missed", lambda: cluster.node("node-3")["state"] == "silent", 40.0)
    assert cluster.tasks("node-3") == []  # nothing is begun there meanwhile

    cluster.operator.reactivate_agent(agent)
    cluster.wait("its roles", lambda: cluster.tasks("node-3") == roles, 60.0)
    cluster.wait("it is used", lambda: maintenance(cluster, "node-3") == (False, True), 60.0)
    cluster.wait("all is well", lambda: cluster.get("/status")["healthy"], 90.0)
    assert cluster.view("data")["node"] == home


def test_maintenance_that_somebody_wants_is_not_ended(cluster: MesosNodes) -> None:
    node = next(one for one in ("node-2", "node-3") if one != cluster.view("data")["node"])
    cluster.run("node", "maintain", node)
    agent = cluster.agent_id(node)
    cluster.operator.deactivate_agent(agent)
    cluster.wait("it is noticed", lambda: cluster.node(node)["drained"], 30.0)
    assert cluster.tasks(node)  # deactivated, it goes on
    cluster.operator.reactivate_agent(agent)
    cluster.wait("it is noticed", lambda: not cluster.node(node)["drained"], 30.0)
    cluster.run("plan")
    assert maintenance(cluster, node) == (True, True)
    cluster.run("node", "maintain", node, "--end")
    cluster.wait("all is well", lambda: cluster.get("/status")["healthy"], 60.0)


def test_mesos_is_told_that_a_node_may_go_once_it_is_empty(cluster: MesosNodes) -> None:
    home = cluster.view("data")["node"]
    schedule(cluster, home)
    cluster.wait("yes", lambda: answer(cluster, home) == "ACCEPT", 90.0)
    assert maintenance(cluster, home) == (True, True)
    assert cluster.view("data")["node"] != home and not cluster.node(home)["attachments"]
    assert cluster.tasks(home)  # it is there until it goes
    schedule(cluster)
    cluster.wait("it is over", lambda: maintenance(cluster, home) == (False, True), 60.0)
    cluster.wait("all is well", lambda: cluster.get("/status")["healthy"], 60.0)


def test_agents_are_renewed_one_by_one_and_nothing_else_is(
    cluster: MesosNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = sorted(cluster.agents)
    before = {one: (cluster.agent_task(one), cluster.processes(one)) for one in nodes}
    mounted = cluster.mounts_of(cluster.view("data")["node"])
    cluster.kill_scheduler()
    cluster.run("up", "--yes", "--timeout", "150")
    cluster.run("plan")
    assert {one: cluster.agent_task(one) for one in nodes} == {one: before[one][0] for one in nodes}

    shutil.copytree(Path(artesian.__file__).parent, tmp_path / "artesian")
    with (tmp_path / "artesian" / "agent" / "__init__.py").open("a") as file:
        file.write("# the next version\n")
    cluster.kill_scheduler()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    cluster.run("up", "--yes", "--timeout", "150")
    most = 0
    while (now := [cluster.agent_task(one) for one in nodes]) and any(
        task in (None, before[one][0]) for one, task in zip(nodes, now, strict=True)
    ):
        most = max(most, now.count(None))
        time.sleep(0.05)
    assert most <= 1
    assert {one: cluster.processes(one) for one in nodes} == {one: before[one][1] for one in nodes}
    assert cluster.mounts_of(cluster.view("data")["node"]) == mounted
    cluster.wait("all is well", lambda: cluster.get("/status")["healthy"], 60.0)
