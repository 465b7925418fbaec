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
from artesian.embedded.datalink import Buffer, DataLink
from artesian.embedded.errors import EngineError
from artesian.embedded.sdc.equalizing import NoRoom, Unreadable, equalize_chunk, read_good_block
from artesian.embedded.sdc.operations import Operation, ReadOperation, WriteOperation
from artesian.embedded.sdc.servers import RemoteServer
from artesian.embedded.sdc.volume import VolumeEngine
from artesian.embedded.wire import BLOCK_BYTES, Status
from artesian.embedded.wire import Operation as Op

log = structlog.get_logger()

FIRST_PAUSE_S = 0.002
LONGEST_PAUSE_S = 0.3
FROZEN_PAUSE_S = 0.01


class ManagerPort(Protocol):
    """What a volume needs of the managers."""

    async def report_failed(self, device_ids: list[str], reason: str) -> None:
        """Have these devices' copies marked stale; returns when the new map is applied."""

    async def refresh(self) -> None:
        """Fetch and apply the newest map."""

    def devices_of(self, server: RemoteServer) -> list[str]: ...


def pause_s(attempt: int) -> float:
    """How long to wait before an attempt, the first being 0; each one waits twice as long."""
    return min(FIRST_PAUSE_S * 2.0 ** min(attempt, 16), LONGEST_PAUSE_S)


class Mender:
    """The slow path of one volume.

    Each operation has pauses of its own: while copies are made or lost, many fail once and go through at the
    second attempt, and must not wait for one that fails for long.
    """

    def __init__(self, engine: VolumeEngine, managers: ManagerPort, io_timeout_s: float) -> None:
        self._engine = engine
        self._managers = managers
        self._io_timeout_s = io_timeout_s
        self._loop = asyncio.get_running_loop()
        self._troubled: list[Operation] = []
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting: dict[Operation, asyncio.TimerHandle] = {}  # to be sent again later
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
        for handle in self._waiting.values():
            handle.cancel()
        left = [*self._troubled, *self._waiting]
        self._troubled, self._waiting = [], {}
        for operation in left:
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
            await self._mend(troubled)

    async def _mend(self, troubled: list[Operation]) -> None:
        """Find out what went wrong, do what helps, and send again."""
        lost: dict[RemoteServer, None] = {}
        failed_devices: set[str] = set()
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
                again.append(operation)
                if isinstance(operation, WriteOperation):
                    self._blame(operation, lost, failed_devices)
        try:
            if lost or failed_devices:
                await self.report(lost, failed_devices)
            elif again:
                await self._managers.refresh()
        except (EngineError, OSError, TimeoutError) as error:
            log.warning("volume.waiting", volume_id=self._engine.volume_id, because=str(error))
        except asyncio.CancelledError:
            self._troubled += again  # they are answered when the volume is closed
            raise
        for operation in again:
            self._later(operation)

    def _later(self, operation: Operation) -> None:
        """Send an operation again after a pause that grows with its attempts."""
        self._waiting[operation] = self._loop.call_later(pause_s(operation.attempt), self._again, operation)

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
        for server in lost:
            server.unreported = False

    def _again(self, operation: Operation) -> None:
        self._waiting.pop(operation, None)
        operation.attempt += 1
        if self._loop.time() > operation.deadline:
            log.error("volume.io_error", volume_id=self._engine.volume_id, chunk=operation.chunk,
                      because="no in-sync copy could be reached in time")  # fmt: skip
            self._give_up(operation)
        elif isinstance(operation, ReadOperation):
            self._engine.send_read(operation)
        else:
            self._engine.send_write(operation)

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
                await asyncio.sleep(FROZEN_PAUSE_S)
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
            self._later(operation)
            return
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
            await asyncio.sleep(FROZEN_PAUSE_S)
        engine.freeze(chunk)
        try:
            await self._drain(chunk, operation)
            await equalize_chunk(engine, chunk)
        except NoRoom:
            pass
        except (EngineError, OSError, TimeoutError, Unreadable) as error:
            log.warning("volume.equalize_failed", volume_id=engine.volume_id, because=str(error))
            self._later(operation)
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
