"""Drivers that go by a file: an exporter shows the volume as a file, and a loop device is put over it."""

from __future__ import annotations

from pathlib import Path

from artesian.attach import daemons, fuse, loop, tools
from artesian.attach.address import NbdAddress
from artesian.attach.errors import InUse
from artesian.attach.exporters import Exporter


class LoopDriver:
    """Exporter and loop device. Needs root and FUSE."""

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter
        self.name = f"{exporter.name}-loop"

    def available(self) -> str | None:
        return loop.available() or self._exporter.available()

    def attach(self, address: NbdAddress, folder: Path, read_only: bool) -> Path:
        self._exporter.start(address, folder, read_only, cached=False)
        return loop.create(fuse.file_of(folder), read_only)

    def device(self, folder: Path) -> Path | None:
        file = fuse.file_of(folder)
        devices = loop.of_file(file)
        alive = len(devices) == 1 and fuse.is_mounted(file) and self.process_ids(folder)
        return devices[0] if alive else None

    def devices_left(self, folder: Path, recorded: Path | None) -> list[Path]:
        return loop.of_file(fuse.file_of(folder))

    def process_ids(self, folder: Path) -> tuple[int, ...]:
        return tuple(daemons.find_again(str(folder)))

    def detach(self, folder: Path, force: bool) -> None:
        file = fuse.file_of(folder)
        dead = not self.process_ids(folder)
        devices = loop.of_file(file)
        for device in devices:
            if not force:
                loop.check_unused(device)
            if not force and not dead:
                loop.flush(device)
        for device in devices:
            if not loop.remove(device, file, timeout_s=1.0 if force else 5.0) and not force:
                raise InUse(f"{device} is still open in some process")
        fuse.take_down(folder, force or dead)

    def grow(self, address: NbdAddress, folder: Path, size_bytes: int) -> None:
        self._exporter.grow(address, folder, size_bytes)
        for device in loop.of_file(fuse.file_of(folder)):
            loop.refresh_size(device)


class FileDriver:
    """Only the file: for users that are not root. A user space file system can be mounted from it."""

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter
        self.name = f"{exporter.name}-file"

    def available(self) -> str | None:
        return self._exporter.available() or tools.missing("fuse2fs")

    def attach(self, address: NbdAddress, folder: Path, read_only: bool) -> Path:
        self._exporter.start(address, folder, read_only, cached=True)
        return fuse.file_of(folder)

    def device(self, folder: Path) -> Path | None:
        file = fuse.file_of(folder)
        return file if fuse.is_mounted(file) and self.process_ids(folder) else None

    def devices_left(self, folder: Path, recorded: Path | None) -> list[Path]:
        return []

    def process_ids(self, folder: Path) -> tuple[int, ...]:
        return tuple(daemons.find_again(str(folder)))

    def detach(self, folder: Path, force: bool) -> None:
        dead = not self.process_ids(folder)
        if not dead and not force and fuse.is_mounted(fuse.file_of(folder)):
            loop.flush(fuse.file_of(folder))
        fuse.take_down(folder, force or dead)

    def grow(self, address: NbdAddress, folder: Path, size_bytes: int) -> None:
        self._exporter.grow(address, folder, size_bytes)
