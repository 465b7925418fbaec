"""The client under a mounted volume hangs for ever, and the cluster is to be taken down all the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from artesian.cli.outcome import ExitCode
from tests.cluster.cases import Cluster, unable_to_mount, write_durably

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.bring_up(2, "2GiB")
        yield made


def test_down_goes_past_it_only_when_that_is_asked_for(cluster: Cluster) -> None:
    path = cluster.mounts / "data"
    cluster.run("volume", "create", "data", "1GiB", "--node", "node-1", "--mount", path)
    write_durably(path / "synced", "kept")
    (client,) = [pid for name, pid in cluster.processes("node-1").items() if name.startswith("sdc")]
    os.kill(client, signal.SIGSTOP)
    said = cluster.error(ExitCode.IN_THE_WAY, "down", "--timeout", "3")
    assert "nothing was stopped" in said and "--discard" in said
    receipt = cluster.json("down", "--discard", "--timeout", "20")["receipt"]
    assert any("what was not written yet is lost" in line for line in receipt)
    assert not path.is_mount()
    cluster.run("up", "--yes")
    assert (path / "synced").read_text() == "kept"
