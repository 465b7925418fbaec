"""A disk that becomes slow when a test says so: a file in a node's dev folder, behind which a server sleeps.

It keeps its bytes in memory. Reading and writing are as fast as ever; what takes long is a flush.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import subprocess
import threading
import time
from pathlib import Path

from artesian.attach import fuse, mounts, tools

_MAGIC, _OPTION_MAGIC, _REPLY_MAGIC = b"NBDMAGIC", b"IHAVEOPT", 0x3E889045565A9
_REQUEST = struct.Struct(">IHHQQI")
_OPTION = struct.Struct(">8sII")
_GO, _ABORT = 7, 2
_ACKNOWLEDGED, _INFO, _UNSUPPORTED = 1, 3, 0x80000001
_FLAGS = 0b1 | 0b100 | 0x100  # there are flags, flushes, and several connections
_READ, _WRITE, _END, _FLUSH = range(4)


def unavailable() -> str | None:
    """Why there can be none on this machine."""
    return tools.missing("nbdfuse") or fuse.available()


class SlowDisk:
    """`flush_s`: how long a flush takes from now on."""

    def __init__(self, path: Path, socket_path: Path, size_bytes: int) -> None:
        self.path = path
        self.flush_s = 0.0
        self.content = bytearray(size_bytes)
        self._server = _Server(str(socket_path), _Connection)
        self._server.disk = self
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        path.touch()
        uri = f"nbd+unix:///?socket={socket_path}"
        self._mount = subprocess.Popen(["nbdfuse", str(path), uri], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while mounts.mounted_at(path) is None:
            assert time.monotonic() < deadline and self._mount.poll() is None, "nbdfuse does not start"
            time.sleep(0.02)

    def close(self) -> None:
        """Pull it out."""
        self.flush_s = 0.0
        subprocess.run(["umount", "-l", str(self.path)], check=False)
        self._mount.terminate()
        self._mount.wait(20)
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    disk: SlowDisk


class _Connection(socketserver.BaseRequestHandler):
    request: socket.socket
    server: _Server

    def handle(self) -> None:
        """One client of the protocol that nbdkit speaks, too."""
        try:
            if self._shake_hands():
                while self._serve():
                    pass
        except (ConnectionError, EOFError):
            pass

    def _receive(self, count: int) -> bytes:
        data = self.request.recv(count, socket.MSG_WAITALL) if count else b""
        if len(data) != count:
            raise EOFError
        return data

    def _shake_hands(self) -> bool:
        self.request.sendall(_MAGIC + _OPTION_MAGIC + struct.pack(">H", 0b11))
        self._receive(4)
        while True:
            _, option, length = _OPTION.unpack(self._receive(_OPTION.size))
            self._receive(length)
            if option == _GO:
                export = struct.pack(">HQH", 0, len(self.server.disk.content), _FLAGS)
                self._reply(option, _INFO, export)
            known = option in (_GO, _ABORT)
            self._reply(option, _ACKNOWLEDGED if known else _UNSUPPORTED)
            if known:
                return option == _GO

    def _reply(self, option: int, kind: int, data: bytes = b"") -> None:
        self.request.sendall(struct.pack(">QIII", _REPLY_MAGIC, option, kind, len(data)) + data)

    def _serve(self) -> bool:
        _, _, kind, cookie, offset, length = _REQUEST.unpack(self._receive(_REQUEST.size))
        disk, data = self.server.disk, b""
        if kind == _END:
            return False
        if kind == _READ:
            data = bytes(disk.content[offset : offset + length])
        elif kind == _WRITE:
            disk.content[offset : offset + length] = self._receive(length)
        elif kind == _FLUSH:
            time.sleep(disk.flush_s)
        self.request.sendall(struct.pack(">IIQ", 0x67446698, 0, cookie) + data)
        return True
