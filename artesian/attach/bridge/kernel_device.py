"""One of the kernel's NBD devices, /dev/nbdN, connected to us.

The kernel talks to us over a pair of sockets, which lives as long as we do. Left to itself it would fail
whatever is under way when a server is restarted, and forget the device.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import threading
from pathlib import Path

from artesian.attach.address import FLAG_READ_ONLY, ExportInfo
from artesian.attach.bridge.bridge import say
from artesian.attach.errors import CannotGrow, ToolFailed

SECTOR_BYTES = 4096
_SET_SOCKET, _SET_BLOCK_SIZE, _DO_IT, _CLEAR_SOCKET = 0xAB00, 0xAB01, 0xAB03, 0xAB04
_SET_SIZE_BLOCKS, _DISCONNECT, _SET_TIMEOUT, _SET_FLAGS = 0xAB07, 0xAB08, 0xAB09, 0xAB0A
_MAX_BLOCKS = (1 << 31) - 1
_KERNEL_FLAGS = 0x67  # flags are there, read-only, flush, trim, write zeroes; no FUA: it flushes instead
_SOCKET_BUFFER_BYTES = 4 << 20


class KernelDevice:
    """Connected as long as this object, or this process, lives. `socket` is our end."""

    def __init__(self, path: Path, export: ExportInfo, read_only: bool) -> None:
        """Raises ToolFailed if the device is in use, or the kernel does not want to."""
        self._path = path
        self.socket, self._theirs = socket.socketpair()
        for end in (self.socket, self._theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER_BYTES)
        flags = (export.flags | 1 | (FLAG_READ_ONLY if read_only else 0)) & _KERNEL_FLAGS
        try:
            self._control = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise ToolFailed(f"{path} cannot be opened: {error.strerror}") from None
        try:
            fcntl.ioctl(self._control, _SET_BLOCK_SIZE, SECTOR_BYTES)
            fcntl.ioctl(self._control, _SET_SIZE_BLOCKS, _blocks(export.size_bytes))
            fcntl.ioctl(self._control, _SET_TIMEOUT, 0)
            fcntl.ioctl(self._control, _SET_FLAGS, flags)
            fcntl.ioctl(self._control, _SET_SOCKET, self._theirs.fileno())
        except (OSError, CannotGrow) as error:
            os.close(self._control)
            raise ToolFailed(f"{path} cannot be connected: {error}") from None
        self._thread = threading.Thread(target=self._stay, name="nbd", daemon=True)
        self._thread.start()

    def _stay(self) -> None:
        """The device lives while this call lasts. A signal would end it, so none may come here."""
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            fcntl.ioctl(self._control, _DO_IT)
        except OSError as error:
            say(f"{self._path}: {error.strerror}")
        self.socket.shutdown(socket.SHUT_RDWR)  # lets the other thread know

    def resized(self, size_bytes: int) -> None:
        """The volume has grown, and so does the device."""
        try:
            fcntl.ioctl(self._control, _SET_SIZE_BLOCKS, _blocks(size_bytes))
        except (OSError, CannotGrow) as error:
            say(f"{self._path} does not take over the new size: {error}")

    def close(self) -> None:
        """Let the device go. Whoever still uses it gets errors."""
        for command in (_DISCONNECT, _CLEAR_SOCKET):
            try:
                fcntl.ioctl(self._control, command)
            except OSError:
                pass
        self._thread.join(5.0)
        os.close(self._control)


def _blocks(size_bytes: int) -> int:
    blocks = size_bytes // SECTOR_BYTES
    if blocks > _MAX_BLOCKS:
        raise CannotGrow("the kernel's NBD client takes up to 8 TiB")
    return blocks
