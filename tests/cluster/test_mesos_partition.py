"""A node of Mesos that nobody reaches, and that runs: its volume is taken over, and it comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.cluster.cases import unable_to_mount
from tests.cluster.mesos_namespaces import MesosNodes, thaw

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]

SPEC = """
new_disks: take
new_nodes: take
rules:
  - name: take-over-volumes
    when: unreachable and silent and volumes > 0
    remedy: move-volumes
    parameters: {force: yes}
    approval: automatic
"""
LOST = "node-3"


@pytest.fixture(scope="module")
def cluster() -> Iterator[MesosNodes]:
    with MesosNodes(3) as made:
        made.up(SPEC)
        yield made


def test_a_partitioned_node_that_returns_is_neither_a_second_writer_nor_there_twice(
    cluster: MesosNodes,
) -> None:
    path = cluster.mounts / "data"
    cluster.run("volume", "create", "data", "1GiB", "--node", LOST, "--mount", path)
    cluster.sh(LOST, f"echo flushed > {path}/kept; sync -f {path}")
    roles = cluster.tasks(LOST)
    stopped = cluster.freeze(LOST)
    try:
        cluster.wait("it is seen", lambda: cluster.node(LOST)["unreachable"], 30.0)
        cluster.wait("it is taken over", lambda: cluster.view("data")["node"] != LOST, 60.0)
        home = cluster.view("data")["node"]
        cluster.wait("it can be used", lambda: cluster.view("data")["ready"], 60.0)
        assert cluster.sh(home, f"cat {path}/kept") == "flushed\n"
        cluster.sh(home, f"echo 'of the new one' > {path}/new; sync -f {path}")
        (remedy,) = cluster.remedies("move-volumes")
        assert f"what node {LOST} had not flushed is lost" in remedy["because"]
    finally:
        thaw(stopped)

    # What it still writes is refused, however hard it tries; then it lets go.
    old = cluster.sh(LOST, f"(echo stale > {path}/stale && sync -f {path}) 2>&1 || echo refused")
    # Once it has let go, there is only a folder.
    assert "refused" in old or str(path) not in cluster.mounts_of(LOST)
    cluster.wait("it is back", lambda: cluster.node(LOST)["state"] == "alive", 60.0)
    cluster.wait("it lets go", lambda: str(path) not in cluster.mounts_of(LOST), 60.0)
    cluster.sh(LOST, f"rm -f {path}/stale")  # in the folder, if it had let go already
    cluster.wait("nothing is left", lambda: not cluster.node(LOST)["attachments"], 30.0)
    cluster.wait("Mesos says so too", lambda: not cluster.node(LOST)["unreachable"], 30.0)

    # What it does, it does once.
    assert cluster.tasks(LOST) == roles
    assert max(Counter(roles).values()) == 1 and len(cluster.executors(LOST)) == 1
    names = [one["name"] for one in cluster.node(LOST)["processes"]]
    assert len(names) == len(set(names))

    # What the new writer has is what it wrote.
    assert cluster.sh(home, f"cat {path}/kept {path}/new") == "flushed\nof the new one\n"
    assert "stale" not in cluster.sh(home, f"ls {path}")
    cluster.wait_healthy()
    cluster.run("volume", "attach", "data", "--node", LOST, "--mount", path)
    assert cluster.sh(LOST, f"cat {path}/kept {path}/new; ls {path}").split() == [
        *("flushed", "of", "the", "new", "one"), *("kept", "lost+found", "new"),
    ]  # fmt: skip
