"""A real gateway over HTTPS on a loopback port, with an engine in memory behind it."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import PyPowerFlex
import pytest
import structlog
from starlette.types import Receive, Scope, Send

from artesian.embedded.gateway.application import Gateway
from artesian.embedded.gateway.certificate import ensure_certificate
from artesian.embedded.gateway.context import Timing
from artesian.embedded.gateway.server import HttpsServer

from .engine import PASSWORD, MemoryEngine, Topology


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return ensure_certificate(tmp_path_factory.mktemp("certificate"), "127.0.0.1")


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


@pytest.fixture
def topology(engine: MemoryEngine) -> Topology:
    return Topology(engine)


@pytest.fixture
def timing() -> Timing:
    return Timing(device_s=0.5, volume_s=0.5, poll_s=0.005)


class Serving:
    """An HTTPS server in a thread of its own; each test has a new gateway in it."""

    def __init__(self, private: Path) -> None:
        self.gateway: Gateway | None = None
        self._private = private
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.port = 0

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.gateway is not None
        await self.gateway(scope, receive, send)

    async def _serve(self) -> None:
        server = HttpsServer(self._answer, "127.0.0.1", 0, str(self._private))
        await server.start()
        self.port = server.port
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._started.set()
        await self._stopping.wait()
        await server.stop()

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture(scope="session")
def https(certificate: tuple[Path, Path]) -> Iterator[Serving]:
    serving = Serving(certificate[0])
    serving.start()
    yield serving
    serving.stop()


@pytest.fixture
def serving(https: Serving, engine: MemoryEngine, timing: Timing) -> Serving:
    https.gateway = Gateway(engine, timing)
    return https


@pytest.fixture
def anonymous(serving: Serving, certificate: tuple[Path, Path]) -> Iterator[httpx.Client]:
    """A client without credentials, which verifies the certificate."""
    with httpx.Client(
        base_url=f"https://127.0.0.1:{serving.port}",
        verify=ssl.create_default_context(cafile=str(certificate[1])),
        timeout=10,
    ) as client:
        yield client


@pytest.fixture
def rest(anonymous: httpx.Client) -> httpx.Client:
    """A client that is logged in as the administrator."""
    token = anonymous.get("/api/login", auth=("admin", PASSWORD)).json()
    anonymous.auth = httpx.BasicAuth("", token)
    return anonymous


@pytest.fixture
def powerflex(serving: Serving, certificate: tuple[Path, Path]) -> PyPowerFlex.PowerFlexClient:
    """Dell's own client, as it comes from the package index."""
    client = PyPowerFlex.PowerFlexClient(
        gateway_address="127.0.0.1",
        gateway_port=serving.port,
        username="admin",
        password=PASSWORD,
        verify_certificate=True,
        certificate_path=str(certificate[1]),
        log_level=logging.CRITICAL,
    )
    client.initialize()
    return client
