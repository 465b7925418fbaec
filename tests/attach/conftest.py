"""NBD servers to attach to, and the check whether this machine can attach at all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from artesian.attach import attaching, fuse, loop, tools
from artesian.attach.address import NbdAddress, look
from artesian.attach.errors import BadAddress

MIB = 1 << 20


class NbdServer:
    """nbdkit over a file; can be killed and started again, and its file can grow."""

    def __init__(self, folder: Path, size_bytes: int, read_only: bool = False) -> None:
        self.file = folder / "disk.img"
        self.file.touch()
        os.truncate(self.file, size_bytes)
        self.socket = folder / "nbd.sock"
        self.uri = f"nbd+unix:///some%20volume?socket={self.socket}"
        self._read_only = read_only
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        options = ["-r"] if self._read_only else []
        self._process = subprocess.Popen(["nbdkit", "-f", *options, "-U", self.socket, "file", self.file])
        deadline = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < deadline, "nbdkit did not start"
            time.sleep(0.005)

    def _answers(self) -> bool:
        try:
            look(NbdAddress.parse(self.uri))
        except BadAddress:
            return False
        return True

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """Take requests, and answer none of them."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def grow(self, size_bytes: int) -> None:
        os.truncate(self.file, size_bytes)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., NbdServer]]:
    """Start an NBD server: `serve(size_bytes)`."""
    if absent := tools.missing("nbdkit"):
        pytest.skip(f"{absent}, which these tests attach to")
    started: list[NbdServer] = []

    def start(size_bytes: int = 64 * MIB, read_only: bool = False) -> NbdServer:
        folder = tmp_path / f"server-{len(started)}"
        folder.mkdir()
        started.append(NbdServer(folder, size_bytes, read_only))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of one attachment; whatever a test leaves attached is taken away."""
    folder = tmp_path / "attachment"
    yield folder
    attaching.detach(folder, force=True)
    shutil.rmtree(folder, ignore_errors=True)


def require_loop() -> None:
    """Skip, aloud, where no loop device can be made over FUSE."""
    reason = loop.available() or fuse.available()
    if reason:
        pytest.skip(f"no block device can be made on this machine: {reason}")


def require_fuse2fs() -> None:
    """Skip, aloud, where no file system can be mounted in user space."""
    reason = fuse.available() or tools.missing("fuse2fs", "mkfs.ext4")
    if reason:
        pytest.skip(f"no file system can be mounted over FUSE: {reason}")


def processes_of(folder: Path) -> tuple[int, ...]:
    attached = attaching.find(folder)
    return attached.process_ids if attached is not None else ()
