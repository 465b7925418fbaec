"""A disk that is pulled out of its node, and put back as it was."""

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
        made.bring_up(3, "1GiB")
        yield made


def test_it_is_used_again_once_somebody_says_so(cluster: Cluster) -> None:
    path = cluster.mounts / "data"
    cluster.run("volume", "create", "data", "1GiB", "--node", "node-1", "--mount", path)
    write_durably(path / "before", "1")
    said = cluster.error(ExitCode.IN_THE_WAY, "disk", "return", "node-2", "sdb")
    assert "has neither been removed nor failed" in said
    disk = cluster.disk("node-2", "sdb")
    away = disk.with_name(".sdb")
    disk.rename(away)
    links = cluster.folder / "nodes" / "node-2" / "agent" / "engine" / "disks"
    cluster.wait("its agent misses it", lambda: not any(links.iterdir()))  # else its server finds it again
    os.kill(cluster.processes("node-2")["sds-node-2.default"], signal.SIGKILL)

    def state() -> object:
        shown = [one for (node, _), one in cluster.disks().items() if node == "node-2"]
        return shown[0]["device"] if shown else None

    cluster.wait("its device has failed", lambda: "has failed" in cluster.get("/status")["verdict"], 60.0)
    write_durably(path / "meanwhile", "2")
    away.rename(disk)
    cluster.wait("it is seen", lambda: state() == "failed", 60.0)
    cluster.run("disk", "return", "node-2", "sdb")
    cluster.wait("it is used", lambda: state() == "in use", 60.0)
    cluster.wait_healthy()
    assert [(path / name).read_text() for name in ("before", "meanwhile")] == ["1", "2"]
