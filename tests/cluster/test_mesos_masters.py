"""Three masters over a real ZooKeeper, of which the one that leads dies: in the midst of a deployment, and
while a volume is written to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cases import unable_to_mount
from tests.cluster.mesos_cases import MesosMachines
from tests.mesos.real import Daemon, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]

NODES = ("h1", "h2", "h3")
SPEC = "{new_disks: take, new_nodes: take}"


@pytest.fixture
def cluster() -> Iterator[MesosMachines]:
    with MesosMachines(masters=3) as made:
        until(made.leader, "a master leads", 60.0)
        for node in NODES:
            made.add(node)
        made.wait_registered(*NODES)
        yield made


def another_leads(cluster: MesosMachines, dead: Daemon) -> Daemon:
    def leader() -> Daemon | None:
        found = cluster.leader()
        return found if found is not dead else None

    return until(leader, "another master leads", 60.0)


def test_the_leading_master_dies_for_good_and_another_goes_on(cluster: MesosMachines, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    arguments = ["up", *cluster.options(), "--spec", str(spec), "--dir", str(cluster.folder)]
    with (tmp_path / "up.log").open("wb") as log:
        deploying = subprocess.Popen(
            [sys.executable, "-m", "artesian.cli.main", *arguments],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        until(lambda: "h2.manager" in cluster.tasks(), "managers are begun", 90.0)
        first = cluster.leader()
        assert first is not None
        first.kill()
        second = another_leads(cluster, first)
        assert deploying.wait(cluster.command_timeout_s) == 0, (tmp_path / "up.log").read_text()
    finally:
        deploying.kill()
        deploying.wait()
    cluster.wait_registered(*NODES)
    expected = {f"{node}.{role}" for node in NODES for role in ("agent", "client", "manager", "server")}
    until(lambda: set(cluster.tasks()) == expected, "one of each", 60.0)
    framework, tasks = cluster.framework_id(), cluster.tasks()

    path = cluster.mounts / "data"
    cluster.run("volume", "create", "data", "1GiB", "--node", "h1", "--mount", path)
    writer = cluster.writer(path)
    first.start()  # a majority is needed, also of what follows
    until(first.is_ready, "the first master is back", 60.0)
    second.kill()
    another_leads(cluster, second)
    cluster.wait_registered(*NODES)
    writer.goes_on()
    cluster.tasks_run(tasks)
    assert cluster.framework_id() == framework
    cluster.wait_healthy()
    writer.stop()
    cluster.run("volume", "attach", "data", "--node", "h2", "--mount", path)
    cluster.wait("it is elsewhere", lambda: cluster.get("/volumes/data")["ready"], 60.0)
    assert {node: len(cluster.executors(node)) for node in NODES} == dict.fromkeys(NODES, 1)
