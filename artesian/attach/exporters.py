"""Programs that show an NBD export as a file, by FUSE."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Protocol

from artesian.attach import daemons, fuse, tools
from artesian.attach.address import NbdAddress
from artesian.attach.errors import CannotGrow

READY_TIMEOUT_S = 20.0
GROW_TIMEOUT_S = 60.0  # what is under way is finished first


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
        file = fuse.prepare(folder)
        log = folder / fuse.LOG_NAME
        options = (["--read-only"] if read_only else []) + (["--cached"] if cached else [])
        process = daemons.start(
            sys.executable,
            ["-P", "-m", "artesian.attach.bridge", *options, file, str(address)],
            mark=str(folder),
            log=log,
            folder=folder,
        )
        daemons.wait_until(lambda: fuse.is_mounted(file), process, "the bridge", log, READY_TIMEOUT_S)

    def grow(self, address: NbdAddress, folder: Path, size_bytes: int) -> None:
        file = fuse.file_of(folder)
        for process_id in daemons.find(str(folder)):
            os.kill(process_id, signal.SIGHUP)
        deadline = time.monotonic() + GROW_TIMEOUT_S
        while (seen := file.stat().st_size) != size_bytes:
            if time.monotonic() > deadline:
                raise CannotGrow(f"the attached file still has {seen} bytes, not {size_bytes}")
            time.sleep(0.01)


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
