"""The life of a cluster on Mesos, chapter by chapter, while somebody writes and verifies."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from artesian.mesos import calls
from artesian.mesos.scheduler import MesosAccess, SchedulerClient
from tests.cluster import machine
from tests.cluster.cases import unable_to_mount
from tests.cluster.mesos_cases import MesosMachines, Writer
from tests.mesos.real import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("in_order"),
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]

INPUTS = Path(__file__).parent.parent / "inputs" / "attributes" / "two-domains"
DISKS = ("xvdf", "xvdg", "xvdh", "xvdi")
POOLS = {"mydomain/mypool": 1, "myotherdomain/freshwaterpool": 1, "myotherdomain/saltwaterpool": 2}
SPEC = "new_disks: take\nnew_nodes: take\n"


class Others:
    """Somebody else's framework, with tasks of its own."""

    def __init__(self, machines: MesosMachines) -> None:
        self._machines = machines

    def run(self) -> None:
        """Launch a task on the first agent, and leave it there."""
        asyncio.run(asyncio.wait_for(self._launch(), 30.0))

    async def _launch(self) -> None:
        info = {
            "id": {"value": "somebody-else"}, "user": "root", "name": "others", "roles": ["others"],
            "failover_timeout": 3600.0, "checkpoint": True, "capabilities": [{"type": "MULTI_ROLE"}],
        }  # fmt: skip
        client = SchedulerClient(MesosAccess(self._machines.master.address), info)
        done = asyncio.Event()

        async def handle(event: dict[str, object]) -> None:
            if event["type"] == "OFFERS":
                offers = event["offers"]["offers"]  # type: ignore[index]
                for offer in offers:
                    if offer["hostname"] == "h1" and not done.is_set():
                        await client.call(
                            *calls.accept([offer["id"]["value"]], [calls.launch([task(offer)])], 1.0)
                        )
                        done.set()
                    else:
                        await client.call(*calls.decline([offer["id"]["value"]], 1.0))

        def task(offer: dict[str, dict[str, str]]) -> dict[str, object]:
            resources = [
                {
                    "name": name,
                    "type": "SCALAR",
                    "scalar": {"value": value},
                    "allocation_info": {"role": "others"},
                }
                for name, value in (("cpus", 0.5), ("mem", 256.0))
            ]
            return {
                "name": "theirs", "task_id": {"value": "theirs"}, "agent_id": offer["agent_id"],
                "resources": resources, "command": {"value": "exec sleep 100000"},
            }  # fmt: skip

        running = asyncio.create_task(client.run(handle))
        await done.wait()
        while not self.is_running():
            await asyncio.sleep(0.1)
        running.cancel()

    def is_running(self) -> bool:
        found = self._machines.operator.call("GET_TASKS").get("get_tasks", {}).get("tasks", [])
        return any(one["task_id"]["value"] == "theirs" and one["state"] == "TASK_RUNNING" for one in found)


@pytest.fixture(scope="module")
def cluster() -> Iterator[MesosMachines]:
    with MesosMachines() as made:
        yield made


@pytest.fixture(scope="module")
def writer(cluster: MesosMachines) -> Writer:
    cluster.run("volume", "create", "data", "1GiB", "--pool", "mydomain/mypool", "--node", "h1",
                "--mount", cluster.mounts / "data")  # fmt: skip
    return cluster.writer(cluster.mounts / "data")


def attributes() -> dict[str, str]:
    return {path.name: path.read_text().strip() for path in sorted(INPUTS.iterdir())}


def processes(cluster: MesosMachines) -> dict[str, dict[str, int]]:
    return {node: cluster.processes(node) for node in cluster.agents}


def test_01_a_cluster_is_deployed_as_attributes_of_mesos_agents_say(
    cluster: MesosMachines, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        cluster.add(f"h{number}", {**attributes(), "rack": f"r{number}"}, DISKS)
    cluster.wait_registered("h1", "h2", "h3")
    Others(cluster).run()
    (tmp_path / "spec.yaml").write_text(SPEC)
    cluster.up("--spec", tmp_path / "spec.yaml")
    cluster.wait_healthy()
    devices = {pool["name"]: pool["devices"] for pool in cluster.get("/status")["pools"]}
    assert devices == {name: 3 * count for name, count in POOLS.items()}
    for node in ("h1", "h2", "h3"):
        assert {"server of mydomain", "server of myotherdomain", "client"} <= set(cluster.node(node)["roles"])
        assert len(cluster.executors(node)) == 1
    roles = {"agent", "client", "manager", "server"}
    until(
        lambda: set(cluster.tasks()) == {f"h{number}.{role}" for number in (1, 2, 3) for role in roles},
        "a task stands for every role",
    )


def test_02_a_machine_that_joins_is_used(cluster: MesosMachines) -> None:
    cluster.add("h4", attributes(), DISKS)
    cluster.wait("h4 is used", lambda: _devices(cluster) == {name: 4 * n for name, n in POOLS.items()}, 60.0)
    cluster.wait_healthy()
    until(lambda: {"h4.agent", "h4.client", "h4.server"} <= set(cluster.tasks()), "tasks stand for its roles")


def _devices(cluster: MesosMachines) -> dict[str, int]:
    return {pool["name"]: pool["devices"] for pool in cluster.get("/status")["pools"]}


def test_03_an_executor_that_is_killed_comes_back_and_what_it_has_started_never_went(
    cluster: MesosMachines, writer: Writer
) -> None:
    tasks, before = cluster.tasks(), processes(cluster)
    (executor,) = cluster.executors("h1")
    os.kill(executor, signal.SIGKILL)
    until(lambda: cluster.executors("h1") not in ([], [executor]), "another executor runs", 60.0)
    until(lambda: set(cluster.tasks()) == set(tasks), "all roles have tasks again", 60.0)
    assert cluster.tasks()["h1.agent"] != tasks["h1.agent"]
    assert cluster.tasks()["h2.agent"] == tasks["h2.agent"]
    cluster.wait_healthy()
    writer.goes_on()
    assert processes(cluster) == before


def test_04_an_agent_of_mesos_that_is_killed_finds_everything_again(
    cluster: MesosMachines, writer: Writer
) -> None:
    tasks, before, executors = cluster.tasks(), processes(cluster), cluster.executors("h1")
    cluster.agents["h1"].kill()
    writer.goes_on()
    cluster.agents["h1"].start()
    cluster.wait_registered("h1")
    cluster.tasks_run(tasks)
    assert cluster.executors("h1") == executors
    cluster.wait_healthy()
    writer.goes_on()
    assert processes(cluster) == before


def test_05_a_scheduler_that_is_killed_goes_on_with_the_same_framework(
    cluster: MesosMachines, writer: Writer
) -> None:
    tasks, before, framework = cluster.tasks(), processes(cluster), cluster.framework_id()
    executors = {node: cluster.executors(node) for node in cluster.agents}
    cluster.kill_scheduler()
    writer.goes_on()
    cluster.run("up", "--yes")
    cluster.wait_healthy()
    assert cluster.framework_id() == framework
    cluster.tasks_run(tasks)
    assert {node: cluster.executors(node) for node in cluster.agents} == executors
    writer.goes_on()
    assert processes(cluster) == before


def test_06_a_master_that_is_killed_is_found_again(cluster: MesosMachines, writer: Writer) -> None:
    tasks, before, framework = cluster.tasks(), processes(cluster), cluster.framework_id()
    cluster.master.kill()
    writer.goes_on()
    cluster.master.start()
    cluster.master.ready()
    cluster.wait_registered(*cluster.agents)
    until(lambda: framework in cluster.frameworks(), "the framework is back", 60.0)
    cluster.tasks_run(tasks)
    cluster.wait_healthy()
    writer.goes_on()
    assert processes(cluster) == before


def test_07_an_agent_that_is_out_of_sight_for_a_while_is_not_done_without(
    cluster: MesosMachines, writer: Writer
) -> None:
    """Its tasks are unreachable, and no second copy of anything is begun."""
    tasks, before, executors = cluster.tasks(), processes(cluster), cluster.executors("h1")
    agent = cluster.agents["h1"]
    agent.send(signal.SIGSTOP)
    try:
        until(lambda: "h1.agent" in cluster.tasks("TASK_UNREACHABLE"), "its tasks are unreachable", 30.0)
        cluster.wait("it is shown as unreachable", lambda: cluster.node("h1")["unreachable"])
        time.sleep(2.0)  # in which somebody could have taken over
        assert {key: one for key, one in cluster.tasks().items() if not key.startswith("h1.")} == {
            key: one for key, one in tasks.items() if not key.startswith("h1.")
        }
        (volume,) = cluster.get("/volumes")
        assert volume["node"] == "h1"
        writer.goes_on()
    finally:
        agent.send(signal.SIGCONT)
    cluster.wait_registered("h1")
    cluster.tasks_run(tasks)
    assert cluster.executors("h1") == executors
    cluster.wait("it is there again", lambda: not cluster.node("h1")["unreachable"])
    cluster.wait_healthy()
    writer.goes_on()
    assert processes(cluster) == before


def test_08_what_is_kept_is_what_roles_take_and_others_are_left_alone(cluster: MesosMachines) -> None:
    assert Others(cluster).is_running()
    for resource in cluster.reservations():
        (reservation,) = resource["reservations"]
        assert reservation["role"] == "artesian"
    kept = {"cpus": 0.0, "mem": 0.0}
    for one in cluster.operator.agents():
        if one["agent_info"]["hostname"] == "h1":
            for resource in one["total_resources"]:
                if resource.get("reservations"):
                    kept[resource["name"]] += resource["scalar"]["value"]
    taken = {"cpus": 0.0, "mem": 0.0}
    found = cluster.operator.call("GET_TASKS")["get_tasks"]["tasks"]
    for task in found:
        if task["task_id"]["value"].startswith("artesian.h1.") and task["state"] == "TASK_RUNNING":
            for resource in task["resources"]:
                taken[resource["name"]] += resource["scalar"]["value"]
    assert kept["cpus"] == pytest.approx(taken["cpus"] + 0.05)
    assert kept["mem"] == pytest.approx(taken["mem"] + 32)


def test_09_down_leaves_nothing_of_ours_and_all_that_is_not(cluster: MesosMachines, writer: Writer) -> None:
    writer.is_content()
    writer.stop()
    (cluster.mounts / "data" / "letter.txt").write_text("dear reader")
    cluster.run("down", "--yes")
    assert cluster.tasks("TASK_RUNNING", "TASK_STAGING", "TASK_UNREACHABLE", "TASK_KILLING") == {}
    assert cluster.reservations() == []
    assert cluster.frameworks() == ["somebody-else"]
    assert Others(cluster).is_running()
    until(lambda: not any(cluster.executors(node) for node in cluster.agents), "no executor runs")
    assert not (cluster.mounts / "data" / "letter.txt").exists()


def test_10_what_is_down_stays_down(cluster: MesosMachines) -> None:
    assert cluster.json("down", "--yes")["receipt"] == ["nothing was running"]
    (cluster.folder / "scheduler" / "ended").unlink()  # as if the first had been killed at its very end
    assert "stopped the scheduler" in cluster.json("down", "--yes")["receipt"]
    assert _of_storage(cluster) == []
    assert cluster.frameworks() == ["somebody-else"]


def test_11_up_brings_everything_back(cluster: MesosMachines) -> None:
    cluster.run("up", "--yes")
    cluster.wait_healthy()
    assert _devices(cluster) == {name: 4 * count for name, count in POOLS.items()}
    cluster.wait("the volume is mounted", lambda: (cluster.mounts / "data" / "letter.txt").exists())
    assert (cluster.mounts / "data" / "letter.txt").read_text() == "dear reader"


def _of_storage(cluster: MesosMachines) -> list[str]:
    """What runs of the engine."""
    mark = f"{cluster.home}/"
    return [one.command for one in machine.running() if mark in one.command and "engine" in one.command]
