"""Starting the bridge, and letting it take over a volume's new size."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

from artesian.attach import daemons
from artesian.attach.address import NbdAddress
from artesian.attach.errors import CannotGrow

GROW_TIMEOUT_S = 60.0  # what is under way is finished first


def start(
    kind: str,
    path: Path,
    address: NbdAddress,
    folder: Path,
    log: Path,
    *,
    read_only: bool,
    cached: bool = False,
) -> Popen[bytes]:
    """`kind` is "file" or "device". It is ready when what it is to show is there. Raises ToolFailed."""
    options = (["--read-only"] if read_only else []) + [kind] + (["--cached"] if cached else [])
    arguments: list[str | Path] = ["-P", "-m", "artesian.attach.bridge"]
    arguments += [*options, path, str(address)]
    return daemons.start(sys.executable, arguments, mark=str(folder), log=log, folder=folder)


def refresh_size(folder: Path, size_bytes: int, seen: Callable[[], int]) -> None:
    """Have the bridge look for a new size, and wait until it is seen. Raises CannotGrow."""
    for process_id in daemons.find(str(folder)):
        os.kill(process_id, signal.SIGHUP)
    deadline = time.monotonic() + GROW_TIMEOUT_S
    while (size := seen()) != size_bytes:
        if time.monotonic() > deadline:
            raise CannotGrow(f"the attached device still has {size} bytes, not {size_bytes}")
        time.sleep(0.01)
