"""An engine that somebody has made already, with data in it, is used by a cluster of nodes that have none."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artesian.cli.outcome import ExitCode
from tests import commands
from tests.cluster.cases import ANY_CODE, Cluster, unable_to_mount, write_durably

pytestmark = pytest.mark.slow


class TheirEngine:
    """An engine on this machine that a cluster knows nothing of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str) -> Any:
        done = commands.run(["engine", *arguments, "--dir", self.folder, "--json"], 60.0)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def spec(self, **other: str) -> str:
        """What a user writes down to adopt it."""
        status = self.run("status")
        section = {
            "gateway": status["engine"]["gateway"],
            "managers": [one["address"] for one in status["managers"]],
            "password_file": status["engine"]["password_file"],
            "secret_file": status["engine"]["secret_file"],
            "certificate": status["engine"]["certificate"],
            **other,
        }
        return json.dumps({"engine": section, "new_disks": "take", "new_nodes": "take"})  # JSON is YAML


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TheirEngine]:
    made = TheirEngine(Path(tempfile.mkdtemp(prefix="e", dir="/tmp")))
    try:
        made.run("up", "--disk-size", "2GiB")
        made.run("volume", "create", "ledger", "1GiB")
        yield made
    finally:
        commands.run(["engine", "down", "--dir", made.folder], 60.0)
        shutil.rmtree(made.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        yield made


def give(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_wrong_password_is_said_and_nothing_is_made(
    theirs: TheirEngine, cluster: Cluster, tmp_path: Path
) -> None:
    wrong = give(tmp_path / "password", "wrong\n")
    spec = give(tmp_path / "spec.yaml", theirs.spec(password_file=str(wrong)))
    bare = ("--nodes", "3", "--disks-per-node", "1", "--disk-size", "2GiB")
    cluster.run("up", *bare, "--spec", spec, "--timeout", "5", code=ANY_CODE)
    plan = cluster.json("plan")
    assert any("refuses user admin" in note for note in plan["notes"]), plan
    assert cluster.get("/status")["engine"] is None


def test_a_wrong_secret_is_said_and_nothing_is_put_into_the_engine(
    theirs: TheirEngine, cluster: Cluster, tmp_path: Path
) -> None:
    wrong = give(tmp_path / "secret", "ab" * 32)
    spec = give(tmp_path / "spec.yaml", theirs.spec(secret_file=str(wrong)))
    cluster.run("apply", "--spec", spec, "--timeout", "10", code=ANY_CODE)
    cluster.wait("refusal", lambda: "answers to the secret" in cluster.get("/status")["verdict"])
    assert len(theirs.run("status")["servers"]) == 3


def test_nodes_join_the_engine_that_is_there(theirs: TheirEngine, cluster: Cluster, tmp_path: Path) -> None:
    spec = give(tmp_path / "spec.yaml", theirs.spec())
    cluster.run("apply", "--spec", spec, "--yes")
    cluster.wait_healthy()
    status = theirs.run("status")
    assert len(status["servers"]) == 6
    assert {one["name"] for one in status["volumes"]} == {"ledger"}
    assert cluster.get("/status")["engine"]["system_id"] == status["engine"]["system_id"]
    assert "mdm" not in "".join(cluster.processes("node-1"))


def test_nothing_is_ended_while_others_data_is_on_these_nodes(cluster: Cluster) -> None:
    assert "artesian node remove node-1" in cluster.error(ExitCode.IN_THE_WAY, "down")
    assert "artesian node remove node-1" in cluster.error(ExitCode.IN_THE_WAY, "down", "--destroy", "--yes")


def test_the_engine_cannot_be_left_out_of_the_spec(cluster: Cluster, tmp_path: Path) -> None:
    spec = give(tmp_path / "spec.yaml", "new_disks: take\n")
    assert "does not name it any more" in cluster.error(ExitCode.IN_THE_WAY, "apply", "--spec", spec)


@pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount()))
def test_its_volumes_are_adopted_one_by_one_and_used_here(cluster: Cluster) -> None:
    assert "are ledger" in cluster.error(ExitCode.NOT_THERE, "volume", "adopt", "nothing")
    cluster.run("volume", "adopt", "ledger")
    cluster.run("volume", "attach", "ledger", "--node", "node-2", "--mount", cluster.mounts / "ledger")
    write_durably(cluster.mounts / "ledger" / "page", "kept")
    cluster.run("volume", "attach", "ledger", "--node", "node-3", "--mount", cluster.mounts / "ledger")
    assert (cluster.mounts / "ledger" / "page").read_text() == "kept"
    cluster.run("volume", "detach", "ledger")


def test_the_scheduler_finds_it_again(theirs: TheirEngine, cluster: Cluster) -> None:
    cluster.kill_scheduler()
    cluster.run("up", "--yes")
    cluster.wait_healthy()


def test_nodes_leave_and_the_engine_stays_with_all_that_was_in_it(
    theirs: TheirEngine, cluster: Cluster
) -> None:
    for node in cluster.nodes():
        cluster.run("node", "remove", node)
    cluster.wait("nodes have left", lambda: len(theirs.run("status")["servers"]) == 3, 60.0)
    cluster.wait_healthy()
    cluster.run("down", "--destroy", "--yes")
    status = theirs.run("status")
    assert {one["name"] for one in status["volumes"]} == {"ledger"}
    assert all(one["connected"] for one in status["servers"])
    assert not any(pool["degraded_slices"] or pool["unavailable_slices"] for pool in status["pools"])
