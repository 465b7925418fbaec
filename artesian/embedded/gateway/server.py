"""The gateway as a process: HTTPS on one address, and a link to the leading manager."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Iterator
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from artesian.embedded.config import GatewayConfig
from artesian.embedded.control import Connection, ManagerLink
from artesian.embedded.errors import EngineError
from artesian.embedded.gateway.application import Gateway
from artesian.embedded.gateway.certificate import ensure_certificate

log = structlog.get_logger()

_GRACE_S = 5  # how long requests under way may take after SIGTERM
_KEEP_ALIVE_S = 60
_TICK_S = 0.2


class HttpsServer:
    """Serves an ASGI application over TLS. `port` may be 0: any that is free."""

    def __init__(self, application: ASGIApp, ip: str, port: int, private_file: str) -> None:
        self._application = application
        self._address = (ip, port)
        self._private_file = private_file
        self._task: asyncio.Task[None] | None = None
        self._server: _Server | None = None
        self.port = port

    async def start(self) -> None:
        """Returns when connections are accepted. Raises EngineError if the address cannot be had."""
        ip, port = self._address
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        try:
            listener = socket.create_server((ip, port), family=family, backlog=1024)
        except OSError as error:
            raise EngineError(f"cannot listen on {ip} port {port}: {error.strerror}") from error
        # Inherited by what is accepted. asyncio does this only for sockets whose protocol number is given.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = listener.getsockname()[1]
        self._server = _Server(_uvicorn_config(self._application, self._private_file))
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            await asyncio.wait([self._task], timeout=0.01)
            if self._task.done():
                listener.close()
                self._task.result()
                raise EngineError("the HTTPS server ended at once")

    async def stop(self) -> None:
        """Lets requests under way finish, for a few seconds; connections without one end at once."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        while not self._task.done():
            await asyncio.wait([self._task], timeout=_TICK_S)
            for connection in list(self._server.server_state.connections):
                if _is_idle(connection):
                    connection.transport.abort()  # a TLS goodbye would wait for clients that have gone
        self._task.result()


def _is_idle(connection: Any) -> bool:
    """uvicorn's protocols keep their current request in `cycle`."""
    return connection.cycle is None or connection.cycle.response_complete


class GatewayService:
    """The whole process' work, for `run_process`."""

    def __init__(self, config: GatewayConfig, secret: bytes) -> None:
        self._config = config
        self._link = ManagerLink(
            config.manager_addresses,
            secret,
            "gateway",
            _ignore,
            register=lambda: ("register_gateway", {}),
            on_registered=lambda _answer: log.info("gateway.manager_found"),
        )
        self._following: asyncio.Task[None] | None = None
        self._server: HttpsServer | None = None

    async def start(self) -> None:
        private, _public = ensure_certificate(self._config.certificate_dir, self._config.ip)
        self._following = asyncio.create_task(self._link.run())
        self._server = HttpsServer(Gateway(self._link), self._config.ip, self._config.port, str(private))
        await self._server.start()
        log.info("gateway.started", ip=self._config.ip, port=self._server.port)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following


class _Server(uvicorn.Server):
    """Signals are handled by whoever runs the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(HttpToolsProtocol):
    """Answers in JSON also to what is no HTTP."""

    def send_400_response(self, msg: str) -> None:
        body = json.dumps({"message": msg, "httpStatusCode": 400, "errorCode": 0}).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


class _ToStructlog(logging.Handler):
    """uvicorn's own warnings, in our log."""

    def emit(self, record: logging.LogRecord) -> None:
        log.log(record.levelno, "gateway.http", detail=record.getMessage())


def _uvicorn_config(application: ASGIApp, private_file: str) -> uvicorn.Config:
    logger = logging.getLogger("uvicorn")
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    if not any(isinstance(handler, _ToStructlog) for handler in logger.handlers):
        logger.addHandler(_ToStructlog())
    return uvicorn.Config(
        application,
        interface="asgi3",
        http=_Protocol,
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ssl_certfile=private_file,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )


async def _ignore(_connection: Connection, _kind: str, _body: dict[str, Any]) -> dict[str, Any]:
    """Managers tell gateways nothing of their own accord."""
    return {}
