"""A cluster that sees trouble coming: a disk whose blocks come back wrong, a file system that fills up."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from artesian.attach import tools
from artesian.embedded.device.superblock import SUPERBLOCK_BYTES, unpack
from tests.cluster import slow_disk
from tests.cluster.cases import GIB, Cluster, unable_to_mount

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]

MIB = 1 << 20
BLOCK = 4096
STRIDE = 16  # blocks
SPEC = """
new_disks: take
new_nodes: take
providers:
  - {name: files, kind: file, disk_size: 2GiB, lead_time: 1s}
rules:
  - {name: sick-device, scope: device, when: error_count > 20 and ours and not failed,
     remedy: replace-device, for: 1s, approval: automatic}
  - {name: slow-device, scope: device,
     when: latency_s > 0.2 and latency_s > 3 * peers_latency_s and ours and not failed,
     remedy: replace-device, for: 1s, approval: automatic}
  - {name: grow-volume, scope: volume, when: used_share > 90% and ours,
     remedy: grow-volume, for: 1s, approval: automatic}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.bring_up(4, "2GiB", SPEC)
        yield made


def remedies_of(cluster: Cluster, rule: str) -> list[dict[str, Any]]:
    return [one for one in cluster.get("/remedies") if one["rule"] == rule]


def until_helped(cluster: Cluster, rule: str, in_between: Callable[[], object] = bool) -> dict[str, Any]:
    """The one remedy of a rule, when it has helped."""

    def helped() -> bool:
        in_between()
        return any(one["state"] == "helped" for one in remedies_of(cluster, rule))

    cluster.wait(f"help by {rule}", helped, 240.0)
    (remedy,) = remedies_of(cluster, rule)
    return remedy


class Watch:
    """What is there at every look: how much lacked a copy, or both; and that nothing in a folder changes."""

    def __init__(self, cluster: Cluster, folder: Path, content: dict[str, str]) -> None:
        self.cluster = cluster
        self.folder = folder
        self.content = content
        self.lacking_bytes = self.lost_bytes = 0

    def __call__(self) -> None:
        for pool in self.cluster.get("/pools"):
            self.lacking_bytes += pool["degraded_bytes"] + pool["failed_bytes"]
            self.lost_bytes += pool["failed_bytes"]
        assert _digests(self.folder) == self.content


# --- a file system that fills up


def test_a_file_system_that_fills_up_is_grown_with_its_volume(cluster: Cluster) -> None:
    if absent := tools.missing("mkfs.xfs"):
        pytest.skip(absent)  # ext4 does not grow while it is mounted without CAP_SYS_RESOURCE
    path = cluster.mounts / "filling"
    cluster.run("volume", "create", "filling", "1GiB", "--node", "node-1", "--mount", path, "--fstype", "xfs")
    (path / "kept").write_text("kept")
    _fill(path, 0.92)
    remedy = until_helped(cluster, "grow-volume")
    assert "volume filling is 9" in remedy["because"]
    volume = cluster.json("volume", "show", "filling")
    assert volume["size_bytes"] == 2 * GIB
    assert volume["total_bytes"] > 1.8 * GIB
    assert 0.4 < volume["used_bytes"] / volume["total_bytes"] < 0.6
    assert os.statvfs(path).f_bavail * os.statvfs(path).f_frsize > 0.8 * GIB
    assert "used" in cluster.run("volume", "show", "filling").stdout
    assert (path / "kept").read_text() == "kept"
    cluster.wait_healthy()


def _fill(path: Path, share: float) -> None:
    """Space that is taken without being written."""
    status = os.statvfs(path)
    used = (status.f_blocks - status.f_bfree) * status.f_frsize
    total = used + status.f_bavail * status.f_frsize
    with (path / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, int(share * total) - used)


# --- a disk whose blocks come back wrong


def test_a_disk_that_gives_back_wrong_blocks_is_emptied_and_replaced(cluster: Cluster) -> None:
    here, there = cluster.mounts / "here", cluster.mounts / "there"
    cluster.run("volume", "create", "books", "1GiB", "--node", "node-1", "--mount", here)
    written = _write(here, 40)
    cluster.run("volume", "detach", "books")
    node = max(cluster.nodes(), key=lambda name: len(_places_of_data(cluster.disk(name, "sdb"))))
    identity = cluster.disks()[node, "sdb"]["identity"]
    _let_rot(cluster.disk(node, "sdb"))
    cluster.run("volume", "attach", "books", "--node", "node-3", "--mount", there)
    watch = Watch(cluster, there, written)
    watch()  # which finds the rot, and mends it
    cluster.wait("errors", lambda: cluster.disks()[node, "sdb"]["health"].get("error_count", 0) > 20)
    remedy = until_helped(cluster, "sick-device", watch)
    assert "errors" in remedy["because"]
    assert not watch.lacking_bytes, "while data moved away there were two copies of everything"
    assert _device_of(cluster, identity) is None
    (part,) = remedy["parts"]
    assert part["node"] == node
    assert part["state"] == "in use"
    cluster.wait_healthy()
    assert _digests(there) == written


def _device_of(cluster: Cluster, identity: str) -> str | None:
    """What the engine does with a disk."""
    (found,) = (one["device"] for one in cluster.get("/disks") if one["identity"] == identity)
    return str(found) if found is not None else None


# --- a disk that has become slow


def test_a_disk_that_has_become_slow_is_emptied_and_replaced(cluster: Cluster) -> None:
    if absent := slow_disk.unavailable():
        pytest.skip(absent)
    books = cluster.mounts / "there"
    disk = slow_disk.SlowDisk(cluster.disk("node-4", "sdz"), cluster.home / "slow", GIB)
    try:
        cluster.wait("it is used", lambda: _slow_one(cluster).get("device") == "in use", 60.0)
        cluster.wait_healthy()
        identity = _slow_one(cluster)["identity"]
        content = _write(books, 20)
        disk.flush_s = 0.7
        cluster.wait("a remedy", lambda: _write(books, 2) and remedies_of(cluster, "slow-device"), 90.0)
        content = _digests(books)
        watch = Watch(cluster, books, content)
        remedy = until_helped(cluster, "slow-device", watch)
        assert "sdz of node node-4 takes" in remedy["because"]
        assert "the others of its pool take" in remedy["because"]
        # Its server may have hung on it for so long that it was taken for absent: then a copy was made anew.
        assert not watch.lost_bytes
        assert _device_of(cluster, identity) is None
        assert [part["node"] for part in remedy["parts"]] == ["node-4"]
        cluster.wait_healthy()
        assert _digests(books) == content
    finally:
        disk.close()


def _slow_one(cluster: Cluster) -> dict[str, Any]:
    return cluster.disks().get(("node-4", "sdz"), {})


def _write(folder: Path, count: int) -> dict[str, str]:
    for number in range(count):
        with (folder / f"book-{number}").open("wb") as file:
            file.write(os.urandom(2 * MIB))
            file.flush()
            os.fsync(file.fileno())
    return _digests(folder)


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("book-*"))
    }


def _places_of_data(disk: Path) -> list[int]:
    """Where blocks are that hold something; one of many."""
    with disk.open("rb", buffering=0) as file:
        superblock = unpack(file.read(SUPERBLOCK_BYTES))
        assert superblock is not None
        places = range(superblock.data_offset, superblock.backup_offset, STRIDE * BLOCK)
        return [at for at in places if any(os.pread(file.fileno(), BLOCK, at))]


def _let_rot(disk: Path) -> None:
    """Change one byte each of some blocks that hold data: the disk goes on as if nothing were wrong."""
    with disk.open("r+b", buffering=0) as file:
        for at in _places_of_data(disk):
            (byte,) = os.pread(file.fileno(), 1, at + 100)
            os.pwrite(file.fileno(), bytes([byte ^ 0xFF]), at + 100)
