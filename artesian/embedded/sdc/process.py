"""The client's process: an NBD export for every mapped volume."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog

from artesian.embedded import datalink
from artesian.embedded.arena import Arena, PayloadPool
from artesian.embedded.buffers import BufferPool
from artesian.embedded.config import SdcConfig
from artesian.embedded.errors import EngineError
from artesian.embedded.sdc.cluster_map import ClusterMap
from artesian.embedded.sdc.flushing import Flusher
from artesian.embedded.sdc.managers import ClientManagers
from artesian.embedded.sdc.mending import LONGEST_PAUSE_S, Mender
from artesian.embedded.sdc.nbd import Export, NbdServer
from artesian.embedded.sdc.opening import open_volume
from artesian.embedded.sdc.servers import RemoteServer
from artesian.embedded.sdc.volume import VolumeEngine
from artesian.embedded.wire import Operation, Status
from artesian.host.files import try_lock

log = structlog.get_logger()

KIB = 1024
REPORT_INTERVAL_S = 1.0
PAYLOAD_SLOTS = 16
POOL_BYTES = 16 << 20


def _shared_payloads() -> Arena | None:
    """None where the system has no such memory: everything goes through sockets then."""
    try:
        return Arena(PAYLOAD_SLOTS)
    except OSError as error:
        log.info("memory.not_shared", because=str(error))
        return None


_ID = re.compile(r"[0-9a-f]{16}")


class StorageClient:
    """One SDC. `start`, then it lives until `stop`."""

    def __init__(self, config: SdcConfig, secret: bytes) -> None:
        self._config = config
        self._secret = secret
        self._loop = asyncio.get_running_loop()
        self._map = ClusterMap(self._make_server)
        self._engines: dict[str, VolumeEngine] = {}
        self._peer = datalink.new_peer()
        self._payloads = _shared_payloads()
        self._nbd = NbdServer(
            self._export,
            lambda: [engine.name for engine in self._engines.values()],
            PayloadPool(self._payloads, BufferPool(POOL_BYTES)) if self._payloads is not None else None,
        )
        self._wake_report = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lock: int | None = None
        session = secrets.token_hex(8)
        self._managers = ClientManagers(
            config.manager_addresses, secret, self._map, self._registration, self._map_changed, session
        )
        self._session = session

    async def start(self) -> None:
        """Open the NBD socket and look for the managers. Raises EngineError when another client runs here."""
        self._take_lock()
        await self._nbd.start(Path(self._config.nbd_socket))
        for work in (self._managers.run(), self._report()):
            self._start(work)
        log.info("sdc.listening", nbd_socket=str(self._config.nbd_socket), process_id=os.getpid())

    async def stop(self) -> None:
        """Clean stop: what is under way is finished, then everything is closed."""
        for engine in self._engines.values():
            engine.limit(0, 0, self._loop)  # what is under way has no time to wait for its turn
        await self._nbd.stop()
        await self._settle()
        for engine in self._engines.values():
            engine.stop()
            engine.mender.close()
        for task in list(self._tasks):
            task.cancel()
        for server in self._map.servers.values():
            server.close()
        if self._lock is not None:
            os.close(self._lock)
        log.info("sdc.stopped")

    async def _settle(self) -> None:
        """Tell the servers that all our writes are complete, so that nothing has to be compared later."""
        for engine in self._engines.values():
            if engine.is_open and not engine.read_only and not engine.outstanding:
                self._complete(engine)
        await asyncio.sleep(0)

    def _take_lock(self) -> None:
        """Two clients with one identity would fence each other for ever."""
        path = Path(self._config.state_dir)
        path.mkdir(parents=True, exist_ok=True)
        self._lock = try_lock(path / "sdc.lock")
        if self._lock is None:
            raise EngineError(f"another client already runs with the folder {path}")

    def _start(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- the map

    def _registration(self) -> dict[str, Any]:
        return {
            "guid": self._config.guid,
            "name": self._config.name,
            "ip": self._config.ip,
            "process_id": os.getpid(),
            "session": self._session,
        }

    def _make_server(self, server_id: str, ip: str, port: int) -> RemoteServer:
        return RemoteServer(server_id, ip, port, self._secret, self._peer, self._payloads, self._server_lost)

    def _server_lost(self, server: RemoteServer) -> None:
        """Copies with writes that were not flushed may come back without them: they must be compared."""
        for engine in self._engines.values():
            if server in engine.unflushed and not engine.read_only:
                server.unreported = True
                self._start(self._report_lost(engine, server))
                return

    async def _report_lost(self, engine: VolumeEngine, server: RemoteServer) -> None:
        """Until the managers know; no flush is answered before."""
        while server.unreported and not engine.stopped_with:
            try:
                await engine.mender.report({server: None}, set())
            except (EngineError, OSError, TimeoutError) as error:
                log.warning("server.not_reported", server_id=server.server_id, because=str(error))
                await asyncio.sleep(LONGEST_PAUSE_S)

    def _map_changed(self) -> None:
        wanted = {document["id"]: document for document in self._map.volumes}
        for volume_id in [id for id in self._engines if id not in wanted]:
            self._unmap(volume_id)
        for volume_id, document in wanted.items():
            read_only = document["access_mode"] != "ReadWrite"
            engine = self._engines.get(volume_id)
            if engine is not None and (engine.read_only != read_only or engine.stopped_with):
                self._unmap(volume_id)
                engine = None
            if engine is None:
                self._map_volume(document, read_only)
                continue
            self._limit(engine, document)
            engine.size_bytes = document["size_bytes"]
            if engine.name != document["name"]:
                engine.name = document["name"]
            if read_only:
                engine.epoch = max(engine.epoch, document["epoch"])
        self._wake_report.set()

    def _map_volume(self, document: dict[str, Any], read_only: bool) -> None:
        pool = self._map.pools.get(document["pool_id"])
        if pool is None:
            return
        engine = VolumeEngine(
            document["id"], document["number"], document["name"], document["size_bytes"], document["pool_id"],
            pool, read_only=read_only,
        )  # fmt: skip
        engine.mender = Mender(engine, self._managers, self._config.io_timeout_s)
        engine.flusher = Flusher(engine, engine.mender, self._config.io_timeout_s)
        self._limit(engine, document)
        self._engines[engine.volume_id] = engine
        self._start(open_volume(engine, self._managers))

    def _limit(self, engine: VolumeEngine, document: dict[str, Any]) -> None:
        engine.limit(document["limit_iops"], document["limit_bandwidth_kbps"] * KIB, self._loop)

    def _unmap(self, volume_id: str) -> None:
        engine = self._engines.pop(volume_id)
        engine.stop()
        engine.mender.close()
        self._nbd.drop_export(engine.name)
        log.info("volume.unmapped", volume_id=volume_id, name=engine.name)

    # --- exports

    def _export(self, name: str) -> Export | None:
        """By id, or by name; what looks like an id is never a name: its volume may only not be here yet."""
        is_id = _ID.fullmatch(name) is not None
        engines = self._engines.values()
        return next((one for one in engines if name == (one.volume_id if is_id else one.name)), None)

    def nbd_uri(self, engine: VolumeEngine) -> str:
        """Where a volume can be had."""
        return f"nbd+unix:///{quote(engine.name, safe='')}?socket={quote(str(self._config.nbd_socket))}"

    # --- telling others

    def _complete(self, engine: VolumeEngine) -> None:
        servers = dict.fromkeys(server for route in engine.routes for server, _ in route.targets)
        for server in servers:
            # fmt: off
            server.link.send(_IGNORE, Operation.COMPLETE, volume=engine.number, epoch=engine.epoch,
                             sequence=engine.safe_sequence)
            # fmt: on

    async def _report(self) -> None:
        while True:
            try:
                async with asyncio.timeout(REPORT_INTERVAL_S):
                    await self._wake_report.wait()
            except TimeoutError:
                for engine in self._engines.values():
                    if engine.is_open and not engine.read_only:
                        self._complete(engine)
            self._wake_report.clear()
            self._managers.push_report(
                {
                    engine.volume_id: {
                        "open": engine.is_open,
                        "nbd": self.nbd_uri(engine),
                        "read_bytes": engine.read_bytes,
                        "read_count": engine.read_count,
                        "write_bytes": engine.write_bytes,
                        "write_count": engine.write_count,
                        "trim_bytes": engine.trim_bytes,
                        "trim_count": engine.trim_count,
                    }
                    for engine in self._engines.values()
                }
            )


class _Ignore:
    def answered(self, link: object, status: int, payload: object) -> None:
        if status not in (Status.OK, Status.LOST):
            log.debug("complete.refused", status=status)


_IGNORE = _Ignore()
