"""A cluster that mends itself: full pools, failed disks and lost managers, on real processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from artesian.cli.outcome import ExitCode
from tests.cluster.cases import GIB, Cluster, unable_to_mount

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]

MIB = 1 << 20
SPEC = """
new_disks: take
new_nodes: take
default_rules: no
providers:
  - {name: files, kind: file, disk_size: 2GiB, lead_time: 1s}
budget: {disks_total: 6}
notify: [{command: "tee -a %told"}]
rules:
  - {name: expand, scope: pool, when: used_share > 30%, remedy: expand-pool, approval: %s, cooldown: 5s}
  - {name: replace, scope: device, when: failed and ours, remedy: replace-device, approval: automatic}
  - {name: manager, scope: manager, when: away_s > 3s and ours, remedy: replace-manager, approval: automatic}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.bring_up(4, "1GiB", SPEC.replace("%s", "ask").replace("%told", str(made.home / "told")))
        made.run("volume", "create", "data", "1GiB", "--node", "node-4", "--mount", made.mounts / "data")
        yield made


def fill(folder: Path, size_bytes: int) -> None:
    """With data that cannot be left out."""
    with (folder / "filling").open("ab") as file, open("/dev/urandom", "rb") as source:
        for _ in range(size_bytes // MIB):
            file.write(source.read(MIB))
        file.flush()


def test_nothing_is_wrong_at_first(cluster: Cluster) -> None:
    assert cluster.json("remedies", "list") == []
    assert {one["name"] for one in cluster.json("rules")} == {"expand", "replace", "manager"}


def test_a_pool_that_fills_up_asks_for_disks(cluster: Cluster) -> None:
    fill(cluster.mounts / "data", 550 * MIB)
    cluster.wait("a remedy", lambda: cluster.remedies("expand-pool"))
    (remedy,) = cluster.remedies("expand-pool")
    assert remedy["state"] == "asking"
    assert "pool default/default" in remedy["because"]
    dry = cluster.json("remedies", "dry-run", remedy["id"])
    assert len(dry["disks"]) >= 2 and not dry["held"]
    assert len(cluster.disks()) == 4
    told = cluster.home / "told"
    cluster.wait("word", lambda: told.exists() and remedy["id"] in told.read_text(), 10.0)
    why = cluster.json("why", "default/default")
    assert any(f"remedy {remedy['id']}" == one["from"] for one in why["reasons"])


def test_once_somebody_agrees_the_pool_grows_and_that_helps(cluster: Cluster) -> None:
    before = cluster.pool()["size_bytes"]
    (remedy,) = cluster.remedies("expand-pool")
    cluster.run("remedies", "approve", remedy["id"])
    cluster.wait("help", lambda: cluster.remedies("expand-pool")[0]["state"] == "helped", 60.0)
    assert cluster.pool()["size_bytes"] > before + 3 * GIB
    cluster.wait_healthy()
    said = cluster.run("audit", remedy["id"]).stdout
    assert "has agreed to expand-pool" in said and "has helped" in said
    assert "in use" in cluster.run("remedies", "show", remedy["id"]).stdout


def test_a_failed_disk_is_replaced_by_itself(cluster: Cluster) -> None:
    path = cluster.disk("node-1", "sdb")
    size = path.stat().st_size
    with path.open("r+b") as disk:  # it has lost everything, as it shows when its server begins anew
        disk.truncate(0)
        disk.truncate(size)
    os.kill(cluster.processes("node-1")["sds-node-1.default"], signal.SIGKILL)
    cluster.wait("a remedy", lambda: cluster.remedies("replace-device"), 60.0)
    cluster.wait("help", lambda: cluster.remedies("replace-device")[0]["state"] == "helped", 90.0)
    (part,) = cluster.remedies("replace-device")[0]["parts"]
    assert part["node"] == "node-1"
    cluster.wait("healed", lambda: not cluster.pool()["degraded_bytes"], 60.0)


def test_a_lost_manager_is_replaced_by_itself(cluster: Cluster) -> None:
    place = next(one["node"] for one in cluster.get("/status")["managers"] if not one["leads"])
    if place == "node-4":
        pytest.skip("the volume is mounted there")
    cluster.run("local", "off", place)
    cluster.wait(
        "help", lambda: any(one["state"] == "helped" for one in cluster.remedies("replace-manager")), 90.0
    )
    managers = cluster.get("/status")["managers"]
    assert len(managers) == 3 and all(one["healthy"] for one in managers)
    assert place not in {one["node"] for one in managers}
    cluster.run("local", "on", place)
    cluster.wait_healthy()


def test_a_rule_that_makes_no_sense_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("rules:\n  - {name: x, scope: pool, when: used_shore > 3, remedy: notify}\n")
    said = cluster.error(ExitCode.USAGE, "apply", "--spec", spec)
    assert "line 2" in said and "used_share" in said


def test_nobody_lost_anything(cluster: Cluster) -> None:
    assert (cluster.mounts / "data" / "filling").stat().st_size == 550 * MIB
