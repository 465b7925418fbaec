"""The gateway as a process: started with a config file, stopped with SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from artesian.embedded.control import Connection, serve

from .engine import PASSWORD, MemoryEngine, Topology

SECRET = b"a secret of the engine's processes"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class OneManager:
    """A leading manager on a real control port, over an engine in memory."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        self.port = free_port()
        self._started = threading.Event()
        self._connections: list[Connection] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _handle(self, _connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        if kind == "register_gateway":
            return {"system_id": self._engine.state.system_id}
        return await self._engine.request(kind, body, once=True)

    async def _serve(self) -> None:
        server = await serve("127.0.0.1", self.port, SECRET, self._handle, self._connections.append, None)
        self._stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._started.set()
        while not self._stopping.is_set():
            for connection in self._connections:
                if not connection.closed.is_set():
                    connection.push("ping", {})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 0.5)
        server.close()
        for connection in self._connections:
            connection.close()

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)


@pytest.fixture
def manager(engine: MemoryEngine, topology: Topology) -> Iterator[OneManager]:
    manager = OneManager(engine)
    manager.start()
    yield manager
    manager.stop()


class Process:
    """A gateway that was started by hand."""

    def __init__(self, folder: Path, manager_port: int, **changes: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.folder = folder
        secret = folder / "secret"
        secret.write_bytes(SECRET)
        secret.chmod(0o600)
        config = {
            "ip": "127.0.0.1",
            "port": self.port,
            "managers": [f"127.0.0.1:{manager_port}"],
            "secret_file": "secret",
            "certificate_dir": "certificate",
        }
        self.config = folder / "gateway.yaml"
        self.config.write_text(json.dumps(config | changes))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "artesian.embedded.gateway", str(self.config)],
            stderr=subprocess.PIPE,
            env=os.environ | {"ARTESIAN_LOG": "info"},
        )

    @contextlib.contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """Once its certificate is there and it answers."""
        certificate = self.folder / "certificate" / "gateway.crt"
        deadline = time.monotonic() + 30
        while True:
            assert self.process.poll() is None, self.process.communicate()[1].decode()
            with contextlib.suppress(httpx.TransportError, OSError):
                trusted = ssl.create_default_context(cafile=str(certificate))
                httpx.get(f"https://127.0.0.1:{self.port}/api/version", verify=trusted)
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with httpx.Client(base_url=f"https://127.0.0.1:{self.port}", verify=trusted, timeout=10) as client:
            yield client

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors.decode()


Starter = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Starts gateways on one folder; whatever still runs at the end of the test is killed."""
    started: list[Process] = []

    def start_one(manager_port: int, **changes: Any) -> Process:
        started.append(Process(tmp_path, manager_port, **changes))
        return started[-1]

    yield start_one
    for gateway in started:
        if gateway.process.poll() is None:
            gateway.process.kill()
            gateway.process.communicate()


def test_from_start_to_sigterm(start: Starter, manager: OneManager, topology: Topology) -> None:
    gateway = start(manager.port)
    with gateway.client() as client:
        token = client.get("/api/login", auth=("admin", PASSWORD)).json()
        pools = client.get("/api/types/StoragePool/instances", auth=("", token)).json()
        assert [pool["id"] for pool in pools] == [topology.pool]
        code, log = gateway.end()
    assert code == 0
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"gateway.started", "gateway.request"} <= {line["event"] for line in lines}
    assert PASSWORD not in log
    assert token not in log


def test_a_killed_gateway_comes_back_with_its_certificate_and_takes_its_old_tokens(
    start: Starter, tmp_path: Path, manager: OneManager
) -> None:
    first = start(manager.port)
    with first.client() as client:
        token = client.get("/api/login", auth=("admin", PASSWORD)).json()
    certificate = (tmp_path / "certificate" / "gateway.pem").read_bytes()
    first.end(signal.SIGKILL)
    second = start(manager.port)
    with second.client() as client:
        assert client.get("/api/types/System/instances", auth=("", token)).status_code == 200
    assert (tmp_path / "certificate" / "gateway.pem").read_bytes() == certificate
    assert second.end()[0] == 0


def test_without_managers_it_starts_and_says_so(start: Starter) -> None:
    gateway = start(free_port())
    with gateway.client() as client:
        assert client.get("/api/version").json() == "3.6"
        answer = client.get("/api/login", auth=("admin", PASSWORD))
        assert (answer.status_code, answer.json()["httpStatusCode"]) == (503, 503)
        assert gateway.end()[0] == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"certificat_dir": "x"}, "unknown key 'certificat_dir'"),
        ({"certificate_dir": "secret"}, "certificate_dir"),
        ({"ip": "192.0.2.1"}, "cannot listen on 192.0.2.1"),
    ],
)
def test_a_config_that_cannot_work_is_one_line(
    start: Starter, changes: dict[str, str], expected: str
) -> None:
    gateway = start(free_port(), **changes)
    _, errors = gateway.process.communicate(timeout=30)
    assert gateway.process.returncode in (1, 2)
    message = errors.decode().splitlines()[-1]
    assert message.startswith("error: ")
    assert expected in message
    assert "Traceback" not in errors.decode()
