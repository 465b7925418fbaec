"""Files that stand for disks: where they are made, what is refused, and that nothing in use is removed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from artesian.agent.disks.folder_disks import FolderDisks
from artesian.attach import loop
from artesian.clusters.local import LocalCluster
from artesian.model.disk import Disk
from artesian.model.provided import DiskRequest, ProvidedState
from artesian.providers.file import FileProvider
from artesian.providers.port import ProviderRefused, ProviderUnreachable
from tests.providers.conformance import GIB, SIZE_BYTES, Handle, ProviderConformance

MIB = 1 << 20


@pytest.fixture
def cluster(folder: Path) -> LocalCluster:
    made = LocalCluster(folder)
    made.create()
    for name in ("alpha", "beta"):
        made.add_node(name)
        made.add_disk(name, GIB, "sda")
    return made


class FileHandle(Handle):
    unknown_id = "alpha/provided-nobody"

    def __init__(self, cluster: LocalCluster) -> None:
        self.cluster = cluster

    def provider(self) -> FileProvider:
        return FileProvider(self.cluster, max_disks_per_node=2, price_per_gib_month=0.5)

    def request(self, token: str, node: str = "alpha", size_bytes: int = SIZE_BYTES) -> DiskRequest:
        return DiskRequest(token, node, "127.0.0.1", size_bytes)

    def made(self) -> int:
        return len(list((self.cluster.folder / "nodes").glob("*/dev/*"))) - 2

    def reported(self, node: str) -> Sequence[Disk]:
        return FolderDisks(self.cluster.dev(node)).find()


class TestFileProvider(ProviderConformance):
    @pytest.fixture
    def handle(self, cluster: LocalCluster) -> Handle:
        return FileHandle(cluster)


@pytest.fixture
def handle(cluster: LocalCluster) -> FileHandle:
    return FileHandle(cluster)


def refusal(handle: FileHandle, request: DiskRequest) -> str:
    with pytest.raises(ProviderRefused) as refused:
        handle.provider().provide(request)
    assert handle.provider().quote(request).refused == str(refused.value)
    return str(refused.value)


# --- making


def test_sizes_are_whole_mebibytes_and_at_least_what_a_node_takes_for_a_disk(handle: FileHandle) -> None:
    assert handle.provider().quote(handle.request("a", size_bytes=GIB + 1)).size_bytes == GIB + MIB
    assert handle.provide(handle.request("a", size_bytes=1)).size_bytes == 64 * MIB


def test_a_price_is_quoted(handle: FileHandle) -> None:
    assert handle.provider().quote(handle.request("a", size_bytes=4 * GIB)).cost_per_month == 2.0


def test_files_are_sparse(handle: FileHandle, cluster: LocalCluster) -> None:
    disk = handle.provide(handle.request("a"))
    assert (cluster.dev("alpha") / disk.name).stat().st_blocks * 512 < MIB


@pytest.mark.parametrize("token", ["a/../../b", "with space_and~more", "ümläut", ".", "provided-x", "%41"])
def test_any_token_becomes_a_name_and_a_token_again(handle: FileHandle, token: str) -> None:
    disk = handle.provide(handle.request(token))
    assert [one.token for one in handle.provider().disks()] == [token]
    assert handle.made() == 1
    handle.release(disk)
    assert handle.made() == 0


def test_a_token_that_is_no_name_is_refused(handle: FileHandle) -> None:
    assert "name of a file" in refusal(handle, handle.request("x" * 300))
    assert "name of a file" in refusal(handle, handle.request(""))


def test_a_token_that_looks_like_the_end_of_another_is_another_disk(handle: FileHandle) -> None:
    """Names are compared by what follows the last underscore, too."""
    first, second = handle.provide(handle.request("b")), handle.provide(handle.request("x_provided-b"))
    seen = handle.reported("alpha")
    assert [sum(disk.is_seen_as(one) for one in seen) for disk in (first, second)] == [1, 1]


def test_a_disk_whose_making_was_cut_off_is_finished(handle: FileHandle, cluster: LocalCluster) -> None:
    (cluster.dev("alpha") / "provided-a").touch()
    assert [disk.state for disk in handle.provider().disks()] == [ProvidedState.MAKING]
    assert not handle.provider().quote(handle.request("a")).refused
    assert handle.provide(handle.request("a")).size_bytes >= SIZE_BYTES
    assert handle.made() == 1


def test_threads_that_ask_at_once_do_not_get_more_than_is_allowed(handle: FileHandle) -> None:
    provider = handle.provider()

    def ask(number: int) -> bool:
        try:
            provider.provide(handle.request(f"t{number % 4}"))
        except ProviderRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(16)))
    assert handle.made() == 2


# --- refusals


def test_a_node_has_so_many_and_no_more(handle: FileHandle) -> None:
    handle.provide(handle.request("a"))
    handle.provide(handle.request("b"))
    assert refusal(handle, handle.request("c")) == (
        "node alpha has 2 disks that were made for it, and 2 are allowed"
    )
    handle.provide(handle.request("c", "beta"))


def test_a_node_that_is_off_gets_no_disk(handle: FileHandle, cluster: LocalCluster) -> None:
    disk = handle.provide(handle.request("a"))
    cluster.switch_off("alpha")
    assert refusal(handle, handle.request("b")) == "node alpha is switched off"
    assert handle.provide(handle.request("a")) == disk
    handle.release(disk)


class Room(NamedTuple):
    f_frsize: int = 4096
    f_bavail: int = 3 * GIB // 4096


def test_what_earlier_disks_have_yet_to_fill_is_not_free(
    handle: FileHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: Room())
    handle.provide(handle.request("a", size_bytes=2 * GIB))
    words = refusal(handle, handle.request("b", size_bytes=2 * GIB))
    assert words.startswith("2.0 GiB do not fit: the file system of /tmp/")
    assert words.endswith("has 3.0 GiB free, of which 2.0 GiB are promised")
    handle.provide(handle.request("b", size_bytes=GIB))


def test_a_cluster_that_cannot_be_read_is_not_known(handle: FileHandle, cluster: LocalCluster) -> None:
    (cluster.folder / "nodes" / "alpha" / "node.json").write_text("{")
    provider = handle.provider()
    for ask in (
        lambda: provider.quote(handle.request("a")),
        lambda: provider.provide(handle.request("a")),
        provider.disks,
        lambda: provider.release("alpha/provided-a"),
    ):
        with pytest.raises(ProviderUnreachable, match=r"node\.json"):
            ask()


# --- what is there


def test_only_its_own_files_are_listed(handle: FileHandle, cluster: LocalCluster) -> None:
    folder = cluster.dev("alpha")
    (folder / ".provided-hidden").touch()
    (folder / "provided-link").symlink_to(folder / "sda")
    (folder / "provided-folder").mkdir()
    os.mkfifo(folder / "provided-pipe")
    assert handle.provider().disks() == ()


# --- giving back


@pytest.mark.parametrize(
    "disk_id", ["alpha/sda", "sda", "", "alpha/provided-x/../sda", "../alpha/dev/sda", "alpha/"]
)
def test_what_was_not_made_here_is_not_removed(
    handle: FileHandle, cluster: LocalCluster, disk_id: str
) -> None:
    with pytest.raises(ProviderRefused, match="no disk that was made here"):
        handle.provider().release(disk_id)
    assert (cluster.dev("alpha") / "sda").exists()


def test_disks_of_a_node_that_is_gone_are_gone(handle: FileHandle) -> None:
    assert handle.provider().release("omega/provided-a")
    assert handle.provider().release("../provided-a")


def test_a_disk_that_a_process_has_open_is_not_removed(handle: FileHandle, cluster: LocalCluster) -> None:
    """Agents and engines open disks by other names of the same file."""
    disk = handle.provide(handle.request("a"))
    other_name = cluster.folder / "other-name"
    os.link(cluster.dev("alpha") / disk.name, other_name)
    with subprocess.Popen(["sleep", "60"], stdin=other_name.open()) as process:
        try:
            with pytest.raises(ProviderRefused, match=rf"in use by sleep \({process.pid}\)"):
                handle.provider().release(disk.id)
        finally:
            process.kill()
    assert handle.made() == 1
    handle.release(disk)


@pytest.mark.skipif(loop.available() is not None, reason=str(loop.available()))
def test_a_disk_under_a_loop_device_is_not_removed(handle: FileHandle, cluster: LocalCluster) -> None:
    disk = handle.provide(handle.request("a"))
    path = cluster.dev("alpha") / disk.name
    device = loop.create(path, read_only=True)
    try:
        with pytest.raises(ProviderRefused, match=f"in use by {device}"):
            handle.provider().release(disk.id)
    finally:
        assert loop.remove(device, path)
    handle.release(disk)
