"""Two schedulers with their state in etcd or ZooKeeper: when the leading one is gone, the other goes on."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from artesian.cli.outcome import ExitCode
from artesian.host import processes
from tests.cluster.cases import ANY_CODE, GIB, Cluster, unable_to_mount, write_durably
from tests.patience import PATIENCE
from tests.store.servers import EtcdServer, ZooKeeperServer, no_etcd, no_zookeeper

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]
SESSION_S = 8.0
TAKEOVER_S = 60.0 * PATIENCE
# What was done is not always heard of: an answer may be lost, and then it is seen to be there.
AT_MOST = {
    "CreateEngine": 1, "AddDomain": 1, "AddPool": 1, "AddServer": 3, "AddDevice": 3,
    "CreateVolume": 3, "GrowVolume": 1, "DeleteVolume": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer | ZooKeeperServer]:
    """One of the two is enough for each run: tests/store has compared them."""
    kind = os.environ.get("ARTESIAN_TEST_STORE", "zookeeper" if no_etcd() else "etcd")
    missing = no_etcd() if kind == "etcd" else no_zookeeper()
    if missing:
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("store") / "server"
    made = EtcdServer(folder) if kind == "etcd" else ZooKeeperServer(folder, tick_ms=500)
    made.start()
    yield made
    made.kill()


class Pair(Cluster):
    """A cluster with two schedulers."""

    def home_of(self, number: int) -> Path:
        return self.folder / ("scheduler" if number == 1 else f"scheduler-{number}")

    def identity(self, number: int) -> processes.ProcessIdentity:
        found = processes.running(self.home_of(number) / "scheduler.pid")
        assert found is not None
        return found

    def url(self, number: int) -> str:
        own = Path(self.folder / "cluster.json").read_text()
        return f"http://{json.loads(own)['network']}.253:{8699 + number}"

    def health(self, number: int) -> dict[str, Any]:
        """What a scheduler says of itself; nothing if it does not answer."""
        try:
            found: dict[str, Any] = httpx.get(
                f"{self.url(number)}/healthz", trust_env=False, verify=False
            ).json()
        except httpx.TransportError:
            return {}
        return found

    def leader(self) -> int | None:
        """The number of the scheduler that leads."""
        for number in (1, 2):
            try:
                if httpx.get(f"{self.url(number)}/v1/spec", trust_env=False, verify=False).status_code == 401:
                    return number
            except httpx.TransportError:
                continue
        return None

    def wait_for_leader(self, number: int) -> None:
        deadline = time.monotonic() + TAKEOVER_S
        while self.leader() != number:
            assert time.monotonic() < deadline, (self.home_of(number) / "scheduler.log").read_text()[-2000:]
            time.sleep(0.1)

    def done(self) -> Counter[str]:
        """How many steps of each kind were done, by all schedulers together."""
        lines = self.run("events", "--last", "10000", "--json").stdout.splitlines()
        events: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return Counter(one["subject"] for one in events if one["kind"] == "done")


@pytest.fixture(scope="module")
def cluster(server: EtcdServer | ZooKeeperServer) -> Iterator[Pair]:
    made = Pair()
    try:
        made.run(
            "up", "--nodes", "3", "--disks-per-node", "1", "--disk-size", "2GiB", "--yes",
            "--store", f"{server.url}/artesian/test?session_s={SESSION_S:g}", "--schedulers", "2",
        )  # fmt: skip
        made.wait_healthy()
        yield made
    finally:
        made.destroy()


def test_1_one_leads_and_the_other_says_so(cluster: Pair) -> None:
    leader = cluster.leader()
    assert leader is not None
    other = httpx.get(f"{cluster.url(3 - leader)}/v1/status", trust_env=False)
    assert (other.status_code, other.json()["title"]) == (503, "not-leading")
    assert cluster.url(leader) in other.json()["detail"]
    assert not list(cluster.folder.glob("scheduler*/store.sqlite"))


def test_2_when_the_leader_is_killed_the_other_goes_on_with_what_was_begun(cluster: Pair) -> None:
    cluster.run("volume", "create", "data", "1GiB", "--node", "node-1", "--mount", cluster.mounts / "data")
    write_durably(cluster.mounts / "data" / "file", "written before")
    agents = {name: cluster.agent(name) for name in cluster.nodes()}
    leader = cluster.leader()
    assert leader is not None
    cluster.run("volume", "grow", "data", "2GiB", "--no-wait")
    cluster.run("volume", "create", "other", "1GiB", "--no-wait")
    processes.send(cluster.identity(leader), signal.SIGKILL)
    write_durably(cluster.mounts / "data" / "meanwhile", "storage needs no scheduler")
    cluster.wait_for_leader(3 - leader)
    cluster.wait_healthy()

    def as_wished() -> bool:
        volumes = {one["name"]: one for one in cluster.get("/volumes")}
        return volumes["data"]["size_bytes"] == 2 * GIB and all(one["ready"] for one in volumes.values())

    cluster.wait("volumes", as_wished)
    cluster.run("volume", "create", "third", "1GiB", "--node", "node-2", "--mount", cluster.mounts / "third")
    cluster.run("volume", "delete", "other", "--yes")
    assert (cluster.mounts / "data" / "file").read_text() == "written before"
    assert {name: cluster.agent(name) for name in cluster.nodes()} == agents
    names = [one["name"] for one in cluster.get("/volumes")]
    assert sorted(names) == ["data", "third"]


def test_3_nothing_is_done_twice(cluster: Pair) -> None:
    """A step that was begun when its scheduler died may be begun again, and is not done again."""
    done = cluster.done()
    assert {kind: done[kind] for kind, times in AT_MOST.items() if done[kind] > times} == {}
    assert done["AddDevice"] > 0
    assert {one["verdict"] for one in cluster.disks().values()} == {"claimed"}
    assert cluster.json("plan")["steps"] == []


def test_4_one_that_is_killed_is_started_again_and_waits(cluster: Pair) -> None:
    leader = cluster.leader()
    assert leader is not None
    cluster.run("up", "--yes")
    cluster.wait("it waits", lambda: cluster.health(3 - leader).get("leading") is False)
    assert cluster.health(3 - leader)["leader"] == cluster.url(leader)
    assert cluster.leader() == leader


def test_5_a_leader_that_was_stopped_for_long_comes_back_as_one_that_waits(cluster: Pair) -> None:
    leader = cluster.leader()
    assert leader is not None
    stopped = cluster.identity(leader)
    os.kill(stopped.process_id, signal.SIGSTOP)
    try:
        cluster.wait_for_leader(3 - leader)
        cluster.wait_healthy()
        cluster.run("volume", "create", "fourth", "1GiB", code=ANY_CODE)
    finally:
        os.kill(stopped.process_id, signal.SIGCONT)

    cluster.wait("it waits", lambda: cluster.health(leader).get("leading") is False)
    assert cluster.leader() == 3 - leader
    assert "fourth" in [one["name"] for one in cluster.get("/volumes")]
    cluster.wait_healthy()


def test_6_without_the_store_volumes_go_on_and_nothing_is_changed(
    cluster: Pair, server: EtcdServer | ZooKeeperServer
) -> None:
    server.kill()
    write_durably(cluster.mounts / "data" / "without", "storage needs no store")
    said = cluster.run("volume", "create", "fifth", "1GiB", code=ANY_CODE)
    assert said.returncode != ExitCode.OK
    assert "store" in said.stderr or "does not answer" in said.stderr
    server.start()
    deadline = time.monotonic() + TAKEOVER_S
    while cluster.leader() is None:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    cluster.wait_healthy()
    assert (cluster.mounts / "data" / "without").read_text() == "storage needs no store"


def test_7_another_cluster_does_not_take_the_same_place(
    cluster: Pair, server: EtcdServer | ZooKeeperServer
) -> None:
    other = Pair()
    try:
        url = f"{server.url}/artesian/test?session_s={SESSION_S:g}"
        said = other.error(ExitCode.NOT_RUNNING, "up", "--yes", "--store", url)
        assert "belongs to another cluster" in said
    finally:
        other.destroy()
    assert cluster.leader() is not None


def test_8_the_end_leaves_nothing_in_the_store(cluster: Pair, server: EtcdServer | ZooKeeperServer) -> None:
    receipt = cluster.json("down", "--destroy", "--yes")["receipt"]
    assert any(one.startswith("erased ") for one in receipt)
    assert not cluster.folder.exists()
