"""A deployment on Mesos in the midst of which everything is killed once, and a machine that is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cases import ANY_CODE, unable_to_mount, write_durably
from tests.cluster.mesos_cases import MesosMachines
from tests.mesos.real import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]

SPEC = """
new_disks: take
new_nodes: take
default_rules: no
rules:
  - name: move-volumes
    when: gone and volumes > 0
    remedy: move-volumes
    approval: automatic
"""
NODES = ("h1", "h2", "h3")
TINY = "cpus:0.3;mem:128;disk:64;ports:[31000-31099]"


@pytest.fixture(scope="module")
def cluster() -> Iterator[MesosMachines]:
    with MesosMachines() as made:
        for node in NODES:
            made.add(node)
        made.add("tiny", resources=TINY)
        made.wait_registered(*NODES, "tiny")
        yield made


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "spec.yaml"
    path.write_text(SPEC)
    return path


def alive(cluster: MesosMachines) -> set[str]:
    return {one["name"] for one in cluster.get("/nodes") if one["state"] == "alive"}


def is_deployed(cluster: MesosMachines) -> bool:
    pools = cluster.get("/pools")
    held = [one["change"] for one in cluster.get("/status")["held"]]  # that of the tiny one stays
    return bool(pools) and pools[0]["devices"] == len(NODES) and held == ["JoinNode"]


def test_a_deployment_ends_well_whoever_is_killed_in_its_midst(cluster: MesosMachines, spec: Path) -> None:
    arguments = ["up", *cluster.options(), "--spec", str(spec), "--dir", str(cluster.folder)]
    deploying = subprocess.Popen(
        [sys.executable, "-m", "artesian.cli.main", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: cluster.executors("h1"), "the first executor begins", 90.0)
        os.kill(cluster.executors("h1")[0], signal.SIGKILL)
        until(lambda: "h2.manager" in cluster.tasks(), "managers are begun", 90.0)
        cluster.agents["h2"].kill()
        cluster.agents["h2"].start()
        cluster.kill_scheduler()
        cluster.master.kill()
        cluster.master.start()
        cluster.master.ready()
        cluster.wait_registered(*NODES)
    finally:
        deploying.kill()
        deploying.wait()
    cluster.up("--spec", spec)
    cluster.wait("it is deployed", lambda: is_deployed(cluster), 60.0)
    roles = {"agent", "client", "manager", "server"}
    expected = {f"{node}.{role}" for node in NODES for role in roles}
    until(
        lambda: {one for one in cluster.tasks() if not one.startswith("tiny.")} == expected,
        "one of each",
        60.0,
    )
    for node in NODES:
        assert len(cluster.executors(node)) == 1
    assert len([one for one in cluster.frameworks() if one.startswith("artesian-")]) == 1


def test_an_agent_that_is_too_small_is_named_with_what_is_missing(cluster: MesosMachines) -> None:
    held = [one["because"] for one in cluster.get("/status")["held"]]
    assert any("node tiny has 0.3 processors and 128 MiB of memory to give" in one for one in held), held
    assert not any(task.startswith("tiny.server") for task in cluster.tasks())


def test_an_offer_that_is_taken_back_does_no_harm(cluster: MesosMachines) -> None:
    """Its agent goes away while something is missing there."""
    (executor,) = cluster.executors("h3")
    cluster.agents["h3"].kill()
    os.kill(executor, signal.SIGKILL)
    cluster.agents["h3"].start()
    cluster.wait_registered("h3")
    until(lambda: cluster.executors("h3") not in ([], [executor]), "another executor runs", 60.0)
    cluster.wait("it is whole again", lambda: is_deployed(cluster) and alive(cluster) >= set(NODES), 60.0)


def test_the_volume_of_a_machine_that_is_lost_for_good_goes_elsewhere(cluster: MesosMachines) -> None:
    cluster.run("volume", "create", "data", "1GiB", "--node", "h1", "--mount", cluster.mounts / "data")
    write_durably(cluster.mounts / "data" / "letter.txt", "dear reader")
    agent_id = cluster.agent_id("h1")
    cluster.power_off("h1")
    cluster.operator.call("MARK_AGENT_GONE", {"agent_id": {"value": agent_id}})
    cluster.wait("it is gone", lambda: cluster.node("h1")["state"] == "gone", 60.0)

    def is_elsewhere() -> bool:
        (volume,) = cluster.get("/volumes")
        return bool(volume["node"] in ("h2", "h3") and volume["ready"])

    cluster.wait("the volume is elsewhere", is_elsewhere, 90.0)
    assert (cluster.mounts / "data" / "letter.txt").read_text() == "dear reader"
    write_durably(cluster.mounts / "data" / "answer.txt", "dear writer")


def test_the_machine_may_come_back_as_another_agent(cluster: MesosMachines) -> None:
    cluster.add("h1")
    cluster.wait_registered("h1")
    cluster.wait("it is used again", lambda: is_deployed(cluster) and "h1" in alive(cluster), 90.0)
    assert len(cluster.executors("h1")) == 1
    (volume,) = cluster.get("/volumes")
    assert volume["node"] in ("h2", "h3")
    assert (cluster.mounts / "data" / "answer.txt").read_text() == "dear writer"
    cluster.run("down", "--yes", code=ANY_CODE)
    assert cluster.reservations() == []
    assert cluster.frameworks() == []
