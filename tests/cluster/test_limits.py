"""A volume with a limit: it is limited, a rule raises the limit when it is used up, and then it is faster."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artesian.cli.outcome import ExitCode
from tests.cluster.cases import Cluster, unable_to_mount
from tests.embedded.sdc.nbd_rate import nbd_rate

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]

LIMIT, HIGHER = 60, 150  # far below what any machine does
SPEC = """
new_disks: take
new_nodes: take
rules:
  - {name: busy, when: limited_share > 90%, for: 3s, remedy: change-limit, things: [busy],
     parameters: {by: 150%, at_most: 150}, approval: automatic}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.bring_up(3, "2GiB", SPEC)
        yield made


def rate(cluster: Cluster, node: str, name: str, seconds: float = 1.0) -> float:
    """Requests a second that a volume does on a node, asked as fast as it takes them."""
    (socket,) = (cluster.folder / "nodes" / node).rglob("nbd.sock")
    return nbd_rate(Path(socket), name, seconds)


def shown(cluster: Cluster, name: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.json("volume", "show", name)
    return found


def test_a_limit_holds_is_changed_travels_and_is_taken_away(cluster: Cluster) -> None:
    cluster.run("volume", "create", "data", "1GiB", "--node", "node-1", "--iops", str(LIMIT))
    assert f"at most {LIMIT} requests a second" in cluster.run("volume", "show", "data").stdout
    assert rate(cluster, "node-1", "data") == pytest.approx(LIMIT, rel=0.25)
    cluster.run("volume", "limit", "data", "--iops", str(HIGHER), "--bandwidth", "100MiB")
    assert rate(cluster, "node-1", "data") == pytest.approx(HIGHER, rel=0.25)
    assert shown(cluster, "data")["limit_bandwidth_bytes_per_s"] == 100 << 20
    cluster.run("volume", "attach", "data", "--node", "node-2")
    assert rate(cluster, "node-2", "data") == pytest.approx(HIGHER, rel=0.25)
    cluster.run("volume", "limit", "data", "--none")
    assert rate(cluster, "node-2", "data") > 2 * HIGHER
    assert "at most" not in cluster.run("volume", "show", "data").stdout


def test_limits_that_make_no_sense_are_refused(cluster: Cluster) -> None:
    cluster.run("volume", "create", "odd", "1GiB")
    assert "from 11 to" in cluster.error(ExitCode.REFUSED, "volume", "limit", "odd", "--iops", "5")
    refused = cluster.error(ExitCode.REFUSED, "volume", "limit", "odd", "--bandwidth", "1000")
    assert "multiple of 1 MiB a second; the next one is 1MiB" in refused
    cluster.run("volume", "limit", "odd", code=ExitCode.USAGE)
    cluster.run("volume", "limit", "odd", "--none", "--iops", "50", code=ExitCode.USAGE)


def test_a_limit_that_is_used_up_is_raised_by_a_rule(cluster: Cluster) -> None:
    cluster.run("volume", "create", "busy", "1GiB", "--node", "node-3", "--iops", str(LIMIT))
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            rate(cluster, "node-3", "busy", 1.0)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        cluster.wait("a higher limit", lambda: shown(cluster, "busy")["limit_iops"] == HIGHER, 40.0)
        cluster.wait("it is set", lambda: shown(cluster, "busy")["ready"])
    finally:
        ended.set()
        worker.join()
    assert rate(cluster, "node-3", "busy") == pytest.approx(HIGHER, rel=0.25)
    (remedy,) = (one for one in cluster.get("/remedies") if one["rule"] == "busy")
    assert remedy["kind"] == "change-limit"
    assert "volume busy uses " in remedy["because"]
    cluster.wait("help", lambda: cluster.get("/remedies")[0]["state"] == "helped", 30.0)
