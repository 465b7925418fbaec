"""How long the framework takes from bare nodes to a mounted volume, and what it costs when idle."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from bench.figures import Figure
from bench.footprint import resident_mb
from demo.cluster import Cluster

_IDLE_NODES = 16


def measure(quick: bool) -> list[Figure]:
    """On real processes."""
    folder = Path(tempfile.mkdtemp(prefix="abench-"))
    try:
        return [*_deploy(folder), *_idle(folder, 10.0 if quick else 30.0)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _deploy(folder: Path) -> list[Figure]:
    cluster = Cluster(folder / "c")
    began = time.monotonic()
    try:
        cluster.run("up", "--nodes", "3", "--yes")
        storage_s = time.monotonic() - began
        cluster.run("volume", "create", "data", "2GiB", "--node", "node-1", "--mount", str(folder / "m"))
        mounted_s = time.monotonic() - began
    finally:
        cluster.down(destroy=True)
    return [
        Figure("three bare nodes to storage", storage_s, "s"),
        Figure("three bare nodes to the first mounted volume", mounted_s, "s", None, 10, True),
    ]


def _idle(folder: Path, during_s: float) -> list[Figure]:
    cluster = Cluster(folder / "d")
    try:
        cluster.run(
            "up", "--nodes", str(_IDLE_NODES), "--disks-per-node", "1", "--disk-size", "1GiB", "--yes"
        )
        cluster.wait_healthy()
        scheduler = _process_id(cluster.folder / "scheduler" / "scheduler.pid")
        agent = _process_id(cluster.folder / "nodes" / "node-1" / "agent" / "agent.pid")
        before = _cpu_s(scheduler), _cpu_s(agent)
        time.sleep(during_s)
        scheduler_share = (_cpu_s(scheduler) - before[0]) / during_s
        agent_share = (_cpu_s(agent) - before[1]) / during_s
        return [
            Figure(
                f"idle scheduler, {_IDLE_NODES} nodes", 100 * scheduler_share, "% of a core", None, 1, True
            ),
            Figure("idle agent", 100 * agent_share, "% of a core"),
            Figure("an agent", resident_mb(agent), "MB", None, 60, True),
            Figure("the scheduler", resident_mb(scheduler), "MB"),
        ]
    finally:
        cluster.down(destroy=True)


def _process_id(file: Path) -> int:
    return int(json.loads(file.read_bytes())["process_id"])


def _cpu_s(process_id: int) -> float:
    text = Path(f"/proc/{process_id}/stat").read_text()
    fields = text[text.rindex(")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
