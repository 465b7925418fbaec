"""The requests by which a client fences, compares and repairs copies."""

from __future__ import annotations

import struct

from artesian.embedded import wire
from artesian.embedded.errors import DeviceError
from artesian.embedded.sds.access import AccessTable, ServedDevice, VolumeAccess
from artesian.embedded.sds.requests import DeviceFailed, may_write, refuse
from artesian.embedded.sds.session import DataSession, Handler
from artesian.embedded.wire import CHUNK_BYTES, ZERO_ENTRY, Flag, Operation, Request, Status


class Comparing:
    """The handlers of OPEN, COMPLETE, LIST_OPEN, TABLE, STATUS, REPAIR and BLESS."""

    def __init__(self, table: AccessTable, device_failed: DeviceFailed) -> None:
        self._devices = table.devices
        self._volumes = table.volumes
        self._device_failed = device_failed

    def handlers(self) -> dict[int, Handler]:
        """The handler of each operation."""
        return {
            Operation.OPEN: self.open,
            Operation.COMPLETE: self.complete,
            Operation.LIST_OPEN: self.list_open,
            Operation.TABLE: self.table,
            Operation.STATUS: self.status,
            Operation.REPAIR: self.repair,
            Operation.BLESS: self.bless,
        }

    def open(self, session: DataSession, request: Request, payload: memoryview) -> None:
        access = self._volumes.get(request.volume)
        if access is None:
            session.reply(request.tag, Status.STALE_MAP)
        elif request.epoch < access.epoch:
            session.reply(request.tag, Status.FENCED)
        else:
            access.epoch = request.epoch
            session.reply(request.tag, Status.OK)

    def complete(self, session: DataSession, request: Request, payload: memoryview) -> None:
        access = self._volumes.get(request.volume)
        if access is not None and request.epoch >= access.epoch:
            access.safe_sequence = max(access.safe_sequence, request.sequence)
        session.reply(request.tag, Status.OK)

    def list_open(self, session: DataSession, request: Request, payload: memoryview) -> None:
        """Only what in-sync copies say counts: a chunk that has moved away may be open elsewhere."""
        served = self._devices.get(request.device)
        try:
            slices = wire.unpack_memberships(payload)
        except ValueError:
            session.invalid(request.tag)
            return
        if served is None or not all(served.is_in_sync(*membership) for membership in slices):
            session.reply(request.tag, Status.STALE_MAP)
            return
        chunks = served.store.open_chunks_of(request.volume)
        session.reply(request.tag, Status.OK, struct.pack(f"<{len(chunks)}I", *chunks))

    def table(self, session: DataSession, request: Request, payload: memoryview) -> None:
        """For clients only what an in-sync copy holds; servers compare what a joining one holds."""
        served = self._devices.get(request.device)
        verify = bool(request.flags & Flag.VERIFY)
        if served is None or not (
            verify or served.is_in_sync(served.slice_of(request.volume, request.chunk), request.generation)
        ):
            session.reply(request.tag, Status.STALE_MAP)
            return
        try:
            table = served.store.table(request.volume, request.chunk, verify=verify)
        except DeviceError as error:
            refuse(session, request.tag, served, error, self._device_failed)
            return
        if table is None:
            session.reply(request.tag, Status.OK, wire.ABSENT_TABLE)
            return
        packed = wire.pack_table(table.generation, table.open, table.checksums, table.bad)
        session.reply(request.tag, Status.OK, packed)

    def status(self, session: DataSession, request: Request, payload: memoryview) -> None:
        served = self._devices.get(request.device)
        if served is None or not served.generations[served.slice_of(request.volume, request.chunk)]:
            session.reply(request.tag, Status.STALE_MAP)
            return
        try:
            table = served.store.table(request.volume, request.chunk)
        except DeviceError as error:
            refuse(session, request.tag, served, error, self._device_failed)
            return
        sums = table.checksums if table is not None else ZERO_ENTRY * wire.BLOCKS_PER_CHUNK
        held = bytes(sums[at : at + 8] != ZERO_ENTRY for at in range(0, wire.TABLE_BYTES, 8))
        session.reply(request.tag, Status.OK, held)

    def repair(self, session: DataSession, request: Request, payload: memoryview) -> None:
        found = self._writable(session, request)
        if found is None:
            return
        if len(payload) != wire.BLOCK_BYTES or request.offset % wire.BLOCK_BYTES:
            session.invalid(request.tag)
            return
        served, _ = found
        block = request.offset // wire.BLOCK_BYTES
        try:
            done = served.store.repair(request.volume, request.chunk, block, payload)
        except DeviceError as error:
            refuse(session, request.tag, served, error, self._device_failed)
            return
        served.syncer.dirty = True
        session.reply(request.tag, Status.OK if done else Status.REFUSED)

    def bless(self, session: DataSession, request: Request, payload: memoryview) -> None:
        found = self._writable(session, request)
        if found is None:
            return
        served, _ = found
        try:
            done = served.store.bless(request.volume, request.chunk, request.offset // wire.BLOCK_BYTES)
        except DeviceError as error:
            refuse(session, request.tag, served, error, self._device_failed)
            return
        served.syncer.dirty = True
        session.reply(request.tag, Status.OK if done else Status.REFUSED)

    def _writable(self, session: DataSession, request: Request) -> tuple[ServedDevice, VolumeAccess] | None:
        """The device and volume of a request that a writer may make; answers it if there are none."""
        served = self._devices.get(request.device)
        access = self._volumes.get(request.volume)
        if served is None or access is None:
            session.reply(request.tag, Status.STALE_MAP)
            return None
        if request.offset >= CHUNK_BYTES:
            session.invalid(request.tag)
            return None
        if not may_write(session, request, served, access):
            return None
        return served, access
