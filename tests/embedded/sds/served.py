"""One served device over a simulated disk, and a session that remembers what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from artesian.embedded import wire
from artesian.embedded.device.store import DeviceStore
from artesian.embedded.sds.access import AccessTable, ServedDevice, VolumeAccess
from artesian.embedded.sds.comparing import Comparing
from artesian.embedded.sds.requests import Requests
from artesian.embedded.sds.session import DataSession
from artesian.embedded.wire import BLOCK_BYTES, Operation, Request, Status
from tests.embedded.simulation.disk import Platter, SimulatedDisk
from tests.embedded.simulation.loop import SimulatedLoop

VOLUME, EPOCH, SLICES = 1, 1, 4
DEVICE_ID = "000000000000000c"


class Session:
    """What handlers see of a connection."""

    def __init__(self) -> None:
        self.replies: list[tuple[int, int, bytes]] = []
        self.is_closed = False
        self.shared = None

    def reply(self, tag: int, status: int, payload: Any = None) -> None:
        self.replies.append((tag, status, bytes(payload) if payload is not None else b""))

    def invalid(self, tag: int) -> None:
        self.reply(tag, Status.INVALID)

    @property
    def statuses(self) -> list[int]:
        return [status for _, status, _ in self.replies]


class Served:
    """A device whose copies of all slices are in sync at generation 5, and one volume."""

    def __init__(self, size_mib: int = 16) -> None:
        self.platter = Platter(size_mib << 20)
        disk = cast(Any, SimulatedDisk(self.platter, "/disk", lambda: None))
        self.store = DeviceStore.adopt_or_format(disk, "a" * 16, "b" * 16, DEVICE_ID)
        self.failures: list[str] = []
        self.device = ServedDevice(DEVICE_ID, "b" * 16, self.store, SLICES, self._failed)
        self.device.generations[:] = [5] * SLICES
        access = VolumeAccess(VOLUME, "b" * 16)
        access.epoch = EPOCH
        self.table = AccessTable()
        self.table.devices[self.device.number] = self.device
        self.table.volumes[VOLUME] = access
        self.table.ready = True
        requests = Requests(self.table, _nothing_forwarded, self._failed)
        self.handlers = requests.handlers() | Comparing(self.table, self._failed).handlers()
        self.session = Session()
        self._tag = 0

    def _failed(self, served: ServedDevice, error: str) -> None:
        self.failures.append(error)

    def ask(
        self,
        operation: int,
        chunk: int = 0,
        offset: int = 0,
        payload: bytes = b"",
        session: Session | None = None,
        **fields: int,
    ) -> int:
        """Hand a request to its handler; its tag."""
        self._tag += 1
        values = {
            "length": len(payload), "epoch": EPOCH, "generation": 5, "sequence": self._tag, "flags": 0,
            **fields,
        }  # fmt: skip
        request = Request(
            len(payload), operation, values["flags"], 0, self._tag, self.device.number, VOLUME, chunk, offset,
            values["length"], values["epoch"], values["generation"], values["sequence"],
        )  # fmt: skip
        self.handlers[operation](cast(DataSession, session or self.session), request, memoryview(payload))
        return self._tag

    def write(
        self, chunk: int, value: int, block: int = 0, session: Session | None = None, **fields: int
    ) -> int:
        """Ask for a block to be written."""
        data = bytes([value]) * BLOCK_BYTES
        return self.ask(Operation.WRITE, chunk, block * BLOCK_BYTES, data, session, **fields)

    def close_chunks(self) -> None:
        """Make everything durable and close it."""
        self.store.sync()
        self.store.close_chunks(VOLUME, 1 << 60)

    def block(self, chunk: int, block: int = 0) -> int | None:
        """The value that a block is full of."""
        data = self.store.read(VOLUME, chunk, block * BLOCK_BYTES, BLOCK_BYTES)
        assert data is not None
        assert len(set(bytes(data))) == 1
        return data[0]

    def table_of(self, chunk: int, generation: int = 5) -> int:
        """Ask for a chunk's checksums; the status."""
        self.ask(Operation.TABLE, chunk, generation=generation)
        return self.session.statuses[-1]

    def open_chunks(self, *memberships: tuple[int, int]) -> int:
        """Ask for the open chunks of these slices; the status."""
        self.ask(Operation.LIST_OPEN, payload=wire.pack_memberships(memberships))
        return self.session.statuses[-1]


async def _nothing_forwarded() -> bool:
    return True


def simulated(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a story on a virtual clock."""
    loop = SimulatedLoop(seed=0)
    try:
        loop.run_until_complete(story())
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
    finally:
        loop.close()
