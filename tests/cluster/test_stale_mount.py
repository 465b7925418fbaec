"""A volume that was taken from a node by force, written elsewhere, and brought back to that node."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.cases import Cluster, unable_to_mount, write_durably

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]

FILES = {f"file-{number}": f"written on node-2, {number}" for number in range(20)}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.bring_up(3, "2GiB")
        yield made


def volume(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("/volumes/v1")
    return found


def contents(path: Path) -> dict[str, str]:
    return {one.name: one.read_text() for one in path.iterdir() if one.is_file()}


def test_a_mount_from_before_is_never_used_again(cluster: Cluster) -> None:
    first, second = cluster.mounts / "a", cluster.mounts / "b"
    cluster.run("volume", "create", "v1", "1GiB", "--node", "node-1", "--mount", first)
    write_durably(first / "before", "written on node-1")
    agent = cluster.agent("node-1")
    os.kill(agent, signal.SIGSTOP)
    try:
        cluster.run("volume", "attach", "v1", "--node", "node-2", "--mount", second, "--force")
        for name, text in FILES.items():
            write_durably(second / name, text)
        subprocess.run(["sync", "--file-system", second], check=True)
        cluster.run("volume", "attach", "v1", "--node", "node-1", "--mount", first, "--no-wait")
        cluster.wait("node-2 lets go", lambda: not second.is_mount())
        cluster.wait("the reason", lambda: "node-1" in volume(cluster)["because"])
        assert not volume(cluster)["ready"]
    finally:
        os.kill(agent, signal.SIGCONT)
    cluster.wait("v1 on node-1", lambda: volume(cluster)["ready"], 60.0)
    assert volume(cluster)["mounted_at"] == str(first)
    assert contents(first) == FILES | {"before": "written on node-1"}

    for number in range(20):
        write_durably(first / f"again-{number}", "written on node-1 again")
    cluster.run("volume", "attach", "v1", "--node", "node-3", "--mount", second)
    assert contents(second).items() >= FILES.items()
    assert len(contents(second)) == 41
