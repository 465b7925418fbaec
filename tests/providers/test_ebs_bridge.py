"""Volumes as disks of local nodes: there when attached, gone when not, and their content with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from artesian.model.provided import ProvidedDisk
from tests.providers.ebs_bridge import EbsBridge
from tests.providers.ebs_cases import EbsHandle
from tests.providers.ec2 import ZONES, Ec2


@pytest.fixture
def handle(ec2: Ec2, folder: Path) -> Iterator[EbsHandle]:
    handle = EbsHandle(ec2, folder)
    yield handle
    handle.close()


def seen(handle: EbsHandle, disk: ProvidedDisk, node: str) -> list[str]:
    return [one.path for one in handle.reported(node) if disk.is_seen_as(one)]


def test_a_node_is_one_instance(handle: EbsHandle) -> None:
    assert handle.cluster is not None
    handle.cluster.add_node("gamma")
    joined = handle.bridge.join("gamma")
    assert EbsBridge(handle.ec2, handle.cluster).join("gamma") == joined
    assert joined not in handle.instances.values()
    handle.instances["gamma"] = joined


def test_a_volume_is_seen_when_it_is_attached(handle: EbsHandle, ec2: Ec2) -> None:
    ec2.keep_attaching()
    disk = handle.provider().provide(handle.request("one"))
    handle.provider().provide(handle.request("one"))
    assert seen(handle, disk, "alpha") == []
    ec2.keep_attaching(False)
    assert [Path(path).name for path in seen(handle, disk, "alpha")] == [
        f"nvme-Amazon_Elastic_Block_Store_{disk.name}"
    ]
    assert seen(handle, disk, "beta") == []


def test_what_was_written_stays_with_the_volume(handle: EbsHandle, ec2: Ec2) -> None:
    assert handle.cluster is not None
    handle.cluster.add_node("gamma")
    handle.instances["gamma"] = handle.bridge.join("gamma", ZONES[0])
    disk = handle.provide(handle.request("one"))
    (path,) = seen(handle, disk, "alpha")
    with open(path, "r+b") as file:
        file.write(b"mine")
    ec2.client.detach_volume(VolumeId=disk.id, InstanceId=handle.instances["alpha"])
    assert seen(handle, disk, "alpha") == []
    ec2.client.attach_volume(VolumeId=disk.id, InstanceId=handle.instances["gamma"], Device="/dev/sdf")
    (path,) = seen(handle, disk, "gamma")
    with open(path, "rb") as file:
        assert file.read(4) == b"mine"


def test_nothing_is_left_of_a_volume_that_is_released(handle: EbsHandle) -> None:
    assert handle.cluster is not None
    disk = handle.provide(handle.request("one"))
    assert seen(handle, disk, "alpha")
    handle.release(disk)
    assert seen(handle, disk, "alpha") == []
    assert list((handle.cluster.folder / "shelf").iterdir()) == []


def test_it_can_be_left_to_itself(handle: EbsHandle) -> None:
    assert handle.cluster is not None
    folder = handle.cluster.dev("alpha")
    with handle.bridge.following(0.01):
        disk = handle.provide(handle.request("one"))
        _wait(lambda: bool(list(folder.iterdir())))
        handle.release(disk)
        _wait(lambda: not list(folder.iterdir()))


def test_what_goes_wrong_is_told_at_the_end(handle: EbsHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(handle.ec2, "attached", fail)
    with pytest.raises(RuntimeError, match="no"), handle.bridge.following(0.01):
        time.sleep(0.1)


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
