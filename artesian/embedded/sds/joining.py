"""Making a copy of a slice on another device: the target's side.

Only a slice that the managers have told us is joining here may be changed this way, and only by the newest
job that began: what an older one still sends is refused.
"""

from __future__ import annotations

from artesian.embedded import wire
from artesian.embedded.errors import DeviceError
from artesian.embedded.sds.access import AccessTable, ServedDevice
from artesian.embedded.sds.requests import DeviceFailed, refuse
from artesian.embedded.sds.session import DataSession, Handler
from artesian.embedded.wire import Flag, Operation, Request, Status


class JoinTarget:
    """The handlers of the operations that sources of joins use."""

    def __init__(self, table: AccessTable, device_failed: DeviceFailed) -> None:
        self._table = table
        self._device_failed = device_failed

    def handlers(self) -> dict[int, Handler]:
        """The handler of each operation."""
        return {Operation.LIST: self.list, Operation.INSTALL: self.install, Operation.DROP: self.drop}

    def list(self, session: DataSession, request: Request, payload: memoryview) -> None:
        served = self._table.devices.get(request.device)
        slice_index = request.chunk
        if (
            served is None
            or slice_index not in served.joining
            or request.epoch < served.joining_jobs.get(slice_index, 0)
        ):
            session.reply(request.tag, Status.STALE_MAP)
            return
        served.joining_jobs[slice_index] = request.epoch
        entries = []
        for key in served.chunks_of_slice(slice_index, self._table.volumes):
            info = served.store.info(*key)
            if info is not None:
                entries.append((*key, info.generation, info.open))
        session.reply(request.tag, Status.OK, wire.pack_chunks(entries))

    def install(self, session: DataSession, request: Request, payload: memoryview) -> None:
        served = self._joining(request)
        if served is None:
            session.reply(request.tag, Status.STALE_MAP)
            return
        try:
            checksums, blocks = wire.unpack_install(payload)
        except ValueError:
            session.invalid(request.tag)
            return
        open_sequence = request.sequence if request.flags & Flag.OPEN_CHUNK else None
        try:
            served.store.install(
                request.volume, request.chunk, request.generation, checksums, blocks,
                open_sequence=open_sequence,
            )  # fmt: skip
        except DeviceError as error:
            refuse(session, request.tag, served, error, self._device_failed)
            return
        served.syncer.dirty = True
        session.reply(request.tag, Status.OK)

    def drop(self, session: DataSession, request: Request, payload: memoryview) -> None:
        served = self._joining(request)
        if served is None:
            session.reply(request.tag, Status.STALE_MAP)
            return
        try:
            served.store.drop(request.volume, request.chunk)
        except DeviceError as error:
            refuse(session, request.tag, served, error, self._device_failed)
            return
        served.syncer.dirty = True
        session.reply(request.tag, Status.OK)

    def _joining(self, request: Request) -> ServedDevice | None:
        """The device, if the request's job is the newest one that joins this slice to it."""
        served = self._table.devices.get(request.device)
        if served is None:
            return None
        job = served.joining_jobs.get(served.slice_of(request.volume, request.chunk))
        return served if job == request.epoch else None
