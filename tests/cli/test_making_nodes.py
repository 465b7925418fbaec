"""The nodes that `up` makes, also when it is called twice at once."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from artesian.cli.cluster.lifecycle import _make_nodes
from artesian.clusters.local import LocalCluster


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, as sockets are made in it."""
    made = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    yield made / "c"
    shutil.rmtree(made)


def test_two_at_once_make_each_node_and_its_disks_once(folder: Path) -> None:
    threads = [
        threading.Thread(target=_make_nodes, args=(LocalCluster(folder), 5, None, None, None))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cluster = LocalCluster(folder)
    assert [node.name for node in cluster.nodes()] == [f"node-{number}" for number in range(1, 6)]
    for node in cluster.nodes():
        assert sorted(path.name for path in cluster.dev(node.name).iterdir()) == ["sdb", "sdc"]


def test_new_nodes_have_the_disks_that_their_attributes_name(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "disks").write_text("/dev/xvdf,/dev/xvdg\n")
    cluster = LocalCluster(folder)
    _make_nodes(cluster, 1, None, None, None)
    _make_nodes(cluster, 2, None, None, tmp_path)
    assert sorted(path.name for path in cluster.dev("node-1").iterdir()) == ["sdb", "sdc"]
    assert sorted(path.name for path in cluster.dev("node-2").iterdir()) == ["xvdf", "xvdg"]
    assert dict(cluster.nodes()[1].attributes) == {"disks": "/dev/xvdf,/dev/xvdg"}
