"""The server's process: joins the data port, the link to the managers and the inventory together."""

from __future__ import annotations

import asyncio
import contextlib
import os
from functools import partial
from typing import Any

import structlog

from artesian.embedded.config import SdsConfig
from artesian.embedded.control import Connection, ManagerLink
from artesian.embedded.datalink import listen_locally
from artesian.embedded.device.disk import Disk
from artesian.embedded.errors import DeviceError, EngineError
from artesian.embedded.sds.access import AccessTable, ServedDevice
from artesian.embedded.sds.comparing import Comparing
from artesian.embedded.sds.inventory import Inventory, OpenDisk
from artesian.embedded.sds.joining import JoinTarget
from artesian.embedded.sds.peers import Peers
from artesian.embedded.sds.requests import Requests
from artesian.embedded.sds.session import DataSession

log = structlog.get_logger()

REPORT_INTERVAL_S = 1.0
CLOSE_CHUNKS_INTERVAL_S = 5.0


class StorageServer:
    """One SDS. `start`, then it lives until `stop`."""

    def __init__(self, config: SdsConfig, secret: bytes, open_disk: OpenDisk = Disk.open) -> None:
        self._config = config
        self._secret = secret
        self._loop = asyncio.get_running_loop()
        self._table = AccessTable()
        self._peers = Peers(secret)
        self._wake_report = asyncio.Event()
        self._inventory = Inventory(self._table, self._peers, self._wake_report.set, open_disk)
        requests = Requests(self._table, self._peers.flush, self._inventory.device_failed)
        failed = self._inventory.device_failed
        self._handlers = (
            requests.handlers()
            | Comparing(self._table, failed).handlers()
            | JoinTarget(self._table, failed).handlers()
        )
        self._sessions: set[DataSession] = set()
        self._servers: list[asyncio.Server] = []
        self._server_id: str | None = None
        self._assignment: dict[str, Any] | None = None
        self._assigned = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._link = ManagerLink(
            config.manager_addresses, secret, "sds", self._from_manager, self._registration, self._registered
        )

    async def start(self) -> None:
        """Listen for data, and look for the managers. Raises OSError when the port is taken."""
        ip, port = self._config.ip, self._config.port
        self._servers = [await self._loop.create_server(self._session, ip, port)]
        if ip.startswith("127."):
            self._servers.append(
                await self._loop.create_unix_server(self._session, sock=listen_locally(ip, port))
            )
        self._tasks = [
            self._loop.create_task(work)
            for work in (
                self._link.run(),
                self._carry_out(),
                self._report(),
                self._close_chunks(),
            )
        ]
        log.info("sds.listening", ip=self._config.ip, port=self._config.port, process_id=os.getpid())

    async def stop(self) -> None:
        """Clean stop: no more requests, everything on stable storage."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            server.close()
        for session in list(self._sessions):
            session.close()
        self._peers.close()
        await self._inventory.close()
        log.info("sds.stopped")

    def _session(self) -> DataSession:
        return DataSession(self._secret, self._handlers, self._sessions)

    # --- managers

    def _registration(self) -> tuple[str, dict[str, Any]]:
        return "register_server", {
            "ip": self._config.ip,
            "port": self._config.port,
            "name": self._config.name,
            "process_id": os.getpid(),
        }

    def _registered(self, answer: dict[str, Any]) -> None:
        self._server_id = answer["server_id"]
        self._wake_report.set()

    async def _from_manager(self, connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        if kind == "assignment":
            self._server_id = body["server_id"]
            self._assignment = body
            self._assigned.set()
        return {}

    async def _carry_out(self) -> None:
        """Carry out the newest assignment; again now and then while a disk will not open."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0 if self._inventory.has_problems else None):
                    await self._assigned.wait()
            self._assigned.clear()
            if self._assignment is None:
                continue
            try:
                await self._inventory.apply(self._assignment)
            except (EngineError, OSError, KeyError, ValueError, TypeError):
                log.exception("assignment.failed")
                await asyncio.sleep(1.0)
                self._assigned.set()

    async def _report(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REPORT_INTERVAL_S):
                    await self._wake_report.wait()
            self._wake_report.clear()
            if self._server_id is not None and self._link.connected:
                self._link.push("report", self._inventory.report(self._server_id))

    # --- chunks that have been quiet are closed

    async def _close_chunks(self) -> None:
        """Close chunks that have been quiet for a while; that bounds what a takeover compares."""
        earlier: dict[int, int] = {}
        while True:
            await asyncio.sleep(CLOSE_CHUNKS_INTERVAL_S)
            settled = {number: earlier.get(number, 0) for number in self._table.volumes}
            earlier = {number: access.safe_sequence for number, access in self._table.volumes.items()}
            for served in self._inventory.served():
                if served.error is None and served.store.open_chunks:
                    await self._close_quiet_chunks(served, settled)

    async def _close_quiet_chunks(self, served: ServedDevice, settled: dict[int, int]) -> None:
        try:
            if not any(served.store.can_close(number, sequence) for number, sequence in settled.items()):
                return
            await served.syncer.sync()
            for number, sequence in settled.items():
                generation_of = partial(_generation, served, number)
                if sequence and served.store.close_chunks(number, sequence, generation_of):
                    served.syncer.dirty = True
        except DeviceError as error:
            self._inventory.device_failed(served, str(error))


def _generation(served: ServedDevice, number: int, chunk: int) -> int:
    """The in-sync generation of a chunk's slice here; 0 when the copy is not in sync."""
    return served.generations[served.slice_of(number, chunk)]
