"""A node is switched off on purpose: nothing is rebuilt meanwhile, and what it missed is brought to it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from artesian.cli.outcome import ExitCode
from tests.cluster.cases import Cluster, unable_to_mount, write_durably

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]

LONGER_THAN_PATIENCE_S = 20.0  # a server that is away so long without a word is rebuilt elsewhere


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.bring_up(4, "2GiB")
        made.run("volume", "create", "data", "1GiB", "--node", "node-4", "--mount", made.mounts / "data")
        yield made


def test_a_node_that_is_in_use_is_not_let_go(cluster: Cluster) -> None:
    said = cluster.error(ExitCode.IN_THE_WAY, "node", "maintain", "node-4")
    assert "volume data is on node node-4: move or detach it first" in said
    cluster.run("node", "maintain", "node-4", "--end")


def test_nothing_is_rebuilt_while_it_is_away(cluster: Cluster) -> None:
    write_durably(cluster.mounts / "data" / "before", "1")
    assert cluster.json("node", "maintain", "node-2")["done"]
    said = cluster.error(ExitCode.TOOK_TOO_LONG, "node", "maintain", "node-3", "--timeout", "1")
    assert "is in maintenance already" in said
    cluster.run("node", "maintain", "node-3", "--end")
    cluster.run("local", "off", "node-2")
    until = time.monotonic() + LONGER_THAN_PATIENCE_S
    while time.monotonic() < until:
        write_durably(cluster.mounts / "data" / "meanwhile", str(until))
        assert not any(pool["moving_bytes"] for pool in cluster.get("/pools"))
        time.sleep(0.5)


def test_no_volume_comes_to_it(cluster: Cluster) -> None:
    assert "node-2 is in maintenance" in cluster.error(
        ExitCode.IN_THE_WAY, "volume", "attach", "data", "--node", "node-2"
    )


def test_it_comes_back_and_has_what_it_missed(cluster: Cluster) -> None:
    cluster.run("local", "on", "node-2")
    cluster.run("node", "maintain", "node-2", "--end")
    cluster.wait_healthy()
    assert (cluster.mounts / "data" / "before").read_text() == "1"
