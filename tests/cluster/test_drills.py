"""Drills on a live cluster: real faults on real processes, and nothing is left of them afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artesian.cli.outcome import ExitCode
from tests.cluster.cases import Cluster, unable_to_mount
from tests.cluster.drilling import nothing_is_left, run_drill

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]

SPEC = """
new_disks: take
new_nodes: take
default_rules: no
providers:
  - {name: files, kind: file, disk_size: 1GiB, lead_time: 1s}
budget: {disks_total: 4}
rules:
  - {name: expand, scope: pool, when: used_share > 15%, remedy: expand-pool, approval: ask, cooldown: 1s}
  - {name: replace, scope: device, when: failed and ours, remedy: replace-device, approval: %s, cooldown: 1s}
"""
KEPT = "written before any drill"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.run(
            *("up", "--nodes", "4", "--disks-per-node", "1", "--disk-size", "1GiB"),
            *("--spec", spec(made, "ask"), "--yes"),
        )
        made.wait_healthy()
        made.run("volume", "create", "data", "1GiB", "--node", "node-3", "--mount", made.mounts / "data")
        (made.mounts / "data" / "kept").write_text(KEPT)
        made.wait_healthy()
        yield made


def spec(cluster: Cluster, replacing: str) -> Path:
    path = cluster.home / f"{replacing}.yaml"
    path.write_text(SPEC.replace("%s", replacing))
    return path


def took_s(report: dict[str, Any], moment: str) -> float:
    return float(report["times"][moment] - report["times"]["provoked"])


def test_a_dry_run_does_nothing(cluster: Cluster) -> None:
    planned = cluster.json("drill", "run", "cut-off-node", "--dry-run")
    assert planned["node"] != "node-3"  # somebody's volume is in use there
    assert planned["writer_node"] != planned["node"]
    assert cluster.get("/drills")["drills"] == []
    kinds = {one["name"]: one["not_possible"] for one in cluster.json("drill", "list")["kinds"]}
    assert len(kinds) == 7 and set(kinds.values()) == {None}


def test_a_node_with_somebodys_volume_is_not_hit_unless_that_is_asked_for(cluster: Cluster) -> None:
    said = cluster.error(ExitCode.IN_THE_WAY, "drill", "run", "cut-off-node", "--node", "node-3")
    assert "volume data is in use on node node-3" in said and "--disturb" in said


def test_servers_that_are_killed_come_back(cluster: Cluster) -> None:
    before = {node: cluster.processes(node) for node in cluster.nodes()}
    report = run_drill(cluster, "kill-server", "--hold", "6s")
    node = report["node"]
    name = f"sds-{node}.default"
    assert cluster.processes(node)[name] != before[node][name]
    assert 5 < took_s(report, "over") <= took_s(report, "healed") < 60
    assert 0 <= took_s(report, "detected") < 6


def test_a_manager_that_is_killed_comes_back(cluster: Cluster) -> None:
    before = {node: cluster.processes(node) for node in cluster.nodes()}
    report = run_drill(cluster, "kill-manager", "--hold", "6s")
    node = report["node"]
    assert cluster.processes(node)[f"mdm-{node}"] != before[node][f"mdm-{node}"]
    assert took_s(report, "detected") < 6 < took_s(report, "over") + 1


def test_a_disk_that_fails_raises_a_remedy_that_asks_and_is_put_back(cluster: Cluster) -> None:
    before = set(cluster.disks())
    report = run_drill(cluster, "fail-disk")
    assert [(one["kind"], one["rule"]) for one in report["remedies"]] == [("replace-device", "replace")]
    assert "asked in time" in report["verdict"]
    assert set(cluster.disks()) == before
    assert cluster.disks()[(report["node"], "sdb")]["pool"] == "default/default"


def test_a_disk_that_fails_is_replaced_if_nobody_has_to_agree(cluster: Cluster) -> None:
    cluster.run("apply", "--spec", spec(cluster, "automatic"), "--yes")
    report = run_drill(cluster, "fail-disk")
    assert [one["state"] for one in report["remedies"]] == ["helped"]
    name = (report["node"], "sdb")
    cluster.wait("it is back", lambda: name in cluster.disks(), 10.0)  # its agent looks every two seconds
    assert cluster.disks()[name]["pool"] is None  # and stays out


def test_a_node_that_is_cut_off_is_missed_and_comes_back(cluster: Cluster) -> None:
    report = run_drill(cluster, "cut-off-node", "--hold", "16s")
    told = [one["because"] for one in cluster.get(f"/drills/{report['id']}")["events"]]
    assert 15 < took_s(report, "over") < 30
    assert took_s(report, "detected") < 16
    assert len(told) == len(set(told)) == 6


def test_a_pool_is_filled_until_a_rule_notices_and_is_empty_again(cluster: Cluster) -> None:
    report = run_drill(cluster, "fill-pool")
    assert [(one["kind"], one["rule"]) for one in report["remedies"]] == [("expand-pool", "expand")]
    assert report["amount_bytes"] > 100 << 20
    cluster.wait("empty", lambda: cluster.get("/pools")[0]["used_bytes"] < report["amount_bytes"], 60.0)


def test_another_scheduler_goes_on_with_the_drill_that_killed_it(cluster: Cluster) -> None:
    before = json.loads((cluster.folder / "scheduler" / "scheduler.pid").read_text())["process_id"]
    run_drill(cluster, "kill-scheduler")
    after = json.loads((cluster.folder / "scheduler" / "scheduler.pid").read_text())["process_id"]
    assert before != after


def test_a_provider_that_hangs_holds_nobody_up(cluster: Cluster) -> None:
    report = run_drill(cluster, "stall-provider", "--hold", "5s")
    assert took_s(report, "over") >= 4
    assert report["pause_s"] < 5


def test_a_drill_is_ended_and_undone_whoever_is_killed_meanwhile(cluster: Cluster) -> None:
    cluster.wait_calm()
    begun = cluster.json("drill", "run", "kill-server", "--hold", "100s", "--no-wait")
    said = cluster.error(ExitCode.IN_THE_WAY, "drill", "run", "kill-manager")
    assert f"drill {begun['id']}" in said
    cluster.wait("the fault", lambda: cluster.get("/drills/last")["state"] == "watching")
    node = begun["node"]
    name = f"sds-{node}.default"
    cluster.wait("it is down", lambda: not running(cluster, node, name))
    cluster.kill_agent(node)
    cluster.kill_scheduler()
    cluster.run("up", "--yes", "--timeout", "1", code=-1)
    time.sleep(2.0)
    assert cluster.get("/drills/last")["state"] == "watching" and not running(cluster, node, name)
    cluster.run("drill", "abort")
    cluster.wait("it is over", lambda: not cluster.get("/drills/last")["open"], 60.0)
    assert cluster.get("/drills/last")["state"] == "aborted"
    assert running(cluster, node, name)
    nothing_is_left(cluster)
    said = cluster.run("audit", begun["id"]).stdout
    assert "ends kill-server" in said


def running(cluster: Cluster, node: str, name: str) -> bool:
    return any(one["running"] for one in cluster.node(node)["processes"] if one["name"] == name)


def test_the_schedule_begins_drills_by_itself_and_says_why_it_waits(cluster: Cluster) -> None:
    text = spec(cluster, "automatic").read_text()
    scheduled = cluster.home / "scheduled.yaml"
    scheduled.write_text(f"{text}drills:\n  - {{name: kill-manager, every: 7d, hold: 0s}}\n")
    cluster.run("pause")
    cluster.run("apply", "--spec", scheduled, "--yes", code=-1)
    cluster.wait("a word", lambda: "kill-manager is due and waits" in cluster.run("audit").stdout, 30.0)
    cluster.run("resume")
    cluster.wait("it ran", lambda: cluster.get("/drills/last")["schedule"] == "kill-manager", 30.0)
    cluster.wait("it is over", lambda: not cluster.get("/drills/last")["open"], 60.0)
    assert cluster.get("/drills/last")["state"] == "passed"


def test_nobody_lost_anything(cluster: Cluster) -> None:
    assert (cluster.mounts / "data" / "kept").read_text() == KEPT
    cluster.wait_healthy()
