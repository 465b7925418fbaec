"""The life of a local cluster, chapter by chapter: each test goes on where the one before has ended."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from artesian.cli.outcome import ExitCode
from artesian.clusters.local import LocalCluster
from tests.cluster.cases import ANY_CODE, GIB, Cluster, unable_to_mount, write_durably

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("in_order")]

FOREIGN = ("node-3", "sdd")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    reason = unable_to_mount()
    if reason:
        pytest.skip(f"no volume can be mounted on this machine: {reason}")
    with Cluster() as made:
        local = LocalCluster(made.folder)
        local.create()
        for number in (1, 2, 3):
            local.add_node(f"node-{number}")
            for _ in range(2):
                local.add_disk(f"node-{number}", GIB)
        foreign = local.add_disk(*FOREIGN[:1], GIB, FOREIGN[1])
        subprocess.run(["mkfs.ext4", "-q", "-F", str(foreign)], check=True, stdin=subprocess.DEVNULL)
        yield made


@pytest.fixture(scope="module")
def foreign(cluster: Cluster) -> str:
    """What is on the disk of somebody else before anything of ours runs."""
    return digest(cluster.disk(*FOREIGN))


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_01_nothing_is_taken_without_consent(cluster: Cluster, foreign: str) -> None:
    done = cluster.run("up", code=ExitCode.NEEDS_APPROVAL)
    plan_id = cluster.get("/plan")["id"]
    assert f"artesian apply --approve {plan_id}" in done.stderr
    verdicts = {key: one["verdict"] for key, one in cluster.disks().items()}
    assert verdicts.pop(FOREIGN) == "refused"
    assert set(verdicts.values()) == {"free"}
    for node, name in verdicts:
        assert cluster.disk(node, name).stat().st_blocks == 0
    assert all(node["roles"] == [] and not node["processes"] for node in cluster.get("/nodes"))


def test_02_another_plan_than_the_present_one_is_not_carried_out(cluster: Cluster) -> None:
    plan_id = cluster.get("/plan")["id"]
    said = cluster.error(ExitCode.IN_THE_WAY, "apply", "--approve", "0123456789ab")
    assert f"it is {plan_id}" in said
    assert cluster.disk("node-1", "sdb").stat().st_blocks == 0


def test_03_an_approved_plan_makes_storage(cluster: Cluster) -> None:
    cluster.run("apply", "--approve", cluster.get("/plan")["id"])
    cluster.wait_healthy()
    disks = cluster.disks()
    foreign = disks.pop(FOREIGN)
    assert (foreign["verdict"], foreign["pool"]) == ("refused", None)
    assert "ext4" in foreign["because"]
    assert {(one["verdict"], one["device"]) for one in disks.values()} == {("claimed", "in use")}
    assert cluster.json("plan")["steps"] == []


def test_04_a_second_scheduler_is_refused(cluster: Cluster) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "artesian.api", str(cluster.folder)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode == 1
    assert "another scheduler leads" in second.stderr
    assert cluster.get("/status")["healthy"]


def test_05_a_volume_is_made_and_mounted(cluster: Cluster) -> None:
    path = cluster.mounts / "data"
    answer = cluster.json("volume", "create", "data", "1GiB", "--node", "node-1", "--mount", path)
    assert (answer["ready"], answer["node"], answer["mounted_at"]) == (True, "node-1", str(path))
    write_durably(path / "file", "written on node-1")
    said = cluster.error(ExitCode.REFUSED, "volume", "snapshot", "data", "monday")
    assert "this engine has no snapshots of volumes" in said
    assert cluster.json("volume", "snapshots") == []


def test_06_a_scheduler_that_is_killed_goes_on_where_it_was(cluster: Cluster) -> None:
    cluster.run("volume", "grow", "data", "2GiB", "--no-wait")
    cluster.run("volume", "create", "other", "1GiB", "--no-wait")
    cluster.kill_scheduler()
    said = cluster.error(ExitCode.NOT_RUNNING, "status")
    assert "start it with: artesian up" in said
    (cluster.mounts / "data" / "meanwhile").write_text("storage needs no scheduler")
    cluster.run("up")
    volumes = {one["name"]: one for one in cluster.get("/volumes")}
    assert (volumes["data"]["size_bytes"], volumes["data"]["ready"]) == (2 * GIB, True)
    assert volumes["other"]["ready"]
    cluster.run("volume", "delete", "other", "--yes")
    cluster.wait_healthy()


def test_07_agents_that_are_killed_come_back_and_adopt_what_runs(cluster: Cluster) -> None:
    agents = {name: cluster.agent(name) for name in cluster.nodes()}
    before = {name: cluster.processes(name) for name in cluster.nodes()}
    for name in cluster.nodes():
        cluster.kill_agent(name)
    path = cluster.mounts / "data" / "meanwhile"
    write_durably(path, "storage needs no agent")
    cluster.wait("agents", lambda: all(cluster.agent(name) != old for name, old in agents.items()))
    cluster.wait_healthy()
    assert {name: cluster.processes(name) for name in cluster.nodes()} == before
    assert path.read_text() == "storage needs no agent"
    (volume,) = cluster.get("/volumes")
    assert volume["mounted_at"] == str(cluster.mounts / "data")


def test_08_a_volume_goes_on_elsewhere_when_its_node_loses_power(cluster: Cluster) -> None:
    write_durably(cluster.mounts / "data" / "file", "fsynced on node-1")
    assert cluster.json("local", "off", "node-1")["killed"] >= 4
    cluster.wait("node-1 gone", lambda: cluster.node("node-1")["state"] == "gone")
    path = cluster.mounts / "elsewhere"
    cluster.run("volume", "attach", "data", "--node", "node-2", "--mount", path)
    assert (path / "file").read_text() == "fsynced on node-1"
    write_durably(path / "second", "written on node-2, on one copy or two")


def test_09_a_node_that_has_power_again_is_used_again(cluster: Cluster) -> None:
    assert cluster.json("local", "on", "node-1")["was_off"]
    cluster.wait_healthy()
    assert cluster.node("node-1")["state"] == "alive"
    assert not cluster.node("node-1")["attachments"]


def test_10_a_new_machine_is_shown_approved_and_used(cluster: Cluster) -> None:
    cluster.run("local", "add", "node-4", "--disk-size", "1GiB")
    cluster.wait("the plan", lambda: len(cluster.get("/plan")["steps"]) >= 5)
    plan = cluster.json("plan")
    assert all("node-4" in str(step["arguments"]) for step in plan["steps"])
    assert cluster.disk("node-4", "sdb").stat().st_blocks == 0
    cluster.run("apply", "--approve", plan["id"])
    cluster.wait_healthy()
    assert "server of default" in cluster.node("node-4")["roles"]
    assert cluster.disks()["node-4", "sdb"]["device"] == "in use"


def test_11_a_removed_disk_gives_its_data_away_and_stays_removed(cluster: Cluster) -> None:
    cluster.run("disk", "remove", "node-2", "sdb")
    cluster.wait("it is seen to have left", lambda: cluster.disks()["node-2", "sdb"]["device"] is None)
    disk = cluster.disks()["node-2", "sdb"]
    assert (disk["verdict"], disk["pool"]) == ("refused", None)
    assert "does not come back by itself" in disk["because"]
    cluster.wait_healthy()
    assert cluster.get("/plan")["steps"] == []
    assert (cluster.mounts / "elsewhere" / "file").read_text() == "fsynced on node-1"


def test_12_down_refuses_while_a_mount_is_busy(cluster: Cluster) -> None:
    path = cluster.mounts / "elsewhere"
    with subprocess.Popen(["sleep", "60"], cwd=path) as user:
        try:
            said = cluster.error(ExitCode.IN_THE_WAY, "down", "--timeout", "3")
        finally:
            user.kill()
    assert "nothing was stopped" in said
    assert str(user.pid) in said
    cluster.wait_healthy()
    write_durably(path / "after", "still writable")


def test_13_what_was_written_survives_down_and_up(cluster: Cluster) -> None:
    receipt = cluster.json("down")["receipt"]
    assert f"detached node-2 at {cluster.mounts / 'elsewhere'}" in receipt
    assert "stopped the scheduler" in receipt
    assert not (cluster.mounts / "elsewhere" / "file").exists()
    cluster.run("up")
    cluster.wait_healthy()
    path = cluster.mounts / "elsewhere"
    assert (path / "file").read_text() == "fsynced on node-1"
    assert (path / "after").read_text() == "still writable"


def test_14_a_removed_node_gives_its_data_away(cluster: Cluster) -> None:
    cluster.run("node", "remove", "node-4", "--no-wait")
    cluster.wait("no server", lambda: "server of default" not in cluster.node("node-4")["roles"])
    assert (cluster.mounts / "elsewhere" / "file").read_text() == "fsynced on node-1"
    assert not any(one["pool"] for (node, _), one in cluster.disks().items() if node == "node-4")
    cluster.wait("no client", lambda: not cluster.node("node-4")["roles"], timeout_s=20)


def test_15_the_disk_of_somebody_else_was_never_touched(cluster: Cluster, foreign: str) -> None:
    assert digest(cluster.disk(*FOREIGN)) == foreign


def test_16_down_also_ends_everything_after_its_scheduler_has_died(cluster: Cluster) -> None:
    cluster.wait("node-1 alive", lambda: cluster.node("node-1")["state"] == "alive")
    running = cluster.processes("node-1")
    assert running
    cluster.kill_scheduler()
    done = cluster.run("down", code=ANY_CODE)
    left = [name for name, process_id in running.items() if Path(f"/proc/{process_id}").exists()]
    assert (left, done.returncode) == ([], 0), done.stderr


def test_17_without_its_store_nothing_is_formatted(cluster: Cluster) -> None:
    if (cluster.folder / "scheduler" / "api.json").exists():
        cluster.run("down")
    kept = cluster.home / "kept"
    kept.mkdir()
    for path in (cluster.folder / "scheduler").glob("store.sqlite*"):
        shutil.move(path, kept / path.name)
    label = cluster.disk("node-1", "sdb").read_bytes()[: 1 << 20]
    cluster.run("up", "--yes")
    status = cluster.get("/status")
    assert status["engine"] is None
    reasons = [one["because"] for one in status["held"]]
    assert any("belongs to engine" in one and "bring its store back" in one for one in reasons), reasons
    assert cluster.disk("node-1", "sdb").read_bytes()[: 1 << 20] == label
    verdicts = {one["verdict"] for one in cluster.disks().values()}
    assert "claimed" not in verdicts
    cluster.run("down")
    for path in (cluster.folder / "scheduler").glob("store.sqlite*"):
        path.unlink()
    for path in kept.iterdir():
        shutil.move(path, cluster.folder / "scheduler" / path.name)


def test_18_with_its_store_everything_is_there_again(cluster: Cluster) -> None:
    cluster.disk("node-3", "sdb").rename(cluster.disk("node-3", "sdz"))
    cluster.run("up", "--timeout", "8", code=ANY_CODE)
    cluster.wait("the mount", (cluster.mounts / "elsewhere" / "file").exists)
    assert (cluster.mounts / "elsewhere" / "file").read_text() == "fsynced on node-1"
    assert (cluster.mounts / "elsewhere" / "after").read_text() == "still writable"


def test_19_a_disk_with_a_new_name_is_the_same_disk(cluster: Cluster) -> None:
    renamed = cluster.disks()["node-3", "sdz"]
    assert renamed["verdict"] == "claimed"
    assert "as " in renamed["because"] and f"is called {renamed['path']} now" in renamed["because"]
    assert ("node-3", "sdb") not in cluster.disks()
    cluster.wait("in use", lambda: cluster.disks()["node-3", "sdz"]["device"] == "in use", timeout_s=20)


def test_20_destroying_needs_consent_and_leaves_nothing(cluster: Cluster) -> None:
    cluster.error(ExitCode.REFUSED, "down", "--destroy")
    cluster.run("down", "--destroy", "--yes")
    assert not cluster.folder.exists()
    assert str(cluster.folder) not in Path("/proc/self/mounts").read_text()
