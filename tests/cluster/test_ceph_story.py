"""The life of a cluster with a real Ceph, chapter by chapter: each test goes on where the one before has
ended, and a writer and a database use a volume all the time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artesian.cli.outcome import ExitCode
from tests.cluster.cases import Cluster, write_durably
from tests.cluster.ceph_cases import (
    CephCluster,
    cut_off,
    slow_disk,
    unable_to_cut_off,
    unable_to_slow_down,
    why_not,
)
from tests.cluster.drilling import run_drill
from tests.cluster.ledger import Ledger
from tests.cluster.writing import Writer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.heavy,
    pytest.mark.skipif(bool(why_not()), reason=f"no Ceph can be run here: {why_not()}"),
    pytest.mark.usefixtures("in_order"),
]

MIB = 1 << 20
HEAL_AFTER_S = 10
BREATH_S = 10.0  # for which a writer may stand still when one process dies
SILENCE_S = 30.0  # and when one is silent, on a machine with other things to do
SPEC = f"""
engine: {{kind: ceph, heal_after: {HEAL_AFTER_S}s}}
new_disks: take
new_nodes: take
default_rules: no
providers:
  - {{name: files, kind: file, disk_size: 9GiB, lead_time: 1s}}
budget: {{disks_total: 8}}
rules:
  - {{name: expand, scope: pool, when: used_share > 85%, remedy: expand-pool, approval: ask, cooldown: 10m}}
  - {{name: replace, scope: device, when: failed and ours, remedy: replace-device, approval: automatic}}
"""
SLOW = """
  - name: slow
    scope: device
    when: ours and not failed and latency_s > 0.1 and latency_s > 5 * peers_latency_s
    for: 3s
    remedy: replace-device
    approval: automatic
"""
FILLING_BYTES = 550 * MIB  # with the second of the ratios too much for four small disks
# As in every Ceph, and so that pools are full soon.
RATIOS = {"nearfull": (0.85, 0.09), "backfillfull": (0.9, 0.095), "full": (0.95, 0.1)}


class Story:
    """The cluster, and whoever writes to the volume now."""

    def __init__(self, cluster: CephCluster) -> None:
        self.cluster = cluster
        self.node = "node-4"
        self.path = cluster.mounts / "data"
        cluster.run("volume", "create", "data", "4GiB", "--node", self.node, "--mount", self.path)
        self.writer: Writer = cluster.writer(self.path)
        self.ledger = Ledger(self.path, cluster.home)

    def goes_on(self) -> None:
        """Whoever uses the volume still does."""
        self.writer.goes_on()
        self.ledger.goes_on()

    def take_over(self, node: str, *more: str) -> float:
        """Bring the volume to another node; how long that took."""
        began = time.monotonic()
        path = self.cluster.mounts / f"data-on-{node}"
        self.cluster.run("volume", "attach", "data", "--node", node, "--mount", path, *more)
        took_s = time.monotonic() - began
        assert self.writer.lost(path) == []
        self.ledger.move(path)
        self.node, self.path, self.writer = node, path, self.cluster.writer(path)
        return took_s


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with CephCluster() as made:
        made.bring_up(4, "3GiB", SPEC)
        begun = Story(made)
        try:
            yield begun
        finally:
            begun.ledger.die()


@pytest.fixture(scope="module")
def cluster(story: Story) -> CephCluster:
    return story.cluster


def leader(cluster: Cluster) -> str:
    """The node of the leading manager."""
    found = (one["node"] for one in cluster.get("/status")["managers"] if one["leads"])
    return str(next(found))


def managers(cluster: Cluster) -> dict[str, bool]:
    """By node, whether they are healthy."""
    return {one["node"]: one["healthy"] for one in cluster.get("/status")["managers"]}


def pools_with(cluster: Cluster, what: str) -> list[str]:
    """The pools of which a figure is not nothing; of an engine that does not answer none is known."""
    return [one["name"] for one in cluster.get("/pools") if one[what]]


def each_has_its_share(cluster: CephCluster) -> None:
    """Wait until Ceph's balancer has seen to it that no disk is fuller than the others."""
    cluster.wait("each disk has its share", lambda: cluster.unevenness() <= 2, 90.0)


def closed(cluster: Cluster, kind: str) -> dict[str, Any]:
    """The only remedy of a kind, once it is over: it has to have helped."""
    cluster.wait(kind, lambda: any(not one["open"] for one in cluster.remedies(kind)), 90.0)
    (remedy,) = cluster.remedies(kind)
    assert remedy["state"] == "helped", remedy
    return remedy


def test_01_an_osd_that_is_killed_comes_back_and_nobody_notices(story: Story, cluster: CephCluster) -> None:
    since_s = time.time()
    before = cluster.kill("node-2", "osd")
    cluster.wait_for_another("node-2", "osd", before)
    story.goes_on()
    assert story.writer.longest_pause_s(since_s) < BREATH_S


def test_02_so_does_the_leading_manager(story: Story, cluster: CephCluster) -> None:
    since_s, node = time.time(), leader(cluster)
    before = cluster.kill(node, "mon")
    cluster.wait_for_another(node, "mon", before)
    story.goes_on()
    cluster.wait("all follow one", lambda: list(managers(cluster).values()) == [True] * 3)
    assert story.writer.longest_pause_s(since_s) < BREATH_S


def test_03_and_the_active_manager_daemon(story: Story, cluster: CephCluster) -> None:
    since_s = time.time()
    node = cluster.ceph("mgr", "stat")["active_name"].removeprefix("manager-")
    before = cluster.kill(node, "mgr")
    cluster.wait_for_another(node, "mgr", before)
    cluster.wait("one is active", lambda: cluster.ceph("mgr", "stat")["available"])
    story.goes_on()
    assert story.writer.longest_pause_s(since_s) < BREATH_S


@pytest.mark.skipif(bool(unable_to_cut_off()), reason=f"no node can be cut off here: {unable_to_cut_off()}")
def test_04_daemons_that_nobody_reaches_are_done_without_and_come_back(
    story: Story, cluster: CephCluster
) -> None:
    since_s = time.time()
    node = next(one for one in managers(cluster) if one != leader(cluster))
    with cut_off(cluster.node(node)["address"]):
        cluster.wait("its manager is missed", lambda: managers(cluster)[node] is False)
        cluster.wait("its disk is missed", lambda: pools_with(cluster, "degraded_bytes"))
        story.goes_on()
    cluster.wait_healthy()
    story.goes_on()
    assert story.writer.longest_pause_s(since_s) < SILENCE_S


def test_05_a_volume_goes_on_elsewhere_when_its_node_loses_power(story: Story, cluster: CephCluster) -> None:
    story.writer.stop()
    cluster.run("local", "off", "node-4")
    story.take_over("node-1")
    cluster.run("local", "on", "node-4")
    cluster.wait_healthy()
    assert not cluster.node("node-4")["attachments"]
    story.goes_on()


def test_06_a_node_that_stood_still_changes_nothing_when_it_goes_on(
    story: Story, cluster: CephCluster
) -> None:
    old, old_path = story.writer, story.path
    cluster.freeze("node-1")
    cluster.wait("it is missed", lambda: cluster.node("node-1")["state"] != "alive", 60.0)
    story.take_over("node-4", "--force")
    cluster.thaw()
    story.goes_on()
    cluster.wait("it lets go", lambda: str(old_path) not in Path("/proc/self/mounts").read_text(), 60.0)
    old.stop()
    cluster.wait_healthy()
    story.goes_on()


def test_07_a_copy_has_what_was_there_at_one_moment_and_stands_on_its_own(
    story: Story, cluster: CephCluster
) -> None:
    write_durably(story.path / "before", "of monday")
    kept = cluster.json("volume", "snapshot", "data", "monday")
    write_durably(story.path / "after", "of tuesday")
    cluster.run("volume", "clone", "data", "monday", "copy", "--no-wait")
    cluster.kill_scheduler()
    cluster.run("up", "--yes")
    cluster.wait("the copy", lambda: cluster.get("/volumes/copy")["ready"], 90.0)
    assert cluster.json("volume", "snapshots") == [kept | {"clones": ["copy"]}]  # it was not taken anew
    path = cluster.mounts / "copy"
    cluster.run("volume", "attach", "copy", "--node", "node-3", "--mount", path)
    assert (path / "before").read_text() == "of monday" and not (path / "after").exists()
    assert "monday already" in cluster.error(ExitCode.IN_THE_WAY, "volume", "snapshot", "data", "monday")
    cluster.run("volume", "delete-snapshot", "data", "monday", "--yes")
    write_durably(path / "more", "of the copy")
    cluster.run("volume", "snapshot", "copy", "once")
    cluster.run("volume", "detach", "copy")
    said = cluster.error(ExitCode.IN_THE_WAY, "volume", "delete", "copy", "--yes")
    assert "volume copy has snapshots (once)" in said
    cluster.run("volume", "delete", "copy", "--with-snapshots", "--yes")
    assert not (story.path / "more").exists()
    story.goes_on()


def test_08_a_disk_that_fails_is_replaced(story: Story, cluster: CephCluster) -> None:
    cluster.disk("node-2", "sdb").rename(cluster.home / "gone")
    (part,) = closed(cluster, "replace-device")["parts"]
    assert part["node"] == "node-2"
    cluster.wait_healthy()
    assert cluster.pool()["devices"] == 4
    story.goes_on()


@pytest.fixture
def small_ratios(cluster: CephCluster) -> Iterator[None]:
    for name, (_, small) in RATIOS.items():
        cluster.ceph("osd", f"set-{name}-ratio", str(small))
    yield
    for name, (usual, _) in reversed(RATIOS.items()):
        cluster.ceph("osd", f"set-{name}-ratio", str(usual))
    cluster.wait_healthy()


def test_09_a_pool_that_is_full_is_expanded_and_whoever_waited_goes_on(
    story: Story, cluster: CephCluster, small_ratios: None
) -> None:
    # Not so fast that all of it is written before the monitors have noticed.
    flags = "oflag=direct,dsync conv=fsync"
    fills = f"if=/dev/urandom of={story.path}/filling bs=1M count={FILLING_BYTES // MIB} {flags}"
    spare = cluster.mounts / "spare"
    cluster.run("volume", "create", "spare", "1GiB", "--node", "node-3", "--mount", spare)
    write_durably(spare / "much", "m" * 10 * MIB)
    cluster.run("volume", "detach", "spare")
    each_has_its_share(cluster)  # what fills up is all of it, and not a disk that the balancer would relieve
    filler = subprocess.Popen(["dd", *fills.split(), "status=none"])
    try:
        cluster.wait("it is full", lambda: "full" in cluster.pool_flags(), 60.0)
        cluster.wait("a remedy", lambda: cluster.remedies("expand-pool"))
        (remedy,) = cluster.remedies("expand-pool")
        assert remedy["state"] == "asking" and filler.poll() is None
        cluster.run("volume", "delete", "spare", "--yes")  # also of a pool to which nobody can write
        cluster.run("remedies", "approve", remedy["id"])
        cluster.wait("all is written", lambda: filler.poll() is not None, 60.0)
        assert filler.returncode == 0
    finally:
        filler.kill()
    assert len(closed(cluster, "expand-pool")["parts"]) == cluster.pool()["devices"] - 4
    each_has_its_share(cluster)
    story.goes_on()


@pytest.mark.skipif(bool(unable_to_slow_down()), reason=f"no disk can be made slow: {unable_to_slow_down()}")
def test_10_a_disk_that_has_become_slow_is_replaced_too(story: Story, cluster: CephCluster) -> None:
    spec = cluster.home / "slow.yaml"
    spec.write_text(SPEC + SLOW)
    cluster.run("apply", "--spec", spec, "--yes")

    def remedy() -> dict[str, Any] | None:
        found = [one for one in cluster.remedies("replace-device") if one["rule"] == "slow"]
        return found[0] if found else None

    process_id, devices = cluster.process("node-3", "osd"), cluster.pool()["devices"]
    assert process_id is not None
    with slow_disk(process_id, cluster.folder):
        cluster.wait("a remedy", remedy, 60.0)
        cluster.wait("its disk is empty", lambda: not (remedy() or {"open": True})["open"], 90.0)
    over = remedy()
    assert over is not None and "node-3" in over["because"] and over["state"] == "helped", over
    spec.write_text(SPEC)
    cluster.run("apply", "--spec", spec, "--yes")
    cluster.wait_healthy()
    assert cluster.pool()["devices"] == devices
    story.goes_on()


DRILLS = {
    "kill-server": ["--hold", "6s"],
    "kill-manager": ["--hold", "6s"],
    "cut-off-node": ["--hold", "16s"],
    "fail-disk": [],
    "fill-pool": [],
}


@pytest.mark.parametrize("kind", DRILLS)
def test_11_drills_lose_nothing(story: Story, cluster: CephCluster, kind: str) -> None:
    spec, asking = cluster.home / "drills.yaml", SPEC.replace("approval: automatic", "approval: ask")
    spec.write_text(asking.replace("> 85%", "> 10%").replace("10m", "1s") if kind == "fill-pool" else asking)
    cluster.run("apply", "--spec", spec, "--yes")
    report = run_drill(cluster, kind, *DRILLS[kind])
    asked = {"fail-disk": ["replace-device"], "fill-pool": ["expand-pool"]}.get(kind, [])
    assert [one["kind"] for one in report["remedies"]] == asked
    story.goes_on()


def test_12_nothing_is_rebuilt_while_a_node_is_in_maintenance(story: Story, cluster: CephCluster) -> None:
    each_has_its_share(cluster)
    cluster.wait_calm()
    cluster.run("node", "maintain", "node-2")
    assert "noout" in str(cluster.ceph("osd", "dump")["crush_node_flags"])
    cluster.run("local", "off", "node-2")
    end = time.monotonic() + HEAL_AFTER_S + 3
    while time.monotonic() < end:
        assert not pools_with(cluster, "moving_bytes")
        assert all(one["in"] for one in cluster.ceph("osd", "dump")["osds"])
    story.goes_on()
    cluster.run("local", "on", "node-2")
    cluster.run("node", "maintain", "node-2", "--end")
    cluster.wait_healthy()
    assert "noout" not in str(cluster.ceph("osd", "dump")["crush_node_flags"])


def daemons(cluster: CephCluster) -> dict[tuple[str, str], int]:
    """The process ids of monitors, manager daemons and OSDs, by node and name."""
    return {
        (node, name): process_id
        for node in cluster.nodes()
        for name, process_id in cluster.processes(node).items()
        if name.startswith(("mon", "mgr", "osd"))
    }


def others(cluster: CephCluster) -> dict[str, dict[str, int]]:
    """Those of whoever uses volumes."""
    return {
        node: {
            name: one for name, one in cluster.processes(node).items() if "client" in name or "volume" in name
        }
        for node in cluster.nodes()
    }


def test_13_every_daemon_is_restarted_while_the_volume_is_in_use(story: Story, cluster: CephCluster) -> None:
    since_s, before, users = time.time(), daemons(cluster), others(cluster)
    dry_run = cluster.json("restart", "--dry-run")
    assert {one["change"] for one in dry_run["steps"]} == {
        "RestartProcesses",
        "EnterMaintenance",
        "ExitMaintenance",
    }
    cluster.run("restart", "--yes", "--no-wait")
    seen: set[str] = set()

    def is_over() -> bool:
        held = cluster.ceph("osd", "dump")["crush_node_flags"]
        assert len(held) <= 1, f"more than one node rests: {held}"
        seen.update(held)
        up = [one["up"] for one in cluster.ceph("osd", "dump")["osds"]]
        assert all(one["in"] for one in cluster.ceph("osd", "dump")["osds"])
        assert up.count(0) <= 2, "the OSDs of more than one node are away"
        return bool(cluster.get("/restart")["state"] != "going")

    cluster.wait("its end", is_over, 240.0)
    assert cluster.get("/restart")["state"] == "done", cluster.get("/restart")
    cluster.wait_healthy()
    after = daemons(cluster)
    assert after.keys() == before.keys() and not set(after.values()) & set(before.values())
    assert others(cluster) == users
    assert seen and "noout" not in str(cluster.ceph("osd", "dump")["crush_node_flags"])
    story.goes_on()
    assert story.writer.longest_pause_s(since_s) < BREATH_S


def test_14_a_node_that_is_removed_gives_its_data_and_its_manager_away(
    story: Story, cluster: CephCluster
) -> None:
    node = next(one for one in sorted(managers(cluster), reverse=True) if one != story.node)
    cluster.run("node", "remove", node)
    cluster.wait_healthy()
    assert len(managers(cluster)) == 3 and node not in managers(cluster)
    cluster.wait("nothing runs there", lambda: not cluster.processes(node))
    assert not [one for (on, _), one in cluster.disks().items() if on == node and one["pool"]]
    assert f"manager-{node}" not in str(cluster.ceph("mon", "dump"))
    story.goes_on()


def test_15_nobody_lost_anything(story: Story, cluster: CephCluster) -> None:
    story.writer.stop()
    story.ledger.close()
    cluster.run("volume", "detach", "data")
    cluster.run("volume", "attach", "data", "--node", story.node, "--mount", story.path)
    assert story.writer.lost(story.path) == []
    story.ledger.open(story.path)
    story.ledger.close()
    assert (story.path / "filling").stat().st_size == FILLING_BYTES
    cluster.run("down", "--destroy", "--yes")
    assert not cluster.folder.exists()
