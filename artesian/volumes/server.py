"""The plugin's Unix socket: HTTP by Python's own library, a thread for each connection."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import structlog

from artesian.volumes.protocol import Answer, VolumeDriver

_CONTENT_TYPE = "application/vnd.docker.plugins.v1.2+json"
_LARGEST_BYTES = 1 << 20
_MOST_DIGITS = 18  # of a length
_ANSWERS_S = 2.0  # whatever takes a connection by then is alive
_LONGEST_PATH = 107

log = structlog.get_logger()


class PluginServer:
    """Serves at a path, as long as nobody else does."""

    def __init__(self, path: Path, driver: VolumeDriver) -> None:
        self._path = path
        self._driver = driver
        self._server: _Server | None = None
        self._inode = 0
        self._lock = threading.Lock()

    def ensure(self) -> str:
        """Serve, if we do not yet, or if our socket was taken away; why that is not possible, or empty."""
        with self._lock:
            if self._server is not None and self._inode_there() == self._inode:
                return ""
            self._close()
            return self._serve()

    def close(self) -> None:
        """Serve no more. Requests that are under way go on."""
        with self._lock:
            self._close()

    def _serve(self) -> str:
        if len(os.fsencode(self._path)) > _LONGEST_PATH:
            return f"no volumes for containers: {self._path} is too long for a socket"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            if _is_served(self._path):
                return (
                    f"no volumes for containers: another program serves {self._path} already; end it, or "
                    "let only one agent run on this machine"
                )
            self._path.unlink(missing_ok=True)
            self._server = _Server(str(self._path), self._driver)
            self._path.chmod(0o600)
            self._inode = self._inode_there()
        except OSError as error:
            return f"no volumes for containers: {self._path}: {error.strerror or error}"
        threading.Thread(target=self._server.serve_forever, name="volume plugin", daemon=True).start()
        log.info("volumes for containers are served", socket=str(self._path))
        return ""

    def _close(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        if self._inode_there() == self._inode:
            with contextlib.suppress(OSError):
                self._path.unlink()
        threading.Thread(target=server.end, name="volume plugin's end", daemon=True).start()

    def _inode_there(self) -> int:
        try:
            return os.stat(self._path, follow_symlinks=False).st_ino
        except OSError:
            return 0


def _is_served(path: Path) -> bool:
    """Whether somebody takes connections there. A socket that was left behind takes none."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWERS_S)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except TimeoutError:
            return True
        except OSError as error:
            log.debug("a socket cannot be tried", path=str(path), reason=str(error))
            return False  # then it is no socket; binding says what is wrong
        return True


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, path: str, driver: VolumeDriver) -> None:
        self.driver = driver
        super().__init__(path, _Handler)

    def end(self) -> None:
        """Take no more connections; takes a moment."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is nothing to speak of."""
        log.debug("a container engine's connection has ended by an error", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        """Every call of the protocol."""
        body = self._body()
        if body is None:
            self.close_connection = True
            self._send(Answer(400, {"Err": "the request's length is missing, or too large"}))
            return
        answer = self.server.driver.answer(self.path, body)
        try:
            self._send(answer)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
            self.server.driver.not_heard(answer)

    def do_GET(self) -> None:
        """No call of the protocol."""
        self._send(Answer(405, {"Err": "every call is a POST"}))

    def _body(self) -> bytes | None:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        length = self.headers.get("Content-Length", "0").strip()
        if not length.isdecimal() or len(length) > _MOST_DIGITS or int(length) > _LARGEST_BYTES:
            return None
        return self.rfile.read(int(length))

    def _chunks(self) -> bytes | None:
        found = b""
        while True:
            text = self.rfile.readline(64).split(b";")[0].strip()
            try:
                size = int(text, 16)
            except ValueError:
                return None
            if not 0 <= size <= _LARGEST_BYTES - len(found):
                return None
            found += self.rfile.read(size)
            self.rfile.readline(64)
            if size == 0:
                return found

    def _send(self, answer: Answer) -> None:
        content = json.dumps(answer.document).encode() + b"\n"
        self.send_response(answer.status)
        self.send_header("Content-Type", _CONTENT_TYPE)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """What matters is told elsewhere."""

    def address_string(self) -> str:
        """Whoever is at a Unix socket has none."""
        return "local"
