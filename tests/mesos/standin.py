"""A server that answers as it is told, for what no real Mesos does on demand."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from artesian.mesos.recordio import encode

Json = dict[str, Any]
Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """One request; `body` is what was sent."""

    protocol_version = "HTTP/1.1"
    server: _Server
    body: Any = None

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.body = json.loads(content) if content else None
        self.server.owner.answer_to(self)(self)

    def chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))

    def until_closed(self) -> None:
        """Say nothing more until the other side leaves, or the server ends."""
        with contextlib.suppress(OSError):
            self.connection.settimeout(30)
            self.connection.recv(1)
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: StandIn

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Those who leave in the middle are what this is for."""


class StandIn:
    """Answers requests for a path with what was lined up, the last of it for ever; "/version" as Mesos does.

    "/path#KILL" is the path for calls of this type, where they are to have answers of their own.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._server = _Server(("127.0.0.1", 0), Handler)
        if context is not None:
            # The handshake is made when first read, in the thread of the connection.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._server.owner = self
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.requests: list[tuple[str, Any]] = []
        self._lined_up: dict[str, list[Answer]] = {"/version": [text(200, json.dumps({"version": "1.11.0"}))]}
        self._lock = threading.Lock()

    def __enter__(self) -> StandIn:
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def on(self, path: str, *answers: Answer) -> StandIn:
        self._lined_up[path] = list(answers)
        return self

    def answer_to(self, handler: Handler) -> Answer:
        with self._lock:
            self.requests.append((handler.path, handler.body))
            kind = handler.body.get("type") if isinstance(handler.body, dict) else None
            answers = self._lined_up.get(f"{handler.path}#{kind}") or self._lined_up.get(handler.path)
            answers = answers or [text(404, "")]
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def bodies(self, path: str) -> list[Any]:
        """What was sent to a path."""
        path, _, kind = path.partition("#")
        with self._lock:
            return [
                body for to, body in self.requests if to == path and kind in ("", (body or {}).get("type"))
            ]


def text(status: int, content: str, **headers: str) -> Answer:
    """An answer as a whole."""

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content.encode())))
        handler.end_headers()
        handler.wfile.write(content.encode())

    return answer


def stream(*events: Json, then: str = "end", more: bytes = b"") -> Answer:
    """Events, and `more` bytes after them; then the stream ends in order ("end"), breaks off ("break"), or
    nothing more comes ("hang")."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Mesos-Stream-Id", "the-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for event in events:
            handler.chunk(encode(json.dumps(event).encode()))
        if more:
            handler.chunk(more)
        handler.wfile.flush()
        if then == "hang":
            handler.until_closed()
        elif then == "break":
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
        else:
            handler.wfile.write(b"0\r\n\r\n")

    return answer


def subscribed(heartbeat_s: float = 15.0) -> Json:
    """What a master says first."""
    body = {"framework_id": {"value": "art-1"}, "heartbeat_interval_seconds": heartbeat_s}
    return {"type": "SUBSCRIBED", "subscribed": body}
