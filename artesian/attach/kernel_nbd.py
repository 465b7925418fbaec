"""The kernel's own NBD client, set up and kept by nbd-client."""

from __future__ import annotations

import fcntl
import os
import re
import time
from pathlib import Path

from artesian.attach import daemons, loop, tools
from artesian.attach.address import NbdAddress
from artesian.attach.errors import CannotGrow, InUse, ToolFailed

_SYSFS = Path("/sys/block")
_READY_TIMEOUT_S = 20.0
_LOG_NAME = "nbd-client.log"
_NBD_SET_SIZE_BLOCKS = 0xAB07
_MAX_BLOCKS = (1 << 31) - 1


class KernelNbdDriver:
    """/dev/nbdN.

    nbd-client uses the older ioctl interface and stays as a process: only so does it connect again when the
    server was restarted, and only so can the size of a living device be set. What is under way at the moment
    of a lost connection fails, though; a file system that was writing then has to be mounted again.
    """

    name = "kernel-nbd"

    def available(self) -> str | None:
        if os.geteuid() != 0:
            return "the kernel's NBD client needs root"
        if absent := tools.missing("nbd-client"):
            return absent
        if not _devices():
            try:
                tools.run("modprobe", "nbd", timeout_s=10)
            except ToolFailed:
                return "the kernel has no nbd module"
        return None if _devices() else "there are no /dev/nbd devices"

    def attach(self, address: NbdAddress, folder: Path, read_only: bool) -> Path:
        failure: ToolFailed | None = None
        for device in _devices():
            if _is_free(device):
                try:
                    return self._connect(device, address, folder, read_only)
                except ToolFailed as error:  # somebody else may have been faster with this device
                    daemons.stop(str(folder))
                    failure = error
                    if _is_free(device):
                        break
        raise failure or ToolFailed("all /dev/nbd devices are in use")

    def _connect(self, device: Path, address: NbdAddress, folder: Path, read_only: bool) -> Path:
        log = folder / _LOG_NAME
        process = daemons.start(
            "nbd-client",
            [
                *("-unix", address.socket_path, device),
                *("-name", address.name),
                *("-block-size", str(loop.SECTOR_BYTES)),
                *("-persist", "-nofork", "-nonetlink"),
                *(["-readonly"] if read_only else []),
            ],
            mark=str(folder),
            log=log,
            folder=folder,
        )
        daemons.wait_until(
            lambda: self.device(folder) == device, process, "nbd-client", log, _READY_TIMEOUT_S
        )
        return device

    def device(self, folder: Path) -> Path | None:
        left = self.devices_left(folder)
        return left[0] if left and _size_bytes(left[0]) > 0 else None

    def devices_left(self, folder: Path) -> list[Path]:
        process_ids = self.process_ids(folder)
        return [device for device in _devices() if _owner(device) in process_ids]

    def process_ids(self, folder: Path) -> tuple[int, ...]:
        return tuple(daemons.find(str(folder)))

    def detach(self, folder: Path, force: bool) -> None:
        for device in self.devices_left(folder):
            if not force:
                loop.check_unused(device)
                loop.flush(device)
            tools.run("nbd-client", "-d", device)
        if not daemons.wait_gone(str(folder), timeout_s=5.0):
            daemons.stop(str(folder))
        (folder / _LOG_NAME).unlink(missing_ok=True)

    def grow(self, address: NbdAddress, folder: Path, size_bytes: int) -> None:
        blocks = size_bytes // loop.SECTOR_BYTES
        if blocks > _MAX_BLOCKS:
            raise CannotGrow("the kernel's NBD client takes over a new size of up to 8 TiB only")
        for device in self.devices_left(folder):
            descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.ioctl(descriptor, _NBD_SET_SIZE_BLOCKS, blocks)
            except OSError as error:
                raise CannotGrow(f"{device} does not take over the new size: {error.strerror}") from None
            finally:
                os.close(descriptor)
            _wait_for_size(device, size_bytes)


def _devices() -> list[Path]:
    """Every NBD device of the kernel, connected or not, in the order of their numbers."""
    names = [entry.name for entry in _SYSFS.glob("nbd*") if re.fullmatch(r"nbd\d+", entry.name)]
    devices = [Path("/dev") / name for name in sorted(names, key=lambda name: int(name[3:]))]
    return [device for device in devices if device.exists()]


def _owner(device: Path) -> int | None:
    """The process that connected the device; None if it is not connected."""
    try:
        return int((_SYSFS / device.name / "pid").read_text())
    except (OSError, ValueError):
        return None


def _is_free(device: Path) -> bool:
    if _owner(device) is not None or _size_bytes(device) > 0:
        return False
    try:
        loop.check_unused(device)
    except (InUse, ToolFailed):
        return False
    return True


def _size_bytes(device: Path) -> int:
    try:
        return 512 * int((_SYSFS / device.name / "size").read_text())
    except (OSError, ValueError):
        return 0


def _wait_for_size(device: Path, size_bytes: int) -> None:
    deadline = time.monotonic() + 5.0
    while _size_bytes(device) != size_bytes:
        if time.monotonic() > deadline:
            raise CannotGrow(f"{device} still has {_size_bytes(device)} bytes, not {size_bytes}")
        time.sleep(0.02)
