"""Managers as real processes, for tests and drills."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import yaml

from artesian.embedded.control import Connection, ManagerLink, connect
from artesian.embedded.errors import EngineError
from tests.patience import PATIENCE

SECRET = b"the engine's secret, 32 bytes..."


async def ignore(connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    return {}


class PatientLink(ManagerLink):
    """Waits for managers that share their processors with other tests."""

    async def request(
        self, kind: str, body: dict[str, Any], timeout_s: float = 10.0 * PATIENCE, *, once: bool = False
    ) -> dict[str, Any]:
        return await super().request(kind, body, timeout_s, once=once)


class ManagerProcesses:
    """`count` managers on loopback addresses of their own, with free ports."""

    def __init__(
        self, folder: Path, count: int = 3, roles: str = "MMMMM", running: int | None = None
    ) -> None:
        self.folder = folder
        self.count = count
        self.running: dict[int, subprocess.Popen[bytes]] = {}
        net = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250) + 1}"
        (folder / "secret").write_bytes(SECRET)
        (folder / "secret").chmod(0o600)
        self.peers: list[dict[str, Any]] = [
            {
                "name": f"mdm{n}",
                "ip": f"{net}.{n + 1}",
                "raft_port": free_port(f"{net}.{n + 1}"),
                "control_port": free_port(f"{net}.{n + 1}"),
                "role": "TieBreaker" if roles[n] == "T" else "Manager",
            }
            for n in range(count)
        ]
        for n in range(count):
            self.configure(n, self.peers if running is None or n >= running else self.peers[:running])

    def configure(self, n: int, peers: list[dict[str, Any]]) -> None:
        config = self.peers[n] | {"data_dir": f"mdm{n}", "secret_file": "secret", "peers": peers}
        (self.folder / f"mdm{n}.yaml").write_text(yaml.safe_dump(config))

    def start(self, n: int) -> None:
        log = (self.folder / f"mdm{n}.log").open("ab")
        self.running[n] = subprocess.Popen(
            [sys.executable, "-m", "artesian.embedded.mdm", str(self.folder / f"mdm{n}.yaml")], stderr=log
        )
        log.close()

    def start_all(self) -> None:
        for n in range(self.count):
            self.start(n)

    def kill(self, n: int) -> None:
        """kill -9."""
        process = self.running.pop(n)
        process.kill()
        process.wait()

    def terminate(self, n: int) -> int:
        """SIGTERM; the exit code."""
        process = self.running.pop(n)
        process.send_signal(signal.SIGTERM)
        return process.wait(10)

    def stop(self) -> None:
        for n in list(self.running):
            self.kill(n)

    def addresses(self) -> list[tuple[str, int]]:
        return [(str(peer["ip"]), int(peer["control_port"])) for peer in self.peers]

    async def leader(self, patience_s: float = 20.0) -> int:
        """The manager that leads, or is about to, by asking each."""
        deadline = time.monotonic() + patience_s * PATIENCE
        while (found := await self._who_leads()) is None:
            assert time.monotonic() < deadline, "no manager leads"
            await asyncio.sleep(0.05)
        return found

    async def _who_leads(self) -> int | None:
        for n in list(self.running):
            peer = self.peers[n]
            with contextlib.suppress(OSError, EngineError):
                connection = await connect(peer["ip"], peer["control_port"], SECRET, "gateway", ignore, 0.5)
                try:
                    await connection.request("register_gateway", {}, 1.0)
                    return n
                finally:
                    connection.close()
        return None

    @contextlib.asynccontextmanager
    async def link(self) -> AsyncIterator[ManagerLink]:
        """A gateway's connection to whoever leads."""
        link = PatientLink(
            self.addresses(), SECRET, "gateway", ignore, lambda: ("register_gateway", {}), lambda _: None
        )
        task = asyncio.create_task(link.run())
        try:
            yield link
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def log(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("mdm*.log")))


def free_port(ip: str) -> int:
    """A port that nobody uses now, outside of the range that connections take theirs from."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((ip, port))
            return port


def resident_bytes(process_id: int) -> int:
    """Memory that a process uses now."""
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
