"""How soon faults are noticed, decided about and mended on a real cluster: the product's own drills."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from bench.figures import Figure
from demo.cluster import Cluster

_DRILLS = ("kill-server", "kill-manager", "cut-off-node", "fail-disk", "fill-pool")
_QUICK = ("kill-server", "fail-disk")
_SPEC = """
default_rules: no
providers:
  - {name: files, kind: file, disk_size: 1GiB, lead_time: 1s}
budget: {disks_total: 8}
rules:
  - {name: expand, scope: pool, when: used_share > 40%, remedy: expand-pool, approval: automatic,
     cooldown: 1s}
  - {name: replace, scope: device, when: failed and ours, remedy: replace-device, approval: automatic,
     cooldown: 1s}
"""


def measure(quick: bool) -> list[Figure]:
    """One drill after the other on four nodes; times are since the fault was there."""
    folder = Path(tempfile.mkdtemp(prefix="adrills-"))
    cluster = Cluster(folder / "c")
    spec = folder / "spec.yaml"
    spec.write_text(_SPEC)
    figures: list[Figure] = []
    try:
        cluster.run(
            "up", "--nodes", "4", "--disks-per-node", "1", "--disk-size", "1GiB", "--spec", str(spec), "--yes"
        )
        for name in _QUICK if quick else _DRILLS:
            cluster.wait_healthy()
            figures += _figures(name, cluster.run("drill", "run", name))
    finally:
        cluster.down(destroy=True)
        shutil.rmtree(folder, ignore_errors=True)
    return figures


def _figures(name: str, drill: Any) -> list[Figure]:
    moments: dict[str, float] = drill["times"]
    since = moments["provoked"]
    found = [
        Figure(f"{name}: {moment}", max(0.0, moments[moment] - since), "s")
        for moment in ("detected", "decided", "acted", "healed")
        if moment in moments
    ]
    return [*found, Figure(f"{name}: longest pause of its writer", drill["pause_s"], "s")]
