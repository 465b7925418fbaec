"""Making a copy of a slice on another device: the target's side.

Only a slice that the managers have told us is joining here may be changed this way, and only by the newest
job that began: what an older one still sends is refused.
"""

from __future__ import annotations

from artesian.embedded import wire
from artesian.embedded.errors import DeviceError, NoSpace
from artesian.embedded.sds.access import AccessTable, ServedDevice
from artesian.embedded.sds.session import DataSession, Handler
from artesian.embedded.wire import Flag, Operation, Status


class JoinTarget:
    """The handlers of the operations that sources of joins use."""

    def __init__(self, table: AccessTable) -> None:
        self._table = table

    def handlers(self) -> dict[int, Handler]:
        """The handler of each operation."""
        return {Operation.LIST: self.list, Operation.INSTALL: self.install, Operation.DROP: self.drop}

    # fmt: off
    def list(self, session: DataSession, flags: int, tag: int, device: int, volume: int, chunk: int, offset: int,
             length: int, epoch: int, generation: int, sequence: int, payload: memoryview) -> None:
        # fmt: on
        served = self._table.devices.get(device)
        slice_index = chunk
        if (
            served is None
            or slice_index not in served.joining
            or epoch < served.joining_jobs.get(slice_index, 0)
        ):
            session.reply(tag, Status.STALE_MAP)
            return
        served.joining_jobs[slice_index] = epoch
        entries = []
        for key in served.chunks_of_slice(slice_index, self._table.volumes):
            info = served.store.info(*key)
            if info is not None:
                entries.append((*key, info.generation, info.open))
        session.reply(tag, Status.OK, wire.pack_chunks(entries))

    # fmt: off
    def install(self, session: DataSession, flags: int, tag: int, device: int, volume: int, chunk: int,
                offset: int, length: int, epoch: int, generation: int, sequence: int, payload: memoryview,
                ) -> None:
        # fmt: on
        served = self._joining(device, volume, chunk, epoch)
        if served is None:
            session.reply(tag, Status.STALE_MAP)
            return
        try:
            checksums, blocks = wire.unpack_install(payload)
        except ValueError:
            session.invalid(tag)
            return
        open_sequence = sequence if flags & Flag.OPEN_CHUNK else None
        try:
            served.store.install(volume, chunk, generation, checksums, blocks, open_sequence=open_sequence)
        except DeviceError as error:
            self._refuse(session, tag, served, error)
            return
        served.syncer.dirty = True
        session.reply(tag, Status.OK)

    # fmt: off
    def drop(self, session: DataSession, flags: int, tag: int, device: int, volume: int, chunk: int, offset: int,
             length: int, epoch: int, generation: int, sequence: int, payload: memoryview) -> None:
        # fmt: on
        served = self._joining(device, volume, chunk, epoch)
        if served is None:
            session.reply(tag, Status.STALE_MAP)
            return
        try:
            served.store.drop(volume, chunk)
        except DeviceError as error:
            self._refuse(session, tag, served, error)
            return
        served.syncer.dirty = True
        session.reply(tag, Status.OK)

    def _joining(self, device: int, volume: int, chunk: int, job: int) -> ServedDevice | None:
        served = self._table.devices.get(device)
        if served is None or served.joining_jobs.get(served.slice_of(volume, chunk)) != job:
            return None
        return served

    def _refuse(self, session: DataSession, tag: int, served: ServedDevice, error: DeviceError) -> None:
        if isinstance(error, NoSpace):
            session.reply(tag, Status.NO_SPACE)
        else:
            served.error = served.error or str(error)
            session.reply(tag, Status.DEVICE_ERROR)
