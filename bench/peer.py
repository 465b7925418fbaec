"""The yardstick: nbdkit's file plugin, one copy, one hop, written in C."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def nbdkit_file(folder: Path, size_bytes: int) -> Iterator[str]:
    """Serves a file in the folder; gives its NBD URI."""
    disk = folder / "peer.img"
    socket = folder / "peer.sock"
    socket.unlink(missing_ok=True)
    with disk.open("wb") as file:
        file.truncate(size_bytes)
    process = subprocess.Popen(["nbdkit", "-f", "-U", str(socket), "file", str(disk)])
    try:
        while not socket.exists():
            time.sleep(0.01)
        yield f"nbd+unix:///?socket={socket}"
    finally:
        process.terminate()
        process.wait()
        disk.unlink()
