"""Carrying out clients' reads, writes and flushes on this server's devices. The hot path of the server.

The rules that decide whether a request may be served are explained in `access.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from artesian.embedded import wire
from artesian.embedded.datalink import Buffer
from artesian.embedded.errors import BadBlock, DeviceError, NoSpace
from artesian.embedded.sds.access import AccessTable, ServedDevice, VolumeAccess
from artesian.embedded.sds.session import DataSession, Handler
from artesian.embedded.wire import CHUNK_BYTES, Flag, Operation, Request, Status

FORWARDED = int(Flag.FORWARDED)
PEER = int(Flag.PEER)
KEEP_ALLOCATED = int(Flag.KEEP_ALLOCATED)
SHARED = int(Flag.SHARED)
OK = int(Status.OK)
STALE_MAP = int(Status.STALE_MAP)
FENCED = int(Status.FENCED)

DeviceFailed = Callable[[ServedDevice, str], None]


def refuse(
    session: DataSession, tag: int, served: ServedDevice, error: DeviceError, device_failed: DeviceFailed
) -> None:
    """Answer a request that the device could not carry out."""
    if isinstance(error, NoSpace):
        session.reply(tag, Status.NO_SPACE)
    elif isinstance(error, BadBlock):
        served.bad_blocks += len(error.blocks)
        served.errors += len(error.blocks)
        session.reply(tag, Status.BAD_BLOCK, wire.pack_blocks(error.blocks))
    else:
        device_failed(served, str(error))
        session.reply(tag, Status.DEVICE_ERROR)


def may_write(session: DataSession, request: Request, served: ServedDevice, access: VolumeAccess) -> bool:
    """Whether a writer's request may be carried out; answers it if not."""
    epoch = request.epoch
    if epoch != access.epoch:
        if epoch < access.epoch:
            session.reply(request.tag, FENCED)
            return False
        access.epoch = epoch
    member = served.generations[served.slice_of(request.volume, request.chunk)]
    if not member or request.generation < member:
        session.reply(request.tag, STALE_MAP)
        return False
    return True


class Requests:
    """The handlers of PING, READ, WRITE, ZERO and FLUSH."""

    def __init__(
        self,
        table: AccessTable,
        flush_forwarded: Callable[[], Awaitable[bool]],
        device_failed: DeviceFailed,
    ) -> None:
        self._table = table
        self._devices = table.devices
        self._volumes = table.volumes
        self._flush_forwarded = flush_forwarded
        self._device_failed = device_failed
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def handlers(self) -> dict[int, Handler]:
        """The handler of each operation."""
        return {
            Operation.PING: self.ping,
            Operation.READ: self.read,
            Operation.WRITE: self.write,
            Operation.ZERO: self.zero,
            Operation.FLUSH: self.flush,
        }

    def ping(self, session: DataSession, request: Request, payload: memoryview) -> None:
        session.reply(request.tag, OK)

    def read(self, session: DataSession, request: Request, payload: memoryview) -> None:
        _, _, flags, _, tag, device, volume, chunk, offset, length, epoch, generation, _ = request
        served = self._devices.get(device)
        access = self._volumes.get(volume)
        if served is None or access is None:
            session.reply(tag, STALE_MAP)
            return
        if offset + length > CHUNK_BYTES or not length:
            session.invalid(tag)
            return
        member = served.generations[served.slice_of(volume, chunk)]
        if not member or (generation < member and not flags & PEER):
            session.reply(tag, STALE_MAP)
            return
        if epoch != access.epoch and not flags & PEER:
            if epoch < access.epoch:
                session.reply(tag, FENCED)
                return
            access.epoch = epoch
        into = None
        if flags & SHARED:
            into = session.shared.answer(payload, length) if session.shared is not None else None
            if into is None:
                session.invalid(tag)
                return
        try:
            data = served.store.read(volume, chunk, offset, length, cached_only=True, into=into)
        except DeviceError as error:
            refuse(session, tag, served, error, self._device_failed)
            return
        if data is None:
            self._start(self._read_from_disk(session, request, served, into))
            return
        self._answer(session, request, served, data, into)

    def _answer(
        self,
        session: DataSession,
        request: Request,
        served: ServedDevice,
        data: Buffer,
        into: memoryview | None,
    ) -> None:
        served.read_count += 1
        served.read_bytes += request.length
        if into is None:
            session.reply(request.tag, OK, data)
            return
        if data is not into:
            into[:] = data
        session.reply(request.tag, OK)

    async def _read_from_disk(
        self, session: DataSession, request: Request, served: ServedDevice, into: memoryview | None
    ) -> None:
        """The bytes are not in memory: a thread fetches them, so that other requests go on."""
        place = (request.volume, request.chunk, request.offset, request.length)
        try:
            await self._loop.run_in_executor(None, served.read_times.measure, served.store.prefetch, *place)
            data = served.store.read(*place)
        except DeviceError as error:
            refuse(session, request.tag, served, error, self._device_failed)
            return
        assert data is not None
        self._answer(session, request, served, data, into)

    def write(self, session: DataSession, request: Request, payload: memoryview) -> None:
        (
            payload_length,
            _,
            flags,
            _,
            tag,
            device,
            volume,
            chunk,
            offset,
            length,
            epoch,
            generation,
            sequence,
        ) = request
        served = self._devices.get(device)
        access = self._volumes.get(volume)
        if served is None or access is None:
            session.reply(tag, STALE_MAP)
            return
        if flags & SHARED:
            shared = session.shared.payload(payload, length) if session.shared is not None else None
            if shared is None:
                session.invalid(tag)
                return
            payload, payload_length = shared, length
            request = request._replace(payload_length=length, flags=flags & ~SHARED)
        if offset + length > CHUNK_BYTES or not length or length != payload_length:
            session.invalid(tag)
            return
        forwarded = flags & FORWARDED
        if forwarded:
            if served.joining_jobs.get(served.slice_of(volume, chunk)) != epoch:
                session.reply(tag, STALE_MAP)
                return
        elif not may_write(session, request, served, access):
            return
        if served.held and (volume, chunk) in served.held:
            served.disk_work.hold(self.write, session, request, payload)
            return
        try:
            if not served.store.write(
                volume, chunk, offset, payload, generation, sequence, spare=bool(forwarded),
                may_wait=bool(forwarded),
            ):  # fmt: skip
                served.disk_work.hold(self.write, session, request, payload)
                return
        except DeviceError as error:
            refuse(session, tag, served, error, self._device_failed)
            return
        served.write_count += 1
        served.write_bytes += length
        served.syncer.dirty = True
        if served.joins:
            join = served.joins.get(served.slice_of(volume, chunk))
            if join is not None and join.forward(session, request, payload):
                return
        session.reply(tag, OK)

    def zero(self, session: DataSession, request: Request, payload: memoryview) -> None:
        tag, volume, chunk = request.tag, request.volume, request.chunk
        served = self._devices.get(request.device)
        access = self._volumes.get(volume)
        if served is None or access is None:
            session.reply(tag, STALE_MAP)
            return
        if request.offset + request.length > CHUNK_BYTES or not request.length:
            session.invalid(tag)
            return
        if request.flags & FORWARDED:
            if served.joining_jobs.get(served.slice_of(volume, chunk)) != request.epoch:
                session.reply(tag, STALE_MAP)
                return
        elif not may_write(session, request, served, access):
            return
        if served.held and (volume, chunk) in served.held:
            served.disk_work.hold(self.zero, session, request, payload)
            return
        try:
            if not served.store.zero(
                volume, chunk, request.offset, request.length, request.generation, request.sequence,
                keep_allocated=access.keep_allocated or bool(request.flags & KEEP_ALLOCATED),
                may_wait=bool(request.flags & FORWARDED),
            ):  # fmt: skip
                served.disk_work.hold(self.zero, session, request, payload)
                return
        except DeviceError as error:
            refuse(session, tag, served, error, self._device_failed)
            return
        served.write_count += 1
        served.syncer.dirty = True
        if served.joins:
            join = served.joins.get(served.slice_of(volume, chunk))
            if join is not None and join.forward(session, request, None):
                return
        session.reply(tag, OK)

    def flush(self, session: DataSession, request: Request, payload: memoryview) -> None:
        self._start(self._flush(session, request.tag))

    async def _flush(self, session: DataSession, tag: int) -> None:
        """Every device that was written to, and whatever joins have passed on to other servers."""
        if not self._table.ready:
            session.reply(tag, STALE_MAP)
            return
        for served in self._devices.values():
            if served.error is not None and served.trusted:  # the managers still count on it
                session.reply(tag, Status.DEVICE_ERROR, served.number.to_bytes(8, "little"))
                return
        # A device that has failed already serves nothing any more; its copies are being marked stale.
        devices = [served for served in self._devices.values() if served.error is None]
        results = await asyncio.gather(
            *(served.syncer.sync() for served in devices), self._flush_forwarded(), return_exceptions=True
        )
        for served, result in zip(devices, results, strict=False):
            if isinstance(result, BaseException):
                self._device_failed(served, str(result))
                session.reply(tag, Status.DEVICE_ERROR, served.number.to_bytes(8, "little"))
                return
        session.reply(tag, OK if results[-1] is True else STALE_MAP)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
