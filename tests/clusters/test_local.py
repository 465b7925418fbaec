"""Nodes on one machine: folders, files for disks, attributes, and power."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from artesian.agent.__main__ import EXIT_OFF, EXIT_RUNS_ALREADY
from artesian.clusters import local, node_files
from artesian.clusters.local import MAX_NODES, LocalCluster
from artesian.clusters.port import NodeMaker, NodeRefused, SubstrateUnusable
from artesian.host import processes
from artesian.host.files import try_lock
from artesian.model.errors import NotPossible
from tests.clusters.conformance import CREDENTIALS, Handle, SubstrateConformance
from tests.clusters.task_conformance import TaskRunnerConformance

MIB = 1 << 20
GIB = 1 << 30


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, as sockets are made in it."""
    made = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    yield made / "cluster"
    cluster = LocalCluster(made / "cluster")
    if cluster.exists:
        for node in (made / "cluster" / "nodes").glob("*/node.json"):
            cluster.switch_off(node.parent.name)
    shutil.rmtree(made)


@pytest.fixture
def cluster(folder: Path) -> LocalCluster:
    made = LocalCluster(folder)
    made.create()
    return made


class LocalHandle(Handle):
    def __init__(self, cluster: LocalCluster) -> None:
        self.substrate = self.cluster = cluster
        for name in ("alpha", "beta"):
            cluster.add_node(name)

    def reopen(self) -> None:
        self.substrate = self.cluster = LocalCluster(self.cluster.folder)

    def switch_off(self, node: str) -> None:
        self.cluster.switch_off(node)

    def switch_on(self, node: str) -> None:
        self.cluster.switch_on(node)

    def add_node(self, node: str) -> None:
        self.cluster.add_node(node)

    def set_attribute(self, node: str, key: str, value: str) -> None:
        self.cluster.set_attributes(node, {key: value})

    def agent(self, node: str) -> int | None:
        identity = processes.running(self.cluster.agent_folder(node) / "agent.pid")
        return identity.process_id if identity is not None else None

    def secret_of_agent(self, node: str) -> str:
        document = json.loads((self.cluster.agent_folder(node) / "config.json").read_text())
        return str(document["engine_secret"])

    def kill_agent(self, node: str) -> None:
        assert self.cluster.kill_agent(node)

    def arguments_of_agent(self, node: str) -> str:
        identity = processes.running(self.cluster.agent_folder(node) / "agent.pid")
        assert identity is not None
        found = Path(f"/proc/{identity.process_id}")
        return (found / "cmdline").read_text() + (found / "environ").read_text()


class TestLocalCluster(SubstrateConformance):
    @pytest.fixture
    def handle(self, cluster: LocalCluster) -> Handle:
        return LocalHandle(cluster)


class TestLocalTasks(TaskRunnerConformance):
    @pytest.fixture
    def handle(self, cluster: LocalCluster) -> Handle:
        return LocalHandle(cluster)


# --- the cluster


def test_a_cluster_is_made_once(folder: Path) -> None:
    cluster = LocalCluster(folder)
    assert not cluster.exists
    assert cluster.create()
    assert cluster.exists
    assert not cluster.create()
    assert cluster.nodes() == ()


def test_it_is_found_again(cluster: LocalCluster, folder: Path) -> None:
    cluster.add_node("alpha")
    again = LocalCluster(folder)
    assert again.nodes() == cluster.nodes()
    assert again.scheduler_address == cluster.scheduler_address


def test_an_empty_folder_is_as_good_as_none(folder: Path) -> None:
    folder.mkdir()
    assert LocalCluster(folder).create()


def test_a_folder_of_somebody_else_is_refused_and_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    with pytest.raises(NotPossible, match="is not empty, and there is no cluster in it"):
        LocalCluster(folder).create()
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]
    assert (folder / "letter.txt").read_text() == "mine"


def test_a_path_that_is_too_long_for_sockets_is_refused(folder: Path) -> None:
    long = folder / ("x" * (61 - len(f"{folder}/")))
    assert len(str(long)) == 61
    with pytest.raises(NotPossible, match="at most 60 bytes"):
        LocalCluster(long).create()
    assert not long.exists()
    assert LocalCluster(long.with_name(long.name[1:])).create()


def test_the_length_of_a_path_counts_in_bytes(folder: Path) -> None:
    with pytest.raises(NotPossible, match="at most 60 bytes"):
        LocalCluster(folder / ("ä" * 30)).create()


def test_a_file_in_place_of_the_folder_is_refused(folder: Path) -> None:
    folder.write_text("mine")
    with pytest.raises(NotPossible, match=str(folder)):
        LocalCluster(folder).create()


def test_a_description_that_cannot_be_read_is_named(cluster: LocalCluster, folder: Path) -> None:
    cluster.add_node("alpha")
    (folder / "nodes" / "alpha" / "node.json").write_text("{")
    with pytest.raises(SubstrateUnusable, match=r"alpha/node\.json cannot be read"):
        cluster.nodes()


# --- nodes


def test_a_node_is_bare_and_keeps_its_address(cluster: LocalCluster) -> None:
    cluster.add_node("alpha")
    (before,) = cluster.nodes()
    assert before.address.startswith("127.")
    assert list(cluster.dev("alpha").iterdir()) == []
    cluster.add_node("alpha")
    cluster.add_node("aaa")
    assert {node.name: node for node in cluster.nodes()}["alpha"] == before


def test_the_scheduler_has_no_nodes_address(cluster: LocalCluster) -> None:
    cluster.add_node("alpha")
    assert cluster.scheduler_address not in [node.address for node in cluster.nodes()]
    assert int(cluster.scheduler_address.rpartition(".")[2]) > MAX_NODES


@pytest.mark.parametrize(
    "name", ["", "Alpha", "a b", "../x", "a/b", "-a", "a-", ".", "..", "a\n", "ä", "x" * 31]
)
def test_what_is_no_name_is_refused(cluster: LocalCluster, name: str) -> None:
    with pytest.raises(NotPossible, match="no name for a node"):
        cluster.add_node(name)
    assert cluster.nodes() == ()


@pytest.mark.parametrize("name", ["a", "1", "node-1", "x" * 30])
def test_what_is_a_name_is_taken(cluster: LocalCluster, name: str) -> None:
    cluster.add_node(name)
    assert [node.name for node in cluster.nodes()] == [name]


def test_there_are_not_more_nodes_than_addresses(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("artesian.clusters.local.MAX_NODES", 2)
    cluster.add_node("a")
    cluster.add_node("b")
    with pytest.raises(NotPossible, match="at most 2 nodes"):
        cluster.add_node("c")
    assert len(cluster.nodes()) == 2


def test_a_node_is_made_once_with_its_disks_and_attributes(cluster: LocalCluster) -> None:
    disks = [("xvdf", GIB), (None, 64 * MIB), ("sdb", GIB), (None, GIB)]
    assert cluster.add_node("alpha", disks, {"rack": "r1"})
    assert not cluster.add_node("alpha", disks, {"rack": "r2"})
    found = {path.name: path.stat().st_size for path in cluster.dev("alpha").iterdir()}
    assert found == {"xvdf": GIB, "sdb": GIB, "sdc": 64 * MIB, "sdd": GIB}
    (node,) = cluster.nodes()
    assert dict(node.attributes) == {"rack": "r1"}


def test_a_node_whose_disks_or_attributes_are_refused_is_not_made(cluster: LocalCluster) -> None:
    with pytest.raises(NotPossible, match="at least 64 MiB"):
        cluster.add_node("alpha", [(None, GIB), (None, MIB)])
    with pytest.raises(NotPossible, match="no name for an attribute"):
        cluster.add_node("alpha", [], {"../off": "x"})
    assert cluster.nodes() == ()


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_kill_while_a_node_is_made_costs_no_disk_and_doubles_none(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    disks = [(None, GIB), (None, GIB)]
    made: list[Path] = []

    def killed(path: Path, *_: object) -> None:
        if len(made) == at:
            raise KeyboardInterrupt
        made.append(path)
        os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), GIB)

    with monkeypatch.context() as patched:
        patched.setattr(node_files, "_make_disk", killed)
        patched.setattr(local, "write_durably", killed)
        with pytest.raises(KeyboardInterrupt):
            cluster.add_node("alpha", disks)
    assert cluster.nodes() == ()
    assert cluster.add_node("alpha", disks)
    assert sorted(path.name for path in cluster.dev("alpha").iterdir()) == ["sdb", "sdc"]
    assert {path.stat().st_size for path in cluster.dev("alpha").iterdir()} == {GIB}


def test_of_several_that_make_a_cluster_one_does(folder: Path) -> None:
    made: list[bool] = []
    threads = [threading.Thread(target=lambda: made.append(LocalCluster(folder).create())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False, False, False, True]


def test_a_node_that_is_not_there_is_named_with_those_that_are(cluster: LocalCluster) -> None:
    cluster.add_node("alpha")
    for verb in (cluster.switch_off, cluster.switch_on):
        with pytest.raises(NotPossible, match="there is no node omega; there are alpha"):
            verb("omega")
    with pytest.raises(NotPossible, match="omega"):
        cluster.set_attributes("omega", {"a": "b"})
    with pytest.raises(NotPossible, match="omega"):
        cluster.add_disk("omega", GIB)


# --- disks


def test_a_disk_is_raw_sparse_and_named_as_disks_are(cluster: LocalCluster) -> None:
    cluster.add_node("alpha")
    paths = [cluster.add_disk("alpha", GIB) for _ in range(3)]
    assert [path.name for path in paths] == ["sdb", "sdc", "sdd"]
    assert all(path.parent == cluster.dev("alpha") for path in paths)
    assert {path.stat().st_size for path in paths} == {GIB}
    assert sum(path.stat().st_blocks for path in paths) == 0
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}


def test_after_sdz_comes_sdaa(cluster: LocalCluster) -> None:
    cluster.add_node("alpha")
    names = [cluster.add_disk("alpha", 64 * MIB).name for _ in range(27)]
    assert names[-3:] == ["sdz", "sdaa", "sdab"]
    assert len(set(names)) == 27


def test_a_disk_that_is_there_is_never_replaced(cluster: LocalCluster) -> None:
    cluster.add_node("alpha")
    path = cluster.add_disk("alpha", GIB, "nvme0n1")
    path.write_bytes(b"data")
    with pytest.raises(NotPossible, match="has a disk named nvme0n1 already"):
        cluster.add_disk("alpha", GIB, "nvme0n1")
    assert path.read_bytes() == b"data"


def test_a_tiny_disk_is_refused(cluster: LocalCluster) -> None:
    cluster.add_node("alpha")
    with pytest.raises(NotPossible, match="at least 64 MiB"):
        cluster.add_disk("alpha", 64 * MIB - 1)
    assert list(cluster.dev("alpha").iterdir()) == []


# --- attributes


def test_attributes_are_files_and_can_change(cluster: LocalCluster) -> None:
    cluster.add_node("alpha")
    cluster.set_attributes("alpha", {"rack": "r1", "tier": "fast"})
    cluster.set_attributes("alpha", {"rack": "r2"})
    (node,) = cluster.nodes()
    assert dict(node.attributes) == {"rack": "r2", "tier": "fast"}
    assert (cluster.folder / "nodes" / "alpha" / "attributes" / "rack").read_text() == "r2\n"


@pytest.mark.parametrize("key", ["../off", "a/b", ".hidden", ".."])
def test_an_attribute_cannot_be_a_path(cluster: LocalCluster, key: str) -> None:
    cluster.add_node("alpha")
    with pytest.raises(NotPossible, match="no name for an attribute"):
        cluster.set_attributes("alpha", {key: "x"})
    (node,) = cluster.nodes()
    assert (dict(node.attributes), node.gone) == ({}, False)


# --- power and agents


def test_switching_off_says_how_much_it_killed(cluster: LocalCluster) -> None:
    cluster.add_node("alpha")
    assert cluster.switch_off("alpha") == 0
    assert cluster.switch_on("alpha")
    assert not cluster.switch_on("alpha")
    cluster.ensure_agent("alpha", CREDENTIALS)
    assert cluster.switch_off("alpha") == 1
    assert cluster.switch_off("alpha") == 0


def test_only_its_owner_reads_what_an_agent_is_started_with(cluster: LocalCluster) -> None:
    cluster.add_node("alpha")
    cluster.ensure_agent("alpha", CREDENTIALS)
    path = cluster.agent_folder("alpha") / "config.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["token"] == CREDENTIALS.token
    time.sleep(0.3)
    log = (cluster.agent_folder("alpha") / "agent.log").read_text()
    assert CREDENTIALS.token not in log
    assert CREDENTIALS.engine_secret not in log


def test_an_agent_can_be_killed_once(cluster: LocalCluster) -> None:
    cluster.add_node("alpha")
    assert not cluster.kill_agent("alpha")
    cluster.ensure_agent("alpha", CREDENTIALS)
    assert cluster.kill_agent("alpha")
    assert not cluster.kill_agent("alpha")


# --- one agent, whoever is killed when


def agents_of(cluster: LocalCluster, node: str) -> list[int]:
    """The processes of a node's agent, whatever its pid file says."""
    folder = os.fsencode(cluster.agent_folder(node))
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"artesian.agent" in arguments and folder in arguments:
            found.append(int(path.parent.name))
    return found


def start_and_be_killed(cluster: LocalCluster, node: str) -> None:
    """A scheduler that is killed after it has started an agent, and before it has said who that is."""
    script = (
        "import os, signal, sys; from pathlib import Path; from artesian.clusters.local import LocalCluster;"
        " from artesian.clusters.port import AgentCredentials; from artesian.host.single import Single;"
        " Single.name_it = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
        " LocalCluster(Path(sys.argv[1])).ensure_agent(sys.argv[2], AgentCredentials(*sys.argv[3:]))"
    )
    credentials = (CREDENTIALS.scheduler_url, CREDENTIALS.token, CREDENTIALS.engine_secret)
    command = [sys.executable, "-c", script, str(cluster.folder), node, *credentials]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL


def test_an_agent_whose_starter_was_killed_stays_the_only_one(cluster: LocalCluster) -> None:
    cluster.add_node("alpha")
    start_and_be_killed(cluster, "alpha")
    assert not cluster.ensure_agent("alpha", CREDENTIALS)
    named = processes.running(cluster.agent_folder("alpha") / "agent.pid")
    assert named is not None
    assert agents_of(cluster, "alpha") == [named.process_id]


def test_a_node_that_goes_off_while_its_agent_starts_has_none(cluster: LocalCluster) -> None:
    cluster.add_node("alpha")
    start_and_be_killed(cluster, "alpha")
    assert processes.running(cluster.agent_folder("alpha") / "agent.pid") is None
    cluster.switch_off("alpha")
    assert agents_of(cluster, "alpha") == []


def test_an_agent_that_is_just_starting_is_stopped(cluster: LocalCluster) -> None:
    cluster.add_node("alpha")
    start_and_be_killed(cluster, "alpha")
    with pytest.raises(NotPossible, match="agent still runs on node alpha"):
        cluster.check_nothing_runs()
    assert cluster.stop_agent("alpha")
    assert agents_of(cluster, "alpha") == []
    cluster.check_nothing_runs()


def run_agent(cluster: LocalCluster, node: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "artesian.agent", str(cluster.agent_folder(node))]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_second_agent_ends_and_says_why(cluster: LocalCluster) -> None:
    cluster.add_node("alpha")
    cluster.ensure_agent("alpha", CREDENTIALS)
    pid_file = cluster.agent_folder("alpha") / "agent.pid"
    first = processes.running(pid_file)
    done = run_agent(cluster, "alpha")
    assert (done.returncode, "runs already" in done.stderr) == (EXIT_RUNS_ALREADY, True)
    assert processes.running(pid_file) == first


def test_an_agent_that_comes_late_does_not_run_on_a_node_that_is_off(cluster: LocalCluster) -> None:
    cluster.add_node("alpha")
    cluster.ensure_agent("alpha", CREDENTIALS)
    cluster.switch_off("alpha")
    done = run_agent(cluster, "alpha")
    assert (done.returncode, "switched off" in done.stderr) == (EXIT_OFF, True)


def test_an_agent_that_cannot_be_ended_is_named(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_STOP_TIMEOUT_S", 0.05)
    cluster.add_node("alpha")
    cluster.agent_folder("alpha").mkdir()
    lock = try_lock(cluster.agent_folder("alpha") / "agent.lock")
    assert lock is not None
    with pytest.raises(SubstrateUnusable, match="the agent of node alpha cannot be ended"):
        cluster.switch_off("alpha")
    os.close(lock)
    assert cluster.switch_off("alpha") == 0


def test_nothing_an_agent_starts_holds_its_lock(cluster: LocalCluster) -> None:
    """Else there would be no agent any more once one has been killed."""
    cluster.add_node("alpha")
    cluster.ensure_agent("alpha", CREDENTIALS)
    identity = processes.running(cluster.agent_folder("alpha") / "agent.pid")
    assert identity is not None
    flags = 0
    deadline = time.monotonic() + 60
    while not flags & os.O_CLOEXEC and time.monotonic() < deadline:
        time.sleep(0.05)
        folder = Path(f"/proc/{identity.process_id}")
        for one in (folder / "fd").iterdir():
            name = ""
            with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
                name = os.readlink(one)
            if name.endswith("/agent.lock"):
                words = (folder / "fdinfo" / one.name).read_text().split()
                flags = int(words[words.index("flags:") + 1], 8)
    assert flags & os.O_CLOEXEC


def test_a_machine_is_made_by_its_name_and_only_once(cluster: LocalCluster) -> None:
    assert isinstance(cluster, NodeMaker)
    for _ in range(2):
        cluster.make_node("node-a1", [GIB, 2 * GIB])
    assert [one.name for one in cluster.nodes()] == ["node-a1"]
    assert sorted(one.stat().st_size for one in cluster.dev("node-a1").iterdir()) == [GIB, 2 * GIB]


def test_a_machine_that_cannot_be_is_refused(cluster: LocalCluster) -> None:
    with pytest.raises(NodeRefused, match="is no name for a node"):
        cluster.make_node("No Name", [GIB])
    with pytest.raises(NodeRefused):
        cluster.make_node("small", [1])
    assert cluster.nodes() == ()
