"""Carrying out the requests of clients on this server's devices. The hot path of the server.

The rules that decide whether a request may be served are explained in `access.py`.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from artesian.embedded import wire
from artesian.embedded.device.checksums import ZERO_BLOCK
from artesian.embedded.errors import BadBlock, DeviceError, NoSpace
from artesian.embedded.sds.access import AccessTable, ServedDevice, VolumeAccess
from artesian.embedded.sds.session import DataSession, Handler
from artesian.embedded.wire import CHUNK_BYTES, Flag, Operation, Status

ZERO_ENTRY = struct.pack("<Q", ZERO_BLOCK)


class Requests:
    """The handlers of the operations that clients use."""

    def __init__(
        self,
        table: AccessTable,
        flush_forwarded: Callable[[], Awaitable[bool]],
        device_failed: Callable[[ServedDevice, str], None],
    ) -> None:
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
            Operation.OPEN: self.open,
            Operation.LIST_OPEN: self.list_open,
            Operation.TABLE: self.table,
            Operation.REPAIR: self.repair,
            Operation.BLESS: self.bless,
            Operation.COMPLETE: self.complete,
            Operation.STATUS: self.status,
        }

    # fmt: off
    def ping(self, session: DataSession, flags: int, tag: int, device: int, volume: int, chunk: int, offset: int,
             length: int, epoch: int, generation: int, sequence: int, payload: memoryview) -> None:
        session.reply(tag, Status.OK)

    def read(self, session: DataSession, flags: int, tag: int, device: int, volume: int, chunk: int, offset: int,
             length: int, epoch: int, generation: int, sequence: int, payload: memoryview) -> None:
        # fmt: on
        served = self._devices.get(device)
        access = self._volumes.get(volume)
        if served is None or access is None:
            session.reply(tag, Status.STALE_MAP)
            return
        if offset + length > CHUNK_BYTES or not length:
            session.invalid(tag)
            return
        member = served.generations[served.slice_of(volume, chunk)]
        if not member or (generation < member and not flags & Flag.PEER):
            session.reply(tag, Status.STALE_MAP)
            return
        if epoch != access.epoch and not flags & Flag.PEER:
            if epoch < access.epoch:
                session.reply(tag, Status.FENCED)
                return
            access.epoch = epoch
        try:
            data = served.store.read(volume, chunk, offset, length, cached_only=True)
        except DeviceError as error:
            self._refuse(session, tag, served, error)
            return
        if data is None:
            self._start(self._read_from_disk(session, tag, served, volume, chunk, offset, length))
            return
        served.read_count += 1
        served.read_bytes += length
        session.reply(tag, Status.OK, data)

    async def _read_from_disk(
        self, session: DataSession, tag: int, served: ServedDevice, volume: int, chunk: int, offset: int, length: int
    ) -> None:
        """The bytes are not in memory: a thread fetches them, so that other requests go on."""
        try:
            await self._loop.run_in_executor(None, served.store.prefetch, volume, chunk, offset, length)
            data = served.store.read(volume, chunk, offset, length)
        except DeviceError as error:
            self._refuse(session, tag, served, error)
            return
        served.read_count += 1
        served.read_bytes += length
        session.reply(tag, Status.OK, data)

    # fmt: off
    def write(self, session: DataSession, flags: int, tag: int, device: int, volume: int, chunk: int, offset: int,
              length: int, epoch: int, generation: int, sequence: int, payload: memoryview) -> None:
        # fmt: on
        served = self._devices.get(device)
        access = self._volumes.get(volume)
        if served is None or access is None:
            session.reply(tag, Status.STALE_MAP)
            return
        if offset + length > CHUNK_BYTES or not length or length != len(payload):
            session.invalid(tag)
            return
        if flags & Flag.FORWARDED:
            if served.joining_jobs.get(served.slice_of(volume, chunk)) != epoch:
                session.reply(tag, Status.STALE_MAP)
                return
        elif not self._may_write(session, tag, served, access, chunk, epoch, generation):
            return
        try:
            served.store.write(volume, chunk, offset, payload, generation, sequence,
                               spare=bool(flags & Flag.FORWARDED))  # fmt: skip
        except DeviceError as error:
            self._refuse(session, tag, served, error)
            return
        served.write_count += 1
        served.write_bytes += length
        served.syncer.dirty = True
        if served.joins:
            join = served.joins.get(served.slice_of(volume, chunk))
            if join is not None and join.forward(
                session, tag, Operation.WRITE, volume, chunk, offset, length, generation, sequence, flags, payload
            ):
                return
        session.reply(tag, Status.OK)

    # fmt: off
    def zero(self, session: DataSession, flags: int, tag: int, device: int, volume: int, chunk: int, offset: int,
             length: int, epoch: int, generation: int, sequence: int, payload: memoryview) -> None:
        # fmt: on
        served = self._devices.get(device)
        access = self._volumes.get(volume)
        if served is None or access is None:
            session.reply(tag, Status.STALE_MAP)
            return
        if offset + length > CHUNK_BYTES or not length:
            session.invalid(tag)
            return
        if flags & Flag.FORWARDED:
            if served.joining_jobs.get(served.slice_of(volume, chunk)) != epoch:
                session.reply(tag, Status.STALE_MAP)
                return
        elif not self._may_write(session, tag, served, access, chunk, epoch, generation):
            return
        keep = access.keep_allocated or bool(flags & Flag.KEEP_ALLOCATED)
        try:
            served.store.zero(volume, chunk, offset, length, generation, sequence, keep_allocated=keep)
        except DeviceError as error:
            self._refuse(session, tag, served, error)
            return
        served.write_count += 1
        served.syncer.dirty = True
        if served.joins:
            join = served.joins.get(served.slice_of(volume, chunk))
            if join is not None and join.forward(
                session, tag, Operation.ZERO, volume, chunk, offset, length, generation, sequence, flags, None
            ):
                return
        session.reply(tag, Status.OK)

    def _may_write(
        self,
        session: DataSession,
        tag: int,
        served: ServedDevice,
        access: VolumeAccess,
        chunk: int,
        epoch: int,
        generation: int,
    ) -> bool:
        """Whether a writer's request may be carried out; answers it if not."""
        if epoch != access.epoch:
            if epoch < access.epoch:
                session.reply(tag, Status.FENCED)
                return False
            access.epoch = epoch
        member = served.generations[served.slice_of(access.number, chunk)]
        if not member or generation < member:
            session.reply(tag, Status.STALE_MAP)
            return False
        return True

    def _refuse(self, session: DataSession, tag: int, served: ServedDevice, error: DeviceError) -> None:
        if isinstance(error, NoSpace):
            session.reply(tag, Status.NO_SPACE)
        elif isinstance(error, BadBlock):
            served.bad_blocks += len(error.blocks)
            session.reply(tag, Status.BAD_BLOCK, wire.pack_blocks(error.blocks))
        else:
            self._device_failed(served, str(error))
            session.reply(tag, Status.DEVICE_ERROR)

    # fmt: off
    def flush(self, session: DataSession, flags: int, tag: int, device: int, volume: int, chunk: int, offset: int,
              length: int, epoch: int, generation: int, sequence: int, payload: memoryview) -> None:
        self._start(self._flush(session, tag))

    async def _flush(self, session: DataSession, tag: int) -> None:
        """Every device that was written to, and whatever joins have passed on to other servers."""
        devices = list(self._devices.values())
        # fmt: on
        results = await asyncio.gather(
            *(served.syncer.sync() for served in devices), self._flush_forwarded(), return_exceptions=True
        )
        for served, result in zip(devices, results, strict=False):
            if isinstance(result, BaseException):
                self._device_failed(served, str(result))
                session.reply(tag, Status.DEVICE_ERROR, served.number.to_bytes(8, "little"))
                return
        session.reply(tag, Status.OK if results[-1] is True else Status.STALE_MAP)

    # fmt: off
    def open(self, session: DataSession, flags: int, tag: int, device: int, volume: int, chunk: int, offset: int,
             length: int, epoch: int, generation: int, sequence: int, payload: memoryview) -> None:
        # fmt: on
        access = self._volumes.get(volume)
        if access is None:
            session.reply(tag, Status.STALE_MAP)
        elif epoch < access.epoch:
            session.reply(tag, Status.FENCED)
        else:
            access.epoch = epoch
            session.reply(tag, Status.OK)

    # fmt: off
    def list_open(self, session: DataSession, flags: int, tag: int, device: int, volume: int, chunk: int,
                  offset: int, length: int, epoch: int, generation: int, sequence: int, payload: memoryview,
                  ) -> None:
        # fmt: on
        served = self._devices.get(device)
        if served is None:
            session.reply(tag, Status.STALE_MAP)
            return
        chunks = served.store.open_chunks_of(volume)
        session.reply(tag, Status.OK, struct.pack(f"<{len(chunks)}I", *chunks))

    # fmt: off
    def table(self, session: DataSession, flags: int, tag: int, device: int, volume: int, chunk: int, offset: int,
              length: int, epoch: int, generation: int, sequence: int, payload: memoryview) -> None:
        # fmt: on
        served = self._devices.get(device)
        if served is None:
            session.reply(tag, Status.STALE_MAP)
            return
        try:
            table = served.store.table(volume, chunk, verify=bool(flags & Flag.VERIFY))
        except DeviceError as error:
            self._refuse(session, tag, served, error)
            return
        if table is None:
            session.reply(tag, Status.OK, wire.ABSENT_TABLE)
        else:
            packed = wire.pack_table(table.generation, table.open, table.checksums, table.bad)
            session.reply(tag, Status.OK, packed)

    # fmt: off
    def repair(self, session: DataSession, flags: int, tag: int, device: int, volume: int, chunk: int, offset: int,
               length: int, epoch: int, generation: int, sequence: int, payload: memoryview) -> None:
        # fmt: on
        served = self._devices.get(device)
        access = self._volumes.get(volume)
        if served is None or access is None:
            session.reply(tag, Status.STALE_MAP)
            return
        if len(payload) != wire.BLOCK_BYTES or offset % wire.BLOCK_BYTES or offset >= CHUNK_BYTES:
            session.invalid(tag)
            return
        if not self._may_write(session, tag, served, access, chunk, epoch, generation):
            return
        try:
            done = served.store.repair(volume, chunk, offset // wire.BLOCK_BYTES, payload)
        except DeviceError as error:
            self._refuse(session, tag, served, error)
            return
        served.syncer.dirty = True
        session.reply(tag, Status.OK if done else Status.REFUSED)

    # fmt: off
    def bless(self, session: DataSession, flags: int, tag: int, device: int, volume: int, chunk: int, offset: int,
              length: int, epoch: int, generation: int, sequence: int, payload: memoryview) -> None:
        # fmt: on
        served = self._devices.get(device)
        access = self._volumes.get(volume)
        if served is None or access is None:
            session.reply(tag, Status.STALE_MAP)
            return
        if offset >= CHUNK_BYTES:
            session.invalid(tag)
            return
        if not self._may_write(session, tag, served, access, chunk, epoch, generation):
            return
        try:
            done = served.store.bless(volume, chunk, offset // wire.BLOCK_BYTES)
        except DeviceError as error:
            self._refuse(session, tag, served, error)
            return
        session.reply(tag, Status.OK if done else Status.REFUSED)

    # fmt: off
    def complete(self, session: DataSession, flags: int, tag: int, device: int, volume: int, chunk: int,
                 offset: int, length: int, epoch: int, generation: int, sequence: int, payload: memoryview,
                 ) -> None:
        # fmt: on
        access = self._volumes.get(volume)
        if access is not None and epoch >= access.epoch:
            access.safe_sequence = max(access.safe_sequence, sequence)
        session.reply(tag, Status.OK)

    # fmt: off
    def status(self, session: DataSession, flags: int, tag: int, device: int, volume: int, chunk: int, offset: int,
               length: int, epoch: int, generation: int, sequence: int, payload: memoryview) -> None:
        # fmt: on
        served = self._devices.get(device)
        if served is None or not served.generations[served.slice_of(volume, chunk)]:
            session.reply(tag, Status.STALE_MAP)
            return
        try:
            table = served.store.table(volume, chunk)
        except DeviceError as error:
            self._refuse(session, tag, served, error)
            return
        if table is None:
            session.reply(tag, Status.OK, bytes(wire.BLOCKS_PER_CHUNK))
            return
        sums = table.checksums
        held = bytes(sums[at : at + 8] != ZERO_ENTRY for at in range(0, wire.TABLE_BYTES, 8))
        session.reply(tag, Status.OK, held)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
