"""A cluster that sees trouble coming: a disk whose blocks come back wrong, a file system that fills up."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artesian.attach import tools
from artesian.embedded.device.superblock import SUPERBLOCK_BYTES, unpack
from tests.cluster.cases import GIB, Cluster, unable_to_mount

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]

MIB = 1 << 20
BLOCK = 4096
ROTTEN_BLOCKS = 300
SPEC = """
new_disks: take
new_nodes: take
providers:
  - {name: files, kind: file, disk_size: 2GiB, lead_time: 1s}
rules:
  - {name: sick-device, scope: device, when: error_count > 20 and ours and not failed,
     remedy: replace-device, for: 1s, approval: automatic}
  - {name: grow-volume, scope: volume, when: used_share > 90% and ours,
     remedy: grow-volume, for: 1s, approval: automatic}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster()
    spec = tmp_path_factory.mktemp("spec") / "spec.yaml"
    spec.write_text(SPEC)
    try:
        made.run(
            "up", "--nodes", "4", "--disks-per-node", "1", "--disk-size", "2GiB", "--spec", spec, "--yes"
        )
        made.wait_healthy()
        yield made
    finally:
        made.destroy()


def remedies(cluster: Cluster, kind: str) -> list[dict[str, Any]]:
    return [one for one in cluster.get("/remedies") if one["kind"] == kind]


def until_helped(cluster: Cluster, kind: str) -> dict[str, Any]:
    cluster.wait(f"a remedy: {kind}", lambda: remedies(cluster, kind), 60.0)
    cluster.wait("help", lambda: remedies(cluster, kind)[0]["state"] == "helped", 90.0)
    (remedy,) = remedies(cluster, kind)
    return remedy


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
    written = _write(here, 150)
    cluster.run("volume", "detach", "books")
    sick = cluster.disk("node-2", "sdb")
    identity = cluster.disks()["node-2", "sdb"]["identity"]
    _let_rot(sick)
    cluster.run("volume", "attach", "books", "--node", "node-3", "--mount", there)
    degraded: list[int] = []

    def replaced() -> bool:
        for pool in cluster.get("/pools"):
            degraded.append(pool["degraded_bytes"] + pool["failed_bytes"])
        assert _digests(there) == written
        found = remedies(cluster, "replace-device")
        return bool(found) and found[0]["state"] == "helped"

    assert _digests(there) == written  # which finds the rot, and mends it
    cluster.wait("errors", lambda: cluster.disks()["node-2", "sdb"]["health"].get("error_count", 0) > 20)
    cluster.wait("help", replaced, 120.0)
    (remedy,) = remedies(cluster, "replace-device")
    assert "errors" in remedy["because"]
    assert max(degraded) == 0, "while it moved away there were two copies of everything"
    disks = cluster.get("/disks")
    assert [one["device"] for one in disks if one["identity"] == identity] == [None]
    (part,) = remedy["parts"]
    assert part["node"] == "node-2"
    assert part["state"] == "in use"
    cluster.wait_healthy()
    assert _digests(there) == written


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


def _let_rot(disk: Path) -> None:
    """Change one byte each of some blocks that hold data: the disk goes on as if nothing were wrong."""
    with disk.open("r+b", buffering=0) as file:
        superblock = unpack(file.read(SUPERBLOCK_BYTES))
        assert superblock is not None
        rotten, at = 0, superblock.data_offset
        while rotten < ROTTEN_BLOCKS and at < superblock.backup_offset:
            block = os.pread(file.fileno(), BLOCK, at)
            if any(block):
                os.pwrite(file.fileno(), bytes([block[100] ^ 0xFF]), at + 100)
                rotten += 1
                at += 16 * BLOCK
            else:
                at += BLOCK
        assert rotten == ROTTEN_BLOCKS
