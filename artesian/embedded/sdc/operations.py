"""One piece of a request, within one chunk, on its way to the servers. The hot path of the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from artesian.embedded.datalink import Buffer, DataLink
from artesian.embedded.wire import Status

if TYPE_CHECKING:
    from artesian.embedded.sdc.volume import VolumeEngine


class Sink(Protocol):
    """Who wants the result of an operation; an NBD request is one."""

    def data(self, offset: int, buffer: Buffer) -> None: ...
    def done(self, error: int = 0) -> None: ...


class Gathering:
    """Collects the pieces of a request that spans several chunks."""

    __slots__ = ("_error", "_remaining", "_sink")

    def __init__(self, sink: Sink, pieces: int) -> None:
        self._sink = sink
        self._remaining = pieces
        self._error = 0

    def data(self, offset: int, buffer: Buffer) -> None:
        self._sink.data(offset, buffer)

    def done(self, error: int = 0) -> None:
        if error and not self._error:
            self._error = error
        self._remaining -= 1
        if not self._remaining:
            self._sink.done(self._error)


class ReadOperation:
    """A read of one in-sync copy."""

    __slots__ = ("attempt", "bad_at", "chunk", "deadline", "engine", "length", "offset", "sink", "status")

    def __init__(self, engine: VolumeEngine, sink: Sink, chunk: int, offset: int, length: int) -> None:
        self.engine = engine
        self.sink = sink
        self.chunk = chunk
        self.offset = offset
        self.length = length
        self.attempt = 0
        self.deadline = 0.0
        self.status = 0
        self.bad_at: tuple[DataLink, Buffer] | None = None  # where blocks did not match, and which

    def answered(self, link: DataLink, status: int, payload: Buffer) -> None:
        if status == Status.OK:
            self.sink.data((self.chunk << 20) + self.offset, payload)
            self.sink.done()
            return
        self.status = status
        if status == Status.BAD_BLOCK:
            self.bad_at = (link, payload)
        self.engine.trouble(self)


class WriteOperation:
    """A write or a zeroing, on its way to all in-sync copies.

    It is complete when every copy of the route that it was sent with has it; if one has not, it is sent
    again to all copies of a newer route.
    """

    __slots__ = (
        "attempt",
        "chunk",
        "deadline",
        "engine",
        "flags",
        "length",
        "offset",
        "operation",
        "payload",
        "pointer",
        "problems",
        "sequence",
        "sink",
        "waiting",
    )

    def __init__(
        self,
        engine: VolumeEngine,
        sink: Sink,
        operation: int,
        chunk: int,
        offset: int,
        length: int,
        payload: Buffer | None,
        flags: int,
        sequence: int,
    ) -> None:
        self.engine = engine
        self.sink = sink
        self.operation = operation
        self.chunk = chunk
        self.offset = offset
        self.length = length
        self.payload = payload
        self.flags = flags
        self.sequence = sequence
        self.pointer: bytes | None = None  # where the payload is in memory that servers here may share
        self.attempt = 0
        self.waiting = 0
        self.deadline = 0.0
        self.problems: list[tuple[DataLink, int, Buffer]] | None = None

    def answered(self, link: DataLink, status: int, payload: Buffer) -> None:
        self.waiting -= 1
        if status == Status.OK:
            if self.waiting:
                return
            if self.problems is None:
                del self.engine.outstanding[self.sequence]
                self.sink.done()
                return
        elif self.problems is None:
            self.problems = [(link, status, payload)]
        else:
            self.problems.append((link, status, payload))
        if not self.waiting:
            self.engine.trouble(self)


Operation = ReadOperation | WriteOperation
