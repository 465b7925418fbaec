"""A connection to a server, seen from the side that asks: used by clients, and by servers for healing.

The hot path: replies are parsed straight out of the receive buffer, large payloads are received into a
buffer of their own, and what is sent within one turn of the event loop leaves with one system call.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from artesian.embedded import wire
from artesian.embedded.arena import OFFER, Arena, pointer_of
from artesian.embedded.buffers import BufferPool
from artesian.embedded.wire import REPLY, REPLY_BYTES, REQUEST, Flag, Operation, Status

Buffer = bytes | bytearray | memoryview

RECEIVE_BYTES = 256 * 1024
LARGE_BYTES = 64 * 1024
PING_INTERVAL_S = 0.5
ANSWER_SLOTS = 8
_POOL = BufferPool(16 << 20)  # what large payloads are received into, over all links


class Waiter(Protocol):
    """Whoever sent a request."""

    def answered(self, link: DataLink, status: int, payload: Buffer) -> None:
        """Called exactly once, in the event loop. `payload` is the waiter's to keep."""


class FutureWaiter:
    """A waiter for code that can afford a future."""

    __slots__ = ("future",)

    def __init__(self) -> None:
        self.future: asyncio.Future[tuple[int, Buffer]] = asyncio.get_running_loop().create_future()

    def answered(self, link: DataLink, status: int, payload: Buffer) -> None:
        if not self.future.done():
            self.future.set_result((status, payload))


class DataLink(asyncio.BufferedProtocol):
    """One connection to one server. Make it with `connect`.

    A link that is lost answers everything still waiting with `Status.LOST` and is never used again.
    A server that has said nothing for `silence_s` although it was asked counts as lost.
    """

    def __init__(self, secret: bytes, silence_s: float) -> None:
        self._secret = secret
        self._silence_s = silence_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.is_open = False
        self.owner: object = None  # whatever keeps this link, to be found again from an answer
        self._pending: dict[int, Waiter] = {}
        self._tag = 0
        self._outgoing: list[Buffer] = []
        self._buffer = bytearray(RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0
        self._large: memoryview | None = None
        self._large_filled = 0
        self._large_reply: tuple[int, int] = (0, 0)
        self._answers: Arena | None = None  # where the server puts what is read, if it shares our memory
        self._shared_reads: dict[int, memoryview] = {}  # tag → where its answer will be
        self.shares_memory = False
        self._heard_at = self._loop.time()
        self._pinged = False
        self._watchdog: asyncio.TimerHandle | None = None

    # --- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's transports are not subclasses of it
        self._transport = transport
        transport.set_write_buffer_limits(high=256 << 20)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(str(exc) if exc else "the server closed the connection")

    def close(self, reason: str = "closed by us") -> None:
        """Give the connection up; everything waiting is answered with LOST."""
        if self._transport is not None:
            self._transport.abort()
        self._fail(reason)

    def _fail(self, reason: str) -> None:
        if self.lost.done():
            return
        self.is_open = False
        self.lost.set_result(reason)
        if self._watchdog is not None:
            self._watchdog.cancel()
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(reason))
        self._stop_sharing()
        pending, self._pending = self._pending, {}
        for waiter in pending.values():
            waiter.answered(self, Status.LOST, b"")

    def _watch(self) -> None:
        silent_s = self._loop.time() - self._heard_at
        if silent_s > self._silence_s and (self._pending or self._pinged):
            self.close(f"the server has been silent for {silent_s:.1f} s")
            return
        if silent_s > PING_INTERVAL_S and not self._pinged:
            self._pinged = True
            self.send(_PONG, Operation.PING)
        self._watchdog = self._loop.call_later(PING_INTERVAL_S, self._watch)

    # --- sending

    def send(
        self,
        waiter: Waiter,
        operation: int,
        device: int = 0,
        volume: int = 0,
        chunk: int = 0,
        offset: int = 0,
        length: int = 0,
        epoch: int = 0,
        generation: int = 0,
        sequence: int = 0,
        flags: int = 0,
        payload: Buffer | None = None,
    ) -> None:
        """Send a request. The payload must not change until the waiter is answered."""
        if not self.is_open:
            self._loop.call_soon(waiter.answered, self, Status.LOST, b"")
            return
        tag = self._tag = (self._tag + 1) & 0xFFFFFFFF
        self._pending[tag] = waiter
        outgoing = self._outgoing
        if not outgoing:
            self._loop.call_soon(self._send_outgoing)
        # fmt: off
        outgoing.append(REQUEST.pack(len(payload) if payload is not None else 0, operation, flags, 0, tag,
                                     device, volume, chunk, offset, length, epoch, generation, sequence))
        # fmt: on
        if payload is not None:
            outgoing.append(payload)

    def send_parts(self, waiter: Waiter, parts: Sequence[Buffer], operation: int, **fields: int) -> None:
        """Send a request whose payload is in several parts."""
        if not self.is_open:
            self._loop.call_soon(waiter.answered, self, Status.LOST, b"")
            return
        self.send(waiter, operation, payload=b"".join(parts), **fields)

    def read_shared(
        self, waiter: Waiter, device: int, volume: int, chunk: int, offset: int, length: int, epoch: int,
        generation: int,
    ) -> None:  # fmt: skip
        """Send a READ whose answer the server puts into memory that it shares with us, if there is room."""
        view = self._answers.take(length) if self._answers is not None and self.is_open else None
        pointer = pointer_of(view)
        if view is None or pointer is None:
            self.send(waiter, Operation.READ, device, volume, chunk, offset, length, epoch, generation)
            return
        # fmt: off
        self.send(waiter, Operation.READ, device, volume, chunk, offset, length, epoch, generation, 0,
                  Flag.SHARED, pointer)
        # fmt: on
        self._shared_reads[self._tag] = view

    async def ask(self, operation: int, **fields: Any) -> tuple[int, Buffer]:
        """Send a request and wait for (status, payload)."""
        waiter = FutureWaiter()
        self.send(waiter, operation, **fields)
        return await waiter.future

    def _send_outgoing(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._transport is not None and self.is_open:
            self._transport.writelines(outgoing)

    # --- receiving

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._large is not None:
            return self._large[self._large_filled :]
        return self._view[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        self._heard_at = self._loop.time()
        if self._large is not None:
            self._large_filled += nbytes
            if self._large_filled == len(self._large):
                payload, self._large = self._large, None
                status, tag = self._large_reply
                self._answer(tag, status, payload)
            return
        self._end += nbytes
        if not self.is_open:
            self._greet()
            return
        self._parse()

    def _parse(self) -> None:
        view = self._view
        start = self._start
        end = self._end
        pending = self._pending
        while end - start >= REPLY_BYTES:
            length, status, _, _, tag, _ = REPLY.unpack_from(self._buffer, start)
            body = start + REPLY_BYTES
            if length >= LARGE_BYTES:
                if length > wire.MAX_REPLY_PAYLOAD_BYTES:
                    self.close("the server sent an impossible length")
                    return
                self._receive_large(length, status, tag, body, end)
                self._start = self._end = 0
                if self._large is None:
                    start, end = self._rest_of_large
                    continue
                return
            if end - body < length:
                break
            start = body + length
            waiter = pending.pop(tag, None)
            if waiter is None:
                self.close("the server answered something that was not asked")
                return
            payload: Buffer = bytes(view[body:start]) if length else b""
            if self._shared_reads:
                shared = self._shared_reads.pop(tag, None)
                if shared is not None and status == Status.OK:
                    payload = shared
            waiter.answered(self, status, payload)
        if start == end:
            self._start = self._end = 0
        elif start:
            rest = bytes(view[start:end])
            view[: len(rest)] = rest
            self._start = 0
            self._end = len(rest)
        else:
            self._end = end

    _rest_of_large = (0, 0)

    def _receive_large(self, length: int, status: int, tag: int, body: int, end: int) -> None:
        """Move what is here of a large payload to a buffer of its own; the rest is received into it."""
        large = _POOL.take(length)
        here = min(length, end - body)
        large[:here] = self._view[body : body + here]
        if here == length:
            self._rest_of_large = (body + here, end)
            self._answer(tag, status, large)
            return
        self._large = large
        self._large_filled = here
        self._large_reply = (status, tag)

    def _answer(self, tag: int, status: int, payload: Buffer) -> None:
        waiter = self._pending.pop(tag, None)
        if waiter is None:
            self.close("the server answered something that was not asked")
            return
        waiter.answered(self, status, payload)

    # --- memory that is shared with the server

    async def share(self, payloads: Arena) -> None:
        """Offer our memory to a server on this machine, which may not want it."""
        try:
            self._answers = Arena(ANSWER_SLOTS)
        except OSError:
            return
        # fmt: off
        offer = OFFER.pack(payloads.descriptor, payloads.size_bytes, self._answers.descriptor,
                           self._answers.size_bytes)
        # fmt: on
        status, _ = await self.ask(Operation.SHARE, payload=offer)
        self.shares_memory = status == Status.OK
        if not self.shares_memory:
            self._stop_sharing()

    def _stop_sharing(self) -> None:
        self.shares_memory = False
        self._shared_reads.clear()
        if self._answers is not None:
            self._answers.close()
            self._answers = None

    # --- the handshake

    def _greet(self) -> None:
        assert self._transport is not None
        magic = len(wire.MAGIC)
        if self._end >= magic and self._buffer[:magic] != wire.MAGIC:
            self.close("not a storage server of this engine")
        elif self._end == wire.GREETING_BYTES:
            nonce = bytes(self._buffer[magic : wire.GREETING_BYTES])
            self._transport.write(wire.MAGIC + wire.proof_of(self._secret, nonce))
        elif self._end == wire.GREETING_BYTES + magic:
            if not hmac.compare_digest(self._buffer[wire.GREETING_BYTES : self._end], wire.MAGIC):
                self.close("the server refused our secret")
                return
            self._start = self._end = 0
            self.is_open = True
            self.ready.set_result(None)
            self._watchdog = self._loop.call_later(PING_INTERVAL_S, self._watch)


class _Pong:
    def answered(self, link: DataLink, status: int, payload: Buffer) -> None:
        link._pinged = False


_PONG = _Pong()


async def connect(
    ip: str,
    port: int,
    secret: bytes,
    peer: int,
    *,
    payloads: Arena | None = None,
    timeout_s: float = 2.0,
    silence_s: float = 4.0,
) -> DataLink:
    """A link that is ready for requests.

    `peer` is a number that only we have: an earlier link of ours that the server still knows ends.
    `payloads`: what we write lies there, and may be shared with a server on this machine. Raises
    ConnectionError or TimeoutError when the server cannot be reached or refuses us.
    """
    async with asyncio.timeout(timeout_s):
        link, is_local = await _connect_transport(ip, port, lambda: DataLink(secret, silence_s))
        try:
            await link.ready
            status, _ = await link.ask(Operation.HELLO, sequence=peer)
            if status != Status.OK:
                raise ConnectionError(f"the server did not welcome us: {Status(status).name}")
            if is_local and payloads is not None:
                await link.share(payloads)
        except BaseException:
            link.close()
            raise
    return link


def new_peer() -> int:
    """A number for `connect`."""
    return int.from_bytes(os.urandom(8), "little")


async def _connect_transport(ip: str, port: int, factory: Callable[[], DataLink]) -> tuple[DataLink, bool]:
    """Over the server's local socket when it is on this machine: half the cost of TCP; else over TCP."""
    loop = asyncio.get_running_loop()
    if ip.startswith("127."):
        local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        local.setblocking(False)  # a server that does not accept is an error, never a wait
        try:
            local.connect(local_address(ip, port))
        except OSError:
            local.close()
        else:
            _, link = await loop.create_unix_connection(factory, sock=local)
            return link, True
    _, link = await loop.create_connection(factory, ip, port)
    return link, False


def local_address(ip: str, port: int) -> str:
    """The abstract Unix socket on which a server with a loopback address listens too."""
    return f"\0artesian-sds-{ip}:{port}"


def listen_locally(ip: str, port: int) -> socket.socket:
    """The server's end of it. Raises OSError when another server has it."""
    local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        local.bind(local_address(ip, port))
        local.listen(128)
        local.setblocking(False)
    except OSError:
        local.close()
        raise
    return local


def new_nonce() -> bytes:
    """A fresh nonce for a greeting."""
    return os.urandom(wire.NONCE_BYTES)
