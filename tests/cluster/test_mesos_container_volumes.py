"""Tasks of a real Mesos have volumes of ours: its docker/volume isolator asks our dvdcli and plugin."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.cluster.cases import unable_to_mount
from tests.cluster.mesos_containers import MesosContainers, unable_to_isolate
from tests.mesos.real import until

_REASON = unable_to_mount() or unable_to_isolate()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(_REASON is not None, reason=str(_REASON)),
]
SPEC = "new_disks: take\nnew_nodes: take\n"


@pytest.fixture(scope="module")
def nodes() -> Iterator[MesosContainers]:
    made = MesosContainers(2)
    try:
        made.up(SPEC + "managers: {count: 1}\n")
        yield made
    finally:
        made.destroy()


def wait_nowhere(nodes: MesosContainers, volume: str) -> None:
    until(lambda: nodes.view(volume)["node"] is None, f"{volume} is let go of", 60.0)


def test_what_one_task_has_written_another_reads_on_another_node(nodes: MesosContainers) -> None:
    writes = "grep -q ' /.*/data .* ext4 ' /proc/self/mountinfo && echo from the first > data/f && sync"
    nodes.launch("first", "node-1", writes, "shared", size="1", fstype="ext4")
    assert nodes.ended("first")["state"] == "TASK_FINISHED", nodes.output("first", "node-1")
    nodes.launch("second", "node-2", "cat data/f", "shared", size="1", fstype="ext4")
    status = nodes.ended("second")
    assert status["state"] == "TASK_FINISHED", status
    assert "from the first" in nodes.output("second", "node-2")
    wait_nowhere(nodes, "shared")
    assert nodes.view("shared")["size_bytes"] == 1 << 30


def test_a_task_whose_volume_is_in_use_elsewhere_fails_with_the_reason(nodes: MesosContainers) -> None:
    nodes.launch("holds", "node-1", "echo begun > data/f; exec sleep 1000", "busy", size="1")
    nodes.tasks_of_others.wait_state("holds", "TASK_RUNNING", 60)
    nodes.launch("wants", "node-2", "cat data/f", "busy", size="1")
    status = nodes.ended("wants")
    assert status["state"] == "TASK_FAILED"
    assert "volume busy is mounted at" in status["message"]
    assert "of node node-1, and is writable on one node at a time" in status["message"]
    assert nodes.view("busy")["node"] == "node-1"
    nodes.tasks_of_others.call("KILL", kill={"task_id": {"value": "holds"}})
    assert nodes.ended("holds")["state"] == "TASK_KILLED"
    wait_nowhere(nodes, "busy")


def test_a_task_keeps_its_volume_while_mesos_agent_and_ours_are_killed(nodes: MesosContainers) -> None:
    command = "i=0; while :; do i=$((i+1)); echo $i > data/count || exit 1; sleep 0.1; done"
    nodes.launch("counts", "node-1", command, "kept", size="1")
    nodes.tasks_of_others.wait_state("counts", "TASK_RUNNING", 60)
    path = nodes.view("kept")["mount_path"]
    assert path == str(nodes.home / "node-1" / "a" / "mounts" / "kept")

    def count() -> int:
        return int(nodes.sh("node-1", f"cat {path}/count").strip() or 0)

    def goes_on() -> None:
        before = until(count, "the task counts")
        until(lambda: count() > before + 5, "the task goes on")

    goes_on()
    nodes.agents["node-1"].kill()
    nodes.agents["node-1"].start()
    nodes.agents["node-1"].ready()
    goes_on()
    time.sleep(3.0)  # orphans would be unmounted by now
    goes_on()
    for executor in nodes.executors("node-1"):
        nodes.kill_process(executor, signal.SIGKILL)
    goes_on()
    assert nodes.view("kept")["node"] == "node-1"
    until(
        lambda: nodes.agent_id("node-1") and nodes.agent_task("node-1"), "our agent is launched again", 60.0
    )
    nodes.tasks_of_others.call("KILL", kill={"task_id": {"value": "counts"}})
    ended = nodes.ended("counts")
    assert ended["state"] == "TASK_KILLED", ended
    wait_nowhere(nodes, "kept")
