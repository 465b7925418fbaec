"""A mapped volume: turns requests into operations on the servers that hold its chunks.

What goes right is handled here, without a task or a future per request. What goes wrong is handed to the
`Mender` (mending.py), which asks the managers, repairs, and sends again. The consistency model is described
in `artesian/embedded/sds/access.py`.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from artesian.embedded.arena import pointer_of
from artesian.embedded.datalink import LARGE_BYTES
from artesian.embedded.placement import first_slice
from artesian.embedded.sdc.block_status import block_status
from artesian.embedded.sdc.cluster_map import PoolMap, Route
from artesian.embedded.sdc.limiting import Limiter, Timer
from artesian.embedded.sdc.nbd import IoRequest
from artesian.embedded.sdc.nbd_constants import (
    NBD_CMD_BLOCK_STATUS,
    NBD_CMD_CACHE,
    NBD_CMD_FLAG_FUA,
    NBD_CMD_FLAG_NO_HOLE,
    NBD_CMD_FLUSH,
    NBD_CMD_READ,
    NBD_CMD_TRIM,
    NBD_CMD_WRITE,
    NBD_CMD_WRITE_ZEROES,
)
from artesian.embedded.sdc.operations import Gathering, Operation, ReadOperation, Sink, WriteOperation
from artesian.embedded.sdc.servers import RemoteServer
from artesian.embedded.wire import CHUNK_BYTES, Flag
from artesian.embedded.wire import Operation as Op

if TYPE_CHECKING:
    from artesian.embedded.sdc.flushing import Flusher
    from artesian.embedded.sdc.mending import Mender

EPOCH_SHIFT = 40  # a sequence number carries its epoch above this bit
CHUNK_MASK = CHUNK_BYTES - 1
SHARED = int(Flag.SHARED)


class VolumeEngine:
    """One mapped volume; an export of the NBD server."""

    def __init__(self, volume_id: str, number: int, name: str, size_bytes: int, pool_id: str, pool: PoolMap,
                 *, read_only: bool) -> None:  # fmt: skip
        self.volume_id = volume_id
        self.number = number
        self.name = name
        self.size_bytes = size_bytes
        self.pool_id = pool_id
        self.read_only = read_only
        self.pool = pool
        self.routes = pool.routes
        self.first = first_slice(number, pool.slice_count)
        self.mask = pool.slice_count - 1
        self.epoch = 0
        self.mender: Mender  # both set by its maker, before the first request
        self.flusher: Flusher
        self.outstanding: dict[int, WriteOperation] = {}  # by sequence, in order
        self.unflushed: dict[RemoteServer, int] = {}  # servers with writes that no flush has covered yet
        self.flushing: dict[RemoteServer, int] = {}  # servers with a flush under way → how many
        self.frozen: set[int] = set()  # chunks whose writes have to wait
        self.is_open = False  # requests wait until the volume has been opened
        self.stopped_with = 0  # an errno once the volume takes no more requests
        self.limiter: Limiter | None = None  # None: there is no limit
        self._held: list[IoRequest] = []
        self._held_writes: list[WriteOperation] = []
        self._sequence = 0
        self._turn = 0
        self.read_bytes = self.read_count = self.write_bytes = self.write_count = 0
        self.trim_bytes = self.trim_count = 0

    # --- the export

    def submit(self, request: IoRequest) -> None:
        """Begin a request of the NBD server; never blocks."""
        if not self.is_open:
            if self.stopped_with:
                request.done(self.stopped_with)
            else:
                self._held.append(request)
            return
        if self.limiter is not None and self.limiter.holds(request):
            return
        command = request.command
        if command == NBD_CMD_READ:
            self.read_count += 1
            self.read_bytes += request.length
            self._read(request, request.offset, request.length)
        elif command == NBD_CMD_WRITE:
            self.write_count += 1
            self.write_bytes += request.length
            self._change(request, Op.WRITE, request.payload, 0)
        elif command == NBD_CMD_FLUSH:
            self.flusher.flush(request)
        elif command == NBD_CMD_TRIM:
            self.trim_count += 1
            self.trim_bytes += request.length
            self._change(request, Op.ZERO, None, 0)
        elif command == NBD_CMD_WRITE_ZEROES:
            keep = Flag.KEEP_ALLOCATED if request.flags & NBD_CMD_FLAG_NO_HOLE else 0
            self._change(request, Op.ZERO, None, int(keep))
        elif command == NBD_CMD_BLOCK_STATUS:
            self.mender.start(block_status(self, request))
        elif command == NBD_CMD_CACHE:
            request.done()
        else:
            request.done(errno.EINVAL)

    def open(self, epoch: int) -> None:
        """Begin to serve: our writes carry `epoch`, and what has waited goes on."""
        self.epoch = epoch
        self._sequence = max(self._sequence, epoch << EPOCH_SHIFT)
        self.is_open = True
        held, self._held = self._held, []
        for request in held:
            self.submit(request)

    def limit(self, iops: int, bytes_per_s: int, timer: Timer) -> None:
        """Begin no more requests in a second than this, and none that carry more; 0: as many as come."""
        limiter = self.limiter
        self.limiter = (limiter or Limiter(self.submit, timer)) if iops or bytes_per_s else None
        limiter = self.limiter or limiter
        if limiter is not None:
            limiter.change(iops, bytes_per_s)

    def stop(self, error: int = errno.ESHUTDOWN) -> None:
        """Take no more requests; those waiting are answered with the error."""
        self.is_open = False
        self.stopped_with = error
        held, self._held = self._held, []
        for request in held:
            request.done(error)
        if self.limiter is not None:
            self.limiter.stop(error)
        writes, self._held_writes = self._held_writes, []
        for operation in writes:
            self.give_up(operation, error)

    # --- reading

    def _read(self, sink: Sink, offset: int, length: int) -> None:
        within = offset & CHUNK_MASK
        if within + length <= CHUNK_BYTES:
            self.send_read(ReadOperation(self, sink, offset >> 20, within, length))
            return
        pieces = split(offset, length)
        gathering = Gathering(sink, len(pieces))
        for chunk, start, span in pieces:
            self.send_read(ReadOperation(self, gathering, chunk, start, span))

    def send_read(self, operation: ReadOperation) -> None:
        """Send a read to one of the in-sync copies, a different one at every attempt."""
        chunk = operation.chunk
        route = self.routes[(self.first + chunk) & self.mask]
        targets = route.targets
        count = len(targets)
        if not count:
            operation.status = 0
            self.trouble(operation)
            return
        self._turn += 1
        server, device = targets[(self._turn + operation.attempt) % count]
        if not server.link.is_open and count > 1:
            server, device = targets[(self._turn + operation.attempt + 1) % count]
        if operation.length >= LARGE_BYTES and server.link.shares_memory:
            # fmt: off
            server.link.read_shared(operation, device, self.number, chunk, operation.offset, operation.length,
                                    self.epoch, route.generation)
            # fmt: on
            return
        # fmt: off
        server.link.send(operation, Op.READ, device, self.number, chunk, operation.offset, operation.length,
                         self.epoch, route.generation)
        # fmt: on

    # --- writing

    def _change(self, request: IoRequest, kind: int, payload: bytes | memoryview | bytearray | None,
                flags: int) -> None:  # fmt: skip
        if self.read_only:
            request.done(errno.EPERM)
            return
        offset, length = request.offset, request.length
        if not length:
            request.done()
            return
        sink: Sink = request
        if request.flags & NBD_CMD_FLAG_FUA:
            sink = self.flusher.flush_after(request)
        within = offset & CHUNK_MASK
        if within + length <= CHUNK_BYTES:
            operation = self.new_write(sink, kind, offset >> 20, within, length, payload, flags)
            if length >= LARGE_BYTES:
                operation.pointer = pointer_of(payload)
            self.send_write(operation)
            return
        pieces = split(offset, length)
        gathering = Gathering(sink, len(pieces))
        view = memoryview(payload) if payload is not None else None
        at = 0
        for chunk, start, span in pieces:
            part = view[at : at + span] if view is not None else None
            at += span
            self.send_write(self.new_write(gathering, kind, chunk, start, span, part, flags))

    def new_write(
        self, sink: Sink, kind: int, chunk: int, offset: int, length: int,
        payload: bytes | memoryview | bytearray | None, flags: int = 0,
    ) -> WriteOperation:  # fmt: skip
        """A write with the next sequence number, not sent yet."""
        sequence = self._sequence = self._sequence + 1
        operation = WriteOperation(self, sink, kind, chunk, offset, length, payload, flags, sequence)
        self.outstanding[sequence] = operation
        return operation

    def send_write(self, operation: WriteOperation) -> None:
        """Send a write to all in-sync copies, now or when its chunk is free."""
        chunk = operation.chunk
        if self.frozen and chunk in self.frozen:
            self._held_writes.append(operation)
            return
        if self.stopped_with:
            self.give_up(operation, self.stopped_with)
            return
        route: Route = self.routes[(self.first + chunk) & self.mask]
        targets = route.targets
        operation.problems = None
        operation.waiting = len(targets)
        unflushed = self.unflushed
        if not targets:
            self.trouble(operation)
            return
        for server, device in targets:
            unflushed[server] = 1
            payload, flags = operation.payload, operation.flags
            if operation.pointer is not None and server.link.shares_memory:
                payload, flags = operation.pointer, flags | SHARED
            # fmt: off
            server.link.send(operation, operation.operation, device, self.number, chunk, operation.offset,
                             operation.length, self.epoch, route.generation, operation.sequence, flags,
                             payload)
            # fmt: on

    def freeze(self, chunk: int) -> None:
        """Hold back new writes of a chunk."""
        self.frozen.add(chunk)

    def thaw(self, chunk: int) -> None:
        """Let the writes of a chunk go on."""
        self.frozen.discard(chunk)
        held, self._held_writes = self._held_writes, []
        for operation in held:
            self.send_write(operation)

    def give_up(self, operation: Operation, error: int) -> None:
        """Answer an operation with an error."""
        if isinstance(operation, WriteOperation):
            self.outstanding.pop(operation.sequence, None)
        operation.sink.done(error)

    @property
    def safe_sequence(self) -> int:
        """All writes up to this number are complete on every copy."""
        for sequence in self.outstanding:
            return sequence - 1
        return self._sequence

    def trouble(self, operation: Operation) -> None:
        """An operation did not go through; the mender takes care of it."""
        self.mender.take(operation)


def split(offset: int, length: int) -> list[tuple[int, int, int]]:
    """(chunk, offset within it, length) of each piece of a byte range, in order."""
    pieces = []
    while length:
        within = offset & CHUNK_MASK
        span = min(length, CHUNK_BYTES - within)
        pieces.append((offset >> 20, within, span))
        offset += span
        length -= span
    return pieces
