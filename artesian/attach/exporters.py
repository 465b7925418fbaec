"""Programs that show an NBD export as a file, by FUSE."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from artesian.attach import bridge_process, daemons, fuse, tools
from artesian.attach.address import NbdAddress
from artesian.attach.errors import CannotGrow

READY_TIMEOUT_S = 20.0


class Exporter(Protocol):
    """Shows an NBD export as the file `fuse.file_of(folder)`.

    `cached`: the kernel may keep what it has read; of no use when a loop device is put on top.
    """

    @property
    def name(self) -> str: ...

    def available(self) -> str | None: ...

    def start(self, address: NbdAddress, folder: Path, read_only: bool, cached: bool) -> None: ...

    def grow(self, address: NbdAddress, folder: Path, size_bytes: int) -> None: ...


class BridgeExporter:
    """Our own: outlives a restart of the NBD server, and takes over a new size while it works."""

    name = "bridge"

    def available(self) -> str | None:
        return fuse.available()

    def start(self, address: NbdAddress, folder: Path, read_only: bool, cached: bool) -> None:
        file, log = fuse.prepare(folder), folder / fuse.LOG_NAME
        process = bridge_process.start("file", file, address, folder, log, read_only=read_only, cached=cached)
        daemons.wait_until(lambda: fuse.is_mounted(file), process, "the bridge", log, READY_TIMEOUT_S)

    def grow(self, address: NbdAddress, folder: Path, size_bytes: int) -> None:
        file = fuse.file_of(folder)
        bridge_process.refresh_size(folder, size_bytes, lambda: file.stat().st_size)


class NbdfuseExporter:
    """nbdfuse: does not outlive a restart of the NBD server, and knows one size only."""

    name = "nbdfuse"
    _CONNECTIONS = 4

    def available(self) -> str | None:
        return fuse.available() or tools.missing("nbdfuse")

    def start(self, address: NbdAddress, folder: Path, read_only: bool, cached: bool) -> None:
        file = fuse.prepare(folder)
        log = folder / fuse.LOG_NAME
        options = ["--readonly"] if read_only else []
        process = daemons.start(
            "nbdfuse",
            [*options, "--connections", str(self._CONNECTIONS), file, str(address)],
            mark=str(folder),
            log=log,
            folder=folder,
        )
        daemons.wait_until(lambda: fuse.is_mounted(file), process, "nbdfuse", log, READY_TIMEOUT_S)

    def grow(self, address: NbdAddress, folder: Path, size_bytes: int) -> None:
        raise CannotGrow("nbdfuse cannot take over a new size: detach and attach again")
