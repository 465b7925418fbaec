"""Nodes on one machine: folders, files for disks, attributes, and power."""

from __future__ import annotations

import json
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from artesian.clusters.local import MAX_NODES, LocalCluster
from artesian.clusters.port import SubstrateUnusable
from artesian.host import processes
from artesian.model.errors import NotPossible
from tests.clusters.conformance import CREDENTIALS, Handle, SubstrateConformance

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
            cluster.kill_agent(node.parent.name)
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

    def switch_off(self, node: str) -> None:
        self.cluster.switch_off(node)

    def switch_on(self, node: str) -> None:
        self.cluster.switch_on(node)

    def add_node(self, node: str) -> None:
        self.cluster.add_node(node)

    def set_attribute(self, node: str, key: str, value: str) -> None:
        self.cluster.set_attributes(node, {key: value})

    def agent_runs(self, node: str) -> bool:
        return processes.running(self.cluster.agent_folder(node) / "agent.pid") is not None

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
