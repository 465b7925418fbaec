"""Real files, and what util-linux says of them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from artesian.embedded.device.disk import Disk
from artesian.embedded.device.signatures import foreign_signature
from artesian.embedded.device.store import DeviceStore
from artesian.embedded.errors import DeviceError, DeviceIoError, ForeignDevice

SYSTEM, POOL, DEVICE = "a" * 16, "b" * 16, "c" * 16


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(16 << 20)
    return path


def test_an_empty_file_carries_nothing(image: Path) -> None:
    assert foreign_signature(str(image)) is None


@pytest.mark.parametrize("maker", ["mkfs.ext4", "mkfs.xfs", "mkswap"])
def test_a_file_system_is_recognised_and_left_alone(image: Path, maker: str) -> None:
    program = shutil.which(maker) or shutil.which(maker, path="/usr/sbin:/sbin")
    if program is None:
        pytest.skip(f"{maker} is not installed")
    if maker == "mkfs.xfs":
        with image.open("ab") as file:
            file.truncate(320 << 20)
    subprocess.run(
        [program, *(["-q"] if "mkfs" in maker else []), str(image)], check=True, capture_output=True
    )
    before = image.read_bytes()
    with pytest.raises(ForeignDevice, match="signature"):
        DeviceStore.adopt_or_format(Disk.open(str(image)), SYSTEM, POOL, DEVICE)
    assert image.read_bytes() == before


def test_a_device_survives_on_a_real_file(image: Path) -> None:
    store = DeviceStore.adopt_or_format(Disk.open(str(image)), SYSTEM, POOL, DEVICE)
    store.write(1, 0, 0, b"x" * 4096, 1, 1)
    uuid = store.uuid
    store.close()
    again = DeviceStore.open(Disk.open(str(image)), SYSTEM, DEVICE)
    assert again.uuid == uuid
    assert bytes(again.read(1, 0, 0, 4096) or b"") == b"x" * 4096
    again.close()


def test_two_servers_never_open_one_device(image: Path) -> None:
    disk = Disk.open(str(image))
    with pytest.raises(DeviceIoError, match="in use by another server"):
        Disk.open(str(image))
    disk.close()


def test_dropping_chunks_gives_space_back_to_the_host(image: Path) -> None:
    store = DeviceStore.adopt_or_format(Disk.open(str(image)), SYSTEM, POOL, DEVICE)
    for chunk in range(8):
        store.write(1, chunk, 0, b"y" * (1 << 20), 1, 1)
    store.sync()
    full = image.stat().st_blocks
    for chunk in range(8):
        store.drop(1, chunk)
    store.sync()
    assert image.stat().st_blocks < full - 8000
    store.close()


def test_a_released_empty_device_is_free_for_others(image: Path) -> None:
    store = DeviceStore.adopt_or_format(Disk.open(str(image)), SYSTEM, POOL, DEVICE)
    store.release()
    DeviceStore.adopt_or_format(Disk.open(str(image)), "f" * 16, POOL, "e" * 16).close()


def test_a_file_too_small_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "small.img"
    path.write_bytes(bytes(1 << 20))
    with pytest.raises(DeviceError, match="too small"):
        DeviceStore.adopt_or_format(Disk.open(str(path)), SYSTEM, POOL, DEVICE)


def test_a_path_that_is_no_disk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceIoError, match="neither a file nor a block device"):
        Disk.open(str(tmp_path))
