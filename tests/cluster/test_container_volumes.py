"""Volumes for containers on a cluster of this machine: dvdcli of each node, and everything that may die."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cases import Cluster, unable_to_mount
from tests.mesos.real import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]


class ContainerCluster(Cluster):
    """`dvdcli` as a container engine on a node runs it."""

    def kept(self, node: str) -> Path:
        return self.folder / "nodes" / node / "agent"

    def start_dvdcli(self, node: str, command: str, volume: str, *more: str) -> subprocess.Popen[str]:
        program = self.kept(node) / "bin" / "dvdcli"
        return subprocess.Popen(
            [program, command, "--volumedriver=artesian", f"--volumename={volume}", *more],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def dvdcli(self, node: str, command: str, volume: str, *more: str) -> str:
        """What it prints; it has to end well."""
        process = self.start_dvdcli(node, command, volume, *more)
        out, err = process.communicate(timeout=150)
        assert process.returncode == 0, err
        return out.strip()

    def refused(self, node: str, command: str, volume: str, *more: str) -> str:
        process = self.start_dvdcli(node, command, volume, *more)
        out, err = process.communicate(timeout=150)
        assert (process.returncode, out) == (1, "")
        return err

    def mount(self, node: str, volume: str, *more: str) -> Path:
        return Path(self.dvdcli(node, "mount", volume, *more))

    def node_of(self, volume: str) -> str | None:
        found: str | None = self.get(f"/volumes/{volume}")["node"]
        return found

    def agent_is_back(self, node: str, before: int) -> None:
        def is_new() -> bool:
            try:
                return self.agent(node) != before and (self.kept(node) / "plugins/artesian.sock").exists()
            except OSError:
                return False

        self.wait(f"the agent of {node} is started again", is_new)


@pytest.fixture(scope="module")
def cluster() -> Iterator[ContainerCluster]:
    made = ContainerCluster()
    spec = made.home / "spec.yaml"
    spec.write_text("new_disks: take\nnew_nodes: take\nmanagers: {count: 1}\n")
    try:
        made.run("up", "--nodes", "3", "--disks-per-node", "1", "--spec", spec, "--yes", timeout_s=120)
        yield made
    finally:
        made.destroy()


def test_a_volume_follows_its_containers(cluster: ContainerCluster) -> None:
    path = cluster.mount("node-1", "v", "--volumeopts=size=1", "--volumeopts=fstype=ext4")
    assert path == cluster.kept("node-1") / "mounts" / "v"
    assert path.is_mount()
    assert list(path.iterdir()) == []
    (path / "f").write_text("from node-1")
    assert "of node node-1" in cluster.refused("node-2", "mount", "v")
    cluster.dvdcli("node-1", "unmount", "v")
    assert not path.exists()
    assert (cluster.mount("node-2", "v", "--explicitcreate=true") / "f").read_text() == "from node-1"
    cluster.dvdcli("node-2", "remove", "v")
    assert cluster.get("/volumes") == []


def test_what_is_in_use_is_not_removed_and_what_is_not_is(cluster: ContainerCluster) -> None:
    path = cluster.mount("node-1", "used", "--volumeopts=size=1")
    place = cluster.home / "bound"
    place.mkdir()
    script = 'mount --bind "$1" "$2" && echo ready && exec sleep 1000'
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script, "sh", path, place], stdout=subprocess.PIPE, text=True
    ) as container:
        assert container.stdout is not None
        assert container.stdout.readline() == "ready\n"
        assert f"where it is mounted at {place}" in cluster.refused("node-1", "remove", "used")
        assert path.is_mount()
        container.kill()
    cluster.dvdcli("node-1", "remove", "used")
    assert not path.exists()


def test_what_the_operator_has_mounted_stays(cluster: ContainerCluster) -> None:
    data = cluster.mounts / "own"
    cluster.run("volume", "create", "own", "1GiB", "--node", "node-1", "--mount", data)
    assert cluster.mount("node-1", "own") == data
    cluster.dvdcli("node-1", "unmount", "own")
    assert (cluster.node_of("own"), data.is_mount()) == ("node-1", True)
    assert f"mounted at {data} of node node-1" in cluster.refused("node-2", "mount", "own")
    cluster.run("volume", "detach", "own")
    cluster.dvdcli("node-2", "remove", "own")


def test_containers_do_not_notice_that_the_agent_or_the_scheduler_dies(cluster: ContainerCluster) -> None:
    path = cluster.mount("node-1", "kept", "--volumeopts=size=1")
    (path / "f").write_text("kept")
    before = cluster.agent("node-1")
    cluster.kill_agent("node-1")
    cluster.agent_is_back("node-1", before)
    assert (path / "f").read_text() == "kept"
    cluster.kill_scheduler()
    assert cluster.mount("node-1", "kept") == path  # nobody can be asked, and nobody needs to be
    assert cluster.dvdcli("node-1", "get", "kept") == "kept"
    assert cluster.dvdcli("node-1", "path", "kept") == str(path)
    cluster.dvdcli("node-1", "unmount", "kept")
    before = cluster.agent("node-1")
    cluster.kill_agent("node-1")
    assert path.is_mount()
    cluster.run("up", "--yes")
    cluster.agent_is_back("node-1", before)
    cluster.wait("it is let go of after all", lambda: cluster.node_of("kept") is None)
    cluster.dvdcli("node-2", "remove", "kept")


def test_a_mount_during_which_the_agent_dies_comes_to_nothing(cluster: ContainerCluster) -> None:
    cluster.dvdcli("node-1", "create", "lost", "--volumeopts=size=1")
    before = cluster.agent("node-1")
    asking = cluster.start_dvdcli("node-1", "mount", "lost")
    until(lambda: cluster.node_of("lost") == "node-1", "it is wished for")
    os.kill(before, signal.SIGKILL)
    out, _ = asking.communicate(timeout=60)
    cluster.agent_is_back("node-1", before)
    if asking.returncode == 0:  # it was quicker
        cluster.dvdcli("node-1", "unmount", "lost")
    else:
        assert out == ""
    cluster.wait("it is let go of", lambda: cluster.node_of("lost") is None)
    cluster.dvdcli("node-2", "remove", "lost")


def test_preemption_takes_a_volume_from_a_node_that_does_not_let_go(cluster: ContainerCluster) -> None:
    path = cluster.mount("node-1", "taken", "--volumeopts=size=1,preempt=true")
    (path / "f").write_text("before")
    os.sync()
    with (path / "f").open():  # somebody uses it
        there = cluster.mount("node-2", "taken")
        assert (there / "f").read_text() == "before"
    cluster.dvdcli("node-1", "unmount", "taken")
    assert cluster.node_of("taken") == "node-2"
    cluster.dvdcli("node-2", "unmount", "taken")
    cluster.dvdcli("node-3", "remove", "taken")


def test_a_node_of_which_nothing_is_heard_keeps_its_volume_until_somebody_decides(
    cluster: ContainerCluster,
) -> None:
    path = cluster.mount("node-1", "away", "--volumeopts=size=1")
    (path / "f").write_text("flushed")
    os.sync()
    agent = cluster.agent("node-1")
    os.kill(agent, signal.SIGSTOP)
    try:
        cluster.wait("it is silent", lambda: cluster.node("node-1")["state"] == "silent")
        said = cluster.refused("node-2", "mount", "away")
        assert "of node node-1, which is silent and may still write to it" in said
        cluster.run("volume", "detach", "away", "--force", timeout_s=90)
        assert (cluster.mount("node-2", "away") / "f").read_text() == "flushed"
    finally:
        os.kill(agent, signal.SIGCONT)
    cluster.wait_healthy()
    cluster.dvdcli("node-1", "unmount", "away")
    assert cluster.node_of("away") == "node-2"
    cluster.dvdcli("node-2", "remove", "away")
