"""The kernel's own NBD client: /dev/nbdN, fed by our bridge.

Without the bridge, requests that are under way would fail whenever the NBD server is restarted; nbd-client,
which sets up such devices elsewhere, does not prevent that.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from artesian.attach import bridge_process, daemons, loop, mounts, tools
from artesian.attach.address import NbdAddress
from artesian.attach.errors import InUse, ToolFailed

_SYSFS = Path("/sys/block")
_READY_TIMEOUT_S = 20.0
_LOG_NAME = "bridge.log"


class KernelNbdDriver:
    """Needs root, and a kernel with the nbd module."""

    name = "kernel-nbd"

    def available(self) -> str | None:
        if os.geteuid() != 0:
            return "the kernel's NBD client needs root"
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
                except ToolFailed as error:
                    daemons.stop(str(folder))
                    failure = error
                    if _is_free(device):
                        break  # nobody was faster with this one: it is not that
        raise failure or ToolFailed("all /dev/nbd devices are in use")

    def _connect(self, device: Path, address: NbdAddress, folder: Path, read_only: bool) -> Path:
        log = folder / _LOG_NAME
        process = bridge_process.start("device", device, address, folder, log, read_only=read_only)
        daemons.wait_until(
            lambda: self.device(folder) == device, process, "the bridge", log, _READY_TIMEOUT_S
        )
        return device

    def device(self, folder: Path) -> Path | None:
        process_ids = self.process_ids(folder)
        owned = [device for device in _devices() if _is_owned(device, process_ids)]
        return owned[0] if owned and _size_bytes(owned[0]) > 0 else None

    def devices_left(self, folder: Path, recorded: Path | None) -> list[Path]:
        """A device whose process has died belongs to nobody, but may still be mounted."""
        alive = self.device(folder)
        if alive is not None:
            return [alive]
        is_dead = recorded is not None and _owner(recorded) is None and mounts.mounts_of_device(recorded)
        return [recorded] if recorded is not None and is_dead else []

    def process_ids(self, folder: Path) -> tuple[int, ...]:
        return tuple(daemons.find_again(str(folder)))

    def detach(self, folder: Path, force: bool) -> None:
        device = self.device(folder)
        if device is not None and not force:
            loop.check_unused(device)
            loop.flush(device)
        daemons.stop(str(folder))
        (folder / _LOG_NAME).unlink(missing_ok=True)

    def grow(self, address: NbdAddress, folder: Path, size_bytes: int) -> None:
        device = self.device(folder)
        if device is not None:
            bridge_process.refresh_size(folder, size_bytes, lambda: _size_bytes(device))


def _devices() -> list[Path]:
    """Every NBD device of the kernel, connected or not, in the order of their numbers."""
    names = [entry.name for entry in _SYSFS.glob("nbd*") if re.fullmatch(r"nbd\d+", entry.name)]
    devices = [Path("/dev") / name for name in sorted(names, key=lambda name: int(name[3:]))]
    return [device for device in devices if device.exists()]


def _owner(device: Path) -> int | None:
    """The thread that connected the device; None if it is not connected, or that thread has ended."""
    try:
        owner = int((_SYSFS / device.name / "pid").read_text())
    except (OSError, ValueError):
        return None
    return owner if Path(f"/proc/{owner}").exists() else None  # a dead device that is mounted keeps its file


def _is_owned(device: Path, process_ids: tuple[int, ...]) -> bool:
    owner = _owner(device)
    return owner is not None and any(
        Path(f"/proc/{process_id}/task/{owner}").exists() for process_id in process_ids
    )


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
