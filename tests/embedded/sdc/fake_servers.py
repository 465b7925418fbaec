"""A volume whose servers answer as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from artesian.embedded.datalink import FutureWaiter
from artesian.embedded.errors import EngineError
from artesian.embedded.sdc.cluster_map import PoolMap, Route
from artesian.embedded.sdc.flushing import Flusher
from artesian.embedded.sdc.mending import Mender
from artesian.embedded.sdc.nbd_constants import NBD_CMD_FLUSH, NBD_CMD_WRITE
from artesian.embedded.sdc.servers import RemoteServer
from artesian.embedded.sdc.volume import VolumeEngine
from artesian.embedded.wire import Status

SLICES = 4
IO_TIMEOUT_S = 30.0


@dataclass
class Sent:
    """A request as a server got it."""

    operation: int
    chunk: int
    offset: int
    generation: int
    sequence: int
    at_s: float


Answer = Callable[[Sent], "int | tuple[int, bytes]"]


class Server(RemoteServer):
    """A remote server that is its own link."""

    def __init__(self, name: str, answer: Answer) -> None:  # without a connection
        self.ip = name
        self.answer = answer
        self.unreported = False
        self.is_open = True
        self.owner = self
        self.sent: list[Sent] = []

    @property
    def link(self) -> Any:  # type: ignore[override]
        """Where requests go."""
        return self

    def send(
        self, waiter: Any, operation: int, device: int = 0, volume: int = 0, chunk: int = 0, offset: int = 0,
        length: int = 0, epoch: int = 0, generation: int = 0, sequence: int = 0, flags: int = 0,
        payload: Any = None,
    ) -> None:  # fmt: skip
        loop = asyncio.get_running_loop()
        sent = Sent(operation, chunk, offset, generation, sequence, loop.time())
        self.sent.append(sent)
        answer = self.answer(sent)
        status, data = answer if isinstance(answer, tuple) else (answer, b"")
        loop.call_later(0.0001, waiter.answered, self, status, data)

    async def ask(self, operation: int, **fields: Any) -> tuple[int, Any]:
        waiter = FutureWaiter()
        self.send(waiter, operation, **fields)
        return await waiter.future

    def of(self, operation: int) -> list[Sent]:
        """What was sent of one kind."""
        return [sent for sent in self.sent if sent.operation == operation]


@dataclass
class Managers:
    """What the mender asks of them."""

    refreshed: int = 0
    reported: list[list[str]] = field(default_factory=list)
    refuse: int = 0  # how many of the next requests fail

    def _refuse(self) -> None:
        if self.refuse:
            self.refuse -= 1
            raise EngineError("nobody leads")

    async def refresh(self) -> None:
        await asyncio.sleep(0.001)
        self._refuse()
        self.refreshed += 1

    async def report_failed(self, device_ids: list[str], reason: str) -> None:
        await asyncio.sleep(0.001)
        self._refuse()
        self.reported.append(device_ids)

    def devices_of(self, server: Any) -> list[str]:
        return [f"device of {server.ip}"]


class Request:
    """An NBD request; `errors` holds each answer to it."""

    is_abandoned = False

    def __init__(self, command: int, chunk: int = 0, payload: bytes | None = b"x" * 4096) -> None:
        self.command = command
        self.flags = 0
        self.offset = chunk << 20
        self.length = len(payload) if payload is not None else 0
        self.payload = payload
        self.errors: list[int] = []
        self.at_s = 0.0

    def data(self, offset: int, buffer: Any) -> None: ...

    def done(self, error: int = 0) -> None:
        self.errors.append(error)
        self.at_s = asyncio.get_running_loop().time()


class Volume:
    """One volume with two copies of every slice."""

    def __init__(self, first: Answer, second: Answer) -> None:
        self.servers = (Server("first", first), Server("second", second))
        self.managers = Managers()
        self.pool = PoolMap(SLICES)
        self.route(5)
        self.engine = VolumeEngine("v", 1, "v", 64 << 20, "p", self.pool, read_only=False)
        self.mender = Mender(self.engine, self.managers, IO_TIMEOUT_S)
        self.engine.mender = self.mender
        self.engine.flusher = Flusher(self.engine, self.mender, IO_TIMEOUT_S)
        self.engine.open(1)

    def route(self, generation: int, *servers: Server) -> None:
        """Have all slices go to these servers, or to both."""
        targets = [(cast(RemoteServer, server), 7 + n) for n, server in enumerate(servers or self.servers)]
        self.pool.routes[:] = [Route(generation, tuple(targets)) for _ in range(SLICES)]

    def write(self, chunk: int = 0) -> Request:
        """Begin a write of a block."""
        request = Request(NBD_CMD_WRITE, chunk)
        self.engine.submit(cast(Any, request))
        return request

    def flush(self) -> Request:
        """Begin a flush."""
        request = Request(NBD_CMD_FLUSH, 0, None)
        self.engine.submit(cast(Any, request))
        return request


def ok(sent: Sent) -> int:
    """Whatever it was."""
    return Status.OK


def always(status: Status) -> Answer:
    """The same answer to everything."""
    return lambda sent: status
