"""Flush: everything that was answered before is on stable storage on every server that was written to."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING

import structlog

from artesian.embedded.datalink import Buffer, FutureWaiter
from artesian.embedded.errors import EngineError
from artesian.embedded.sdc.mending import Mender, pause_s
from artesian.embedded.sdc.nbd import IoRequest
from artesian.embedded.sdc.operations import Sink
from artesian.embedded.sdc.servers import RemoteServer
from artesian.embedded.wire import Operation as Op
from artesian.embedded.wire import Status

if TYPE_CHECKING:
    from artesian.embedded.sdc.volume import VolumeEngine

log = structlog.get_logger()


class Flusher:
    """The flushes of one volume."""

    def __init__(self, engine: VolumeEngine, mender: Mender, io_timeout_s: float) -> None:
        self._engine = engine
        self._mender = mender
        self._io_timeout_s = io_timeout_s
        self._loop = asyncio.get_running_loop()

    def flush(self, request: IoRequest) -> None:
        """Everything that was answered before is on stable storage when the request is done."""
        if not self._engine.unflushed and not self._engine.flushing:
            request.done()
            return
        self._mender.start(self._flush(request))

    def flush_after(self, request: IoRequest) -> Sink:
        """A sink that flushes before it says that the request is done (forced unit access)."""
        return _FlushAfter(self, request)

    async def _flush(self, sink: Sink) -> None:
        engine = self._engine
        targets = list(engine.unflushed | engine.flushing)
        engine.unflushed.clear()
        deadline = self._loop.time() + self._io_timeout_s
        for server in targets:
            engine.flushing[server] = engine.flushing.get(server, 0) + 1
        remaining, attempt = targets, 0
        try:
            while remaining and not engine.stopped_with:
                try:
                    remaining = await self._flush_servers(remaining)
                except (EngineError, OSError, TimeoutError) as error:
                    log.warning("volume.flush_waiting", volume_id=engine.volume_id, because=str(error))
                if remaining:
                    await asyncio.sleep(pause_s(attempt))
                    attempt += 1
                    if self._loop.time() > deadline:
                        break
        finally:
            for server in targets:
                engine.flushing[server] -= 1
                if not engine.flushing[server]:
                    del engine.flushing[server]
        if remaining:
            engine.unflushed.update(dict.fromkeys(remaining, 1))
        sink.done(errno.EIO if remaining else 0)

    async def _flush_servers(self, servers: list[RemoteServer]) -> list[RemoteServer]:
        """Flush each; the result are those that have to be flushed again."""
        lost: dict[RemoteServer, None] = {}
        failed_devices: set[str] = set()
        again: list[RemoteServer] = []
        waiters = []
        for server in servers:
            if server.unreported:
                lost[server] = None
                again.append(server)
                continue
            waiter = FutureWaiter()
            server.link.send(waiter, Op.FLUSH)
            waiters.append((server, waiter))
        for server, waiter in waiters:
            status, payload = await waiter.future
            if status == Status.OK:
                continue
            again.append(server)
            if status == Status.LOST:
                lost[server] = None
            elif status == Status.DEVICE_ERROR and len(payload) == 8:
                failed_devices.add(f"{int.from_bytes(payload, 'little'):016x}")
        if lost or failed_devices:
            await self._mender.report(lost, failed_devices)
        members = {server for route in self._engine.routes for server, _ in route.targets}
        return [server for server in again if server in members]


class _FlushAfter:
    __slots__ = ("_flusher", "_request")

    def __init__(self, flusher: Flusher, request: IoRequest) -> None:
        self._flusher = flusher
        self._request = request

    def data(self, offset: int, buffer: Buffer) -> None:
        self._request.data(offset, buffer)

    def done(self, error: int = 0) -> None:
        if error:
            self._request.done(error)
        else:
            self._flusher.flush(self._request)
