"""Drills on a live cluster: they have to pass, and to leave nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.cluster.cases import Cluster

_LIMIT_S = 150.0
_NOT_CALM = "no drill while something is wrong"
_FOLDERS = ("nodes/*/agent/drills/*", "nodes/*/agent/mounts/*")


def run_drill(cluster: Cluster, *arguments: str) -> dict[str, Any]:
    """To its end; its report. There is one volume beside its own: data."""
    end = time.monotonic() + _LIMIT_S
    while True:  # what is calm now need not be when the drill is to begin
        cluster.wait_calm()
        done = _run(cluster, *arguments)
        if _NOT_CALM not in done.stdout + done.stderr or time.monotonic() > end:
            break
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["state"] == "passed", report["verdict"]
    assert report["acknowledged"] == report["verified"] > 20
    nothing_is_left(cluster)
    return report


def _run(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    end = ("--json", "--dir", str(cluster.folder))
    return subprocess.run(
        [sys.executable, "-m", "artesian.cli.main", "drill", "run", *arguments, *end],
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
    )


def nothing_is_left(cluster: Cluster) -> None:
    """Of any drill: no volume, fault, folder, hidden disk, or process that does not run."""
    assert [one["name"] for one in cluster.get("/volumes")] == ["data"]
    for node in cluster.nodes():
        agent = cluster.folder / "nodes" / node / "agent"
        assert list(agent.glob("faults/*")) == []
        assert list((cluster.folder / "nodes" / node / "dev").glob(".*")) == []
        assert [one["name"] for one in cluster.node(node)["processes"] if not one["running"]] == []
    cluster.wait("all folders are gone", lambda: not _folders(cluster))


def _folders(cluster: Cluster) -> list[Path]:
    return [found for pattern in _FOLDERS for found in cluster.folder.glob(pattern)]
