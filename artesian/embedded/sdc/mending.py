"""What a client does when a request did not go through.

A write that some copy does not have is never acknowledged: the managers are asked to mark the copies that
did not answer as stale, and the write is sent again to those that remain. If the managers refuse (it was the
last good copy), it is tried again until the copy is back or the time is over.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Coroutine
from typing import Any, Protocol

import structlog

from artesian.embedded import wire
from artesian.embedded.datalink import Buffer, DataLink, FutureWaiter
from artesian.embedded.errors import EngineError
from artesian.embedded.sdc.equalizing import NoRoom, Unreadable, equalize_chunk, read_good_block
from artesian.embedded.sdc.nbd import IoRequest
from artesian.embedded.sdc.operations import Operation, ReadOperation, Sink, WriteOperation
from artesian.embedded.sdc.servers import RemoteServer
from artesian.embedded.sdc.volume import CHUNK_MASK, VolumeEngine
from artesian.embedded.wire import BLOCK_BYTES, CHUNK_BYTES, Status
from artesian.embedded.wire import Operation as Op

log = structlog.get_logger()

FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 0.3
CHUNKS_PER_STATUS = 64


class ManagerPort(Protocol):
    """What a volume needs of the managers."""

    async def report_failed(self, device_ids: list[str], reason: str) -> None:
        """Have these devices' copies marked stale; returns when the new map is applied."""

    async def refresh(self) -> None:
        """Fetch and apply the newest map."""

    def devices_of(self, server: RemoteServer) -> list[str]: ...


class Mender:
    """The slow path of one volume."""

    def __init__(self, engine: VolumeEngine, managers: ManagerPort, io_timeout_s: float) -> None:
        self._engine = engine
        self._managers = managers
        self._io_timeout_s = io_timeout_s
        self._loop = asyncio.get_running_loop()
        self._troubled: list[Operation] = []
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._pause_s = FIRST_PAUSE_S
        self.start(self._run())

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run something beside, and keep hold of it."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """End everything; operations in trouble are answered with an error."""
        for task in list(self._tasks):
            task.cancel()
        troubled, self._troubled = self._troubled, []
        for operation in troubled:
            self._engine.give_up(operation, self._engine.stopped_with or errno.EIO)

    # --- operations in trouble

    def take(self, operation: Operation) -> None:
        """Take over an operation that did not go through."""
        if not operation.deadline:
            operation.deadline = self._loop.time() + self._io_timeout_s
        self._troubled.append(operation)
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            troubled, self._troubled = self._troubled, []
            try:
                await self._mend(troubled)
            except (EngineError, OSError, TimeoutError) as error:
                log.warning("volume.waiting", volume_id=self._engine.volume_id, because=str(error))
                await self._pause()
                for operation in troubled:
                    self._again(operation)

    async def _mend(self, troubled: list[Operation]) -> None:
        """Find out what went wrong, do what helps, and send again."""
        lost: dict[RemoteServer, None] = {}
        failed_devices: set[str] = set()
        refresh = False
        again: list[Operation] = []
        for operation in troubled:
            statuses = self._statuses(operation)
            if Status.FENCED in statuses and not self._engine.read_only:
                self._fence("another client has opened the volume")
            if self._engine.stopped_with:
                self._engine.give_up(operation, self._engine.stopped_with)
            elif Status.INVALID in statuses:
                self._engine.give_up(operation, errno.EINVAL)
            elif Status.BAD_BLOCK in statuses:
                self.start(self._mend_bad_block(operation))
            elif Status.NO_SPACE in statuses and not {Status.LOST, Status.STALE_MAP} & statuses:
                assert isinstance(operation, WriteOperation)
                self.start(self._mend_no_space(operation))
            elif isinstance(operation, ReadOperation) and self._try_other_copy(operation):
                pass
            else:
                refresh = True
                again.append(operation)
                if isinstance(operation, WriteOperation):
                    self._blame(operation, lost, failed_devices)
        if lost or failed_devices:
            await self.report(lost, failed_devices)
        elif refresh:
            await self._managers.refresh()
        if again:
            before = self._loop.time()
            await self._pause()
            log.debug("volume.again", operations=len(again), paused_s=self._loop.time() - before)
        for operation in again:
            self._again(operation)

    def _try_other_copy(self, operation: ReadOperation) -> bool:
        """A read whose server was lost goes to another copy at once, without asking the managers."""
        targets = self._route_targets(operation.chunk)
        if operation.status not in (Status.LOST, Status.DEVICE_ERROR) or operation.attempt >= len(targets):
            return False
        if not any(server.link.is_open for server, _ in targets):
            return False
        operation.attempt += 1
        self._engine.send_read(operation)
        return True

    def _statuses(self, operation: Operation) -> set[int]:
        if isinstance(operation, ReadOperation):
            return {operation.status}
        return {status for _, status, _ in operation.problems or ()}

    def _blame(
        self, operation: WriteOperation, lost: dict[RemoteServer, None], failed_devices: set[str]
    ) -> None:
        """Which servers and devices did not take this write."""
        for link, status, _ in operation.problems or ():
            server = link.owner
            if not isinstance(server, RemoteServer):
                continue
            if status == Status.LOST:
                lost[server] = None
            elif status == Status.DEVICE_ERROR:
                for target, device in self._route_targets(operation.chunk):
                    if target is server:
                        failed_devices.add(f"{device:016x}")

    def _route_targets(self, chunk: int) -> tuple[tuple[RemoteServer, int], ...]:
        engine = self._engine
        return engine.routes[(engine.first + chunk) & engine.mask].targets

    async def report(self, lost: dict[RemoteServer, None], failed_devices: set[str]) -> None:
        """Have the managers mark the copies on lost servers and failed devices as stale."""
        device_ids = set(failed_devices)
        for server in lost:
            device_ids.update(self._managers.devices_of(server))
        because = "a client could not write to them"
        await self._managers.report_failed(sorted(device_ids), because)

    def _again(self, operation: Operation) -> None:
        if self._loop.time() > operation.deadline:
            log.error("volume.io_error", volume_id=self._engine.volume_id, chunk=operation.chunk,
                      because="no in-sync copy could be reached in time")  # fmt: skip
            self._give_up(operation)
        elif isinstance(operation, ReadOperation):
            operation.attempt += 1
            self._engine.send_read(operation)
        else:
            self._engine.send_write(operation, even_if_frozen=True)

    def _give_up(self, operation: Operation) -> None:
        """Answer EIO; a write may be on one copy and not on the other, and must not be forgotten."""
        if isinstance(operation, WriteOperation):
            operation.sink.done(errno.EIO)
            self.start(self._equalize_abandoned(operation))
        else:
            self._engine.give_up(operation, errno.EIO)

    async def _equalize_abandoned(self, operation: WriteOperation) -> None:
        """Until the copies are equal the write stays outstanding, so that its chunk stays open everywhere."""
        engine, chunk = self._engine, operation.chunk
        while not engine.stopped_with:
            while chunk in engine.frozen:
                await asyncio.sleep(FIRST_PAUSE_S)
            engine.freeze(chunk)
            try:
                await self._drain(chunk, operation)
                await equalize_chunk(engine, chunk)
                engine.outstanding.pop(operation.sequence, None)
                return
            except NoRoom:
                engine.outstanding.pop(operation.sequence, None)
                return
            except Unreadable:
                return  # the next opening compares
            except (EngineError, OSError, TimeoutError) as error:
                log.debug("volume.equalize_waiting", volume_id=engine.volume_id, because=str(error))
            finally:
                engine.thaw(chunk)
            await asyncio.sleep(LONGEST_PAUSE_S)

    async def _pause(self) -> None:
        """A pause that grows while trouble goes on."""
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        if not self._troubled:
            self._pause_s = FIRST_PAUSE_S

    def _fence(self, because: str) -> None:
        if not self._engine.stopped_with:
            log.error("volume.fenced", volume_id=self._engine.volume_id, because=because)
            self._engine.stop(errno.EIO)

    # --- bad blocks

    async def _mend_bad_block(self, operation: Operation) -> None:
        """Repair bad blocks from the other copy, and send the request again."""
        try:
            if isinstance(operation, ReadOperation):
                assert operation.bad_at is not None
                await self._repair(operation.chunk, [operation.bad_at])
            else:
                bad = [(link, blocks) for link, status, blocks in operation.problems or ()
                       if status == Status.BAD_BLOCK]  # fmt: skip
                await self._repair(operation.chunk, bad)
        except Unreadable as error:
            log.error("volume.unreadable", volume_id=self._engine.volume_id, chunk=operation.chunk,
                      because=str(error))  # fmt: skip
            self._give_up(operation)
            return
        except (EngineError, OSError, TimeoutError) as error:
            log.warning("volume.repair_failed", volume_id=self._engine.volume_id, because=str(error))
            await self._pause()
        self._again(operation)

    async def _repair(self, chunk: int, bad: list[tuple[DataLink, Buffer]]) -> None:
        """Replace each bad block by the other copy's; raises Unreadable when no copy is good."""
        for link, payload in bad:
            for block in wire.unpack_blocks(bytes(payload)):
                data = await read_good_block(self._engine, chunk, block, link)
                if data is None or self._engine.read_only:
                    continue  # the block was accepted where it is; or it is the writer's to repair
                route = self._engine.routes[(self._engine.first + chunk) & self._engine.mask]
                for server, device in route.targets:
                    if server.link is link:
                        await link.ask(
                            Op.REPAIR, device=device, volume=self._engine.number, chunk=chunk,
                            offset=block * BLOCK_BYTES, length=BLOCK_BYTES, epoch=self._engine.epoch,
                            generation=route.generation, payload=data,
                        )  # fmt: skip
                        self._engine.unflushed[server] = 1
                        log.info("block.repaired", volume_id=self._engine.volume_id, chunk=chunk, block=block)

    # --- no room

    async def _mend_no_space(self, operation: WriteOperation) -> None:
        """One copy had no room, the other may have had: make them equal, then say that there is no space."""
        engine = self._engine
        chunk = operation.chunk
        while chunk in engine.frozen:
            await asyncio.sleep(FIRST_PAUSE_S)
        engine.freeze(chunk)
        try:
            await self._drain(chunk, operation)
            await equalize_chunk(engine, chunk)
        except NoRoom:
            pass
        except (EngineError, OSError, TimeoutError, Unreadable) as error:
            log.warning("volume.equalize_failed", volume_id=engine.volume_id, because=str(error))
            await self._pause()
            self._again(operation)
            return
        finally:
            engine.thaw(chunk)
        engine.give_up(operation, errno.ENOSPC)

    async def _drain(self, chunk: int, but: WriteOperation) -> None:
        """Wait until no other write of the chunk is on its way (those held back have not been sent)."""
        while any(
            other.chunk == chunk and other is not but and other.waiting
            for other in self._engine.outstanding.values()
        ):
            await asyncio.sleep(0.002)

    # --- flush

    def flush(self, request: IoRequest) -> None:
        """Everything that was answered before is on stable storage when the request is done."""
        if not self._engine.unflushed and not self._engine.flushing:
            request.done()
            return
        self.start(self._flush(request))

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
        remaining = targets
        try:
            while remaining and not engine.stopped_with:
                try:
                    remaining = await self._flush_servers(remaining)
                except (EngineError, OSError, TimeoutError) as error:
                    log.warning("volume.flush_waiting", volume_id=engine.volume_id, because=str(error))
                if remaining:
                    await self._pause()
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
        waiters = []
        for server in servers:
            waiter = FutureWaiter()
            server.link.send(waiter, Op.FLUSH)
            waiters.append((server, waiter))
        lost: dict[RemoteServer, None] = {}
        failed_devices: set[str] = set()
        again: list[RemoteServer] = []
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
            await self.report(lost, failed_devices)
        members = {server for route in self._engine.routes for server, _ in route.targets}
        return [server for server in again if server in members]

    # --- block status

    def block_status(self, request: IoRequest) -> None:
        """Which parts of the volume hold data; answers for a part of the range when it is long."""
        self.start(self._block_status(request))

    async def _block_status(self, request: IoRequest) -> None:
        engine = self._engine
        end = min(request.offset + request.length, ((request.offset >> 20) + CHUNKS_PER_STATUS) << 20)
        extents: list[tuple[int, int]] = []
        at = request.offset
        while at < end:
            chunk, within = at >> 20, at & CHUNK_MASK
            held = await self._chunk_status(chunk)
            stop = min(CHUNK_BYTES, within + end - at)
            while within < stop:
                block_end = min((within // BLOCK_BYTES + 1) * BLOCK_BYTES, stop)
                flags = 0 if held[within // BLOCK_BYTES] else 3  # NBD_STATE_HOLE | NBD_STATE_ZERO
                if extents and extents[-1][1] == flags:
                    extents[-1] = (extents[-1][0] + block_end - within, flags)
                else:
                    extents.append((block_end - within, flags))
                at += block_end - within
                within = block_end
        if engine.stopped_with:
            request.done(engine.stopped_with)
            return
        request.status(extents)
        request.done()

    async def _chunk_status(self, chunk: int) -> bytes:
        """Which blocks of the chunk hold data; all of them when nobody can tell."""
        route = self._engine.routes[(self._engine.first + chunk) & self._engine.mask]
        for server, device in route.targets:
            status, payload = await server.link.ask(
                Op.STATUS, device=device, volume=self._engine.number, chunk=chunk
            )
            if status == Status.OK and len(payload) == wire.BLOCKS_PER_CHUNK:
                return bytes(payload)
        return b"\x01" * wire.BLOCKS_PER_CHUNK


class _FlushAfter:
    __slots__ = ("_mender", "_request")

    def __init__(self, mender: Mender, request: IoRequest) -> None:
        self._mender = mender
        self._request = request

    def data(self, offset: int, buffer: Buffer) -> None:
        self._request.data(offset, buffer)

    def done(self, error: int = 0) -> None:
        if error:
            self._request.done(error)
        else:
            self._mender.flush(self._request)
