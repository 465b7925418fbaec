"""How soon a pool that has become too full has more room: by a rule, a remedy, and a provider of disks.

Of `ebs` the cloud's own time is measured in the same run, and what we add to it is a figure of its own.
"""

from __future__ import annotations

import logging
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from artesian.cli.cluster.access import Api
from artesian.clusters.local import LocalCluster
from bench.figures import Figure
from bench.slow_ec2 import SlowEc2
from demo.cluster import Cluster
from tests.providers.ebs_bridge import EbsBridge
from tests.providers.ec2 import ENVIRONMENT, REGION

MIB = 1 << 20
# When the rule fires, and how full the pool is before and after. Far below the half at which the fullest
# device counts: new room would not until data has moved there.
_SHARE, _BEFORE, _AFTER = 0.25, 0.235, 0.265
_TIMEOUT_S = 120.0
_SPEC = """
new_disks: ask
new_nodes: take
default_rules: no
providers:
  - {{disk_size: 2GiB, lead_time: 5s, {provider}}}
budget: {{disks_total: 24}}
rules:
  - {{name: expand, scope: pool, when: used_share > {share:.0%}, remedy: expand-pool, approval: automatic,
     cooldown: 1s, parameters: {{disks: 2}}}}
"""


def measure(quick: bool) -> list[Figure]:
    """Three bare nodes each time, that write until their pool is too full; two disks are got then."""
    rounds = 1 if quick else 3
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # moto's server names every call
    files = [_round("kind: file") for _ in range(rounds)]
    with _amazon() as (ec2, provider):
        amazon = [_round(provider, ec2) for _ in range(rounds)]
        theirs = [ec2.busy_s(began, ended) for began, ended in amazon]
    took = [ended - began for began, ended in amazon]
    ours = [all_s - cloud_s for all_s, cloud_s in zip(took, theirs, strict=True)]
    median = statistics.median
    return [
        Figure("too full to more room, disks of files", median(b - a for a, b in files), "s", None, 10, True),
        Figure("too full to more room, EBS volumes", median(took), "s"),
        Figure("of that the cloud's own calls and volumes", median(theirs), "s"),
        Figure("of that ours", median(ours), "s", None, 5, True),
    ]


@contextmanager
def _amazon() -> Iterator[tuple[SlowEc2, str]]:
    """A slow EC2, what a spec says of it, and an environment with credentials for it."""
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    ec2 = SlowEc2()
    try:
        yield ec2, f"kind: ebs, region: {REGION}, endpoint_url: '{ec2.url}'"
    finally:
        ec2.stop()
        os.environ.clear()
        os.environ.update(before)


class _Filled:
    """A cluster with a volume that is written to."""

    def __init__(self, cluster: Cluster, file: Path) -> None:
        self.cluster = cluster
        self.api = Api(cluster.folder)
        self._file = file

    def pool(self) -> Any:
        return self.api.get("/pools")[0]

    def write(self, share: float) -> None:
        """So much that the pool is so full; it is on stable storage then."""
        pool = self.pool()
        missing = (share * pool["capacity_bytes"] - pool["used_bytes"]) / 2
        with self._file.open("ab") as file:
            for _ in range(max(1, round(missing / MIB))):
                file.write(os.urandom(MIB))
            file.flush()
            os.fsync(file.fileno())

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        """Raises TimeoutError."""
        deadline = time.monotonic() + _TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not in time; {self.pool()}")
            time.sleep(0.05)

    def is_at_rest(self) -> bool:
        status = self.api.get("/status")
        settled = all(pool["is_settled"] for pool in status["pools"])
        return bool(status["healthy"]) and settled and not status["remedies"]


@contextmanager
def _cluster(provider: str, ec2: SlowEc2 | None = None) -> Iterator[_Filled]:
    folder = Path(tempfile.mkdtemp(prefix="aremedy-"))
    cluster = Cluster(folder / "c")
    spec = folder / "spec.yaml"
    spec.write_text(_SPEC.format(provider=provider, share=_SHARE))
    try:
        with ExitStack() as stack:
            cluster.run("up", "--nodes", "3", "--disks-per-node", "1", "--disk-size", "2GiB", "--yes")
            if ec2 is not None:
                bridge = EbsBridge(ec2, LocalCluster(cluster.folder))
                for node in ("node-1", "node-2", "node-3"):
                    bridge.join(node)
                stack.enter_context(bridge.following())
            cluster.run("apply", "--spec", str(spec), "--yes")
            mounted = folder / "m"
            cluster.run("volume", "create", "data", "3GiB", "--node", "node-1", "--mount", str(mounted))
            cluster.wait_healthy()
            yield _Filled(cluster, mounted / "filling")
    finally:
        cluster.run("down", "--destroy", "--discard", "--yes")
        shutil.rmtree(folder, ignore_errors=True)


def _round(provider: str, ec2: SlowEc2 | None = None) -> tuple[float, float]:
    """When the write began that made the pool too full, and when the room of both new disks could be used."""
    with _cluster(provider, ec2) as filled:
        return _expanded(filled)


def _expanded(filled: _Filled) -> tuple[float, float]:
    for share in (_BEFORE / 2, _BEFORE):  # a new file system writes a little of its own, too
        filled.wait("at rest", filled.is_at_rest)
        filled.write(share)
        filled.wait(
            "what was written is seen", lambda share=share: filled.pool()["used_share"] > share - 0.02
        )
    filled.wait("at rest", filled.is_at_rest)
    before = filled.pool()
    if filled.api.get("/remedies"):
        raise RuntimeError(f"a remedy was raised too early, at {before['used_share']:.0%}")
    began = time.monotonic()
    filled.write(_AFTER)

    def has_more() -> bool:
        pool = filled.pool()
        more_bytes = pool["capacity_bytes"] - before["capacity_bytes"]
        return pool["devices"] == before["devices"] + 2 and more_bytes > 0

    filled.wait("more room", has_more)
    return began, time.monotonic()
