"""One connection of a client or of another server: framing, the handshake, and sending replies."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from typing import cast

import structlog

from artesian.embedded import wire
from artesian.embedded.arena import SharedMemory
from artesian.embedded.datalink import Buffer, new_nonce
from artesian.embedded.wire import REPLY, REQUEST, REQUEST_BYTES, Operation, Request, Status

log = structlog.get_logger()

RECEIVE_BYTES = 256 * 1024
LARGE_BYTES = 64 * 1024
HANDSHAKE_TIMEOUT_S = 5.0
REPLY_BUFFER_BYTES = 64 << 20

# session, header, payload: a view of the receive buffer, to be used or copied before the handler returns
Handler = Callable[["DataSession", Request, memoryview], None]


class DataSession(asyncio.BufferedProtocol):
    """Parses requests and hands each to the handler of its operation, in the order of arrival.

    A request that makes no sense is answered with INVALID and ends the connection.
    """

    def __init__(self, secret: bytes, handlers: dict[int, Handler], sessions: set[DataSession]) -> None:
        self._secret = secret
        self._handlers = {Operation.HELLO: _hello, Operation.SHARE: _share} | handlers
        self._sessions = sessions
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._nonce = new_nonce()
        self._proven = False
        self._buffer = bytearray(RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0
        self._large_view = memoryview(b"")
        self._large_filled = 0
        self._large_request: Request | None = None
        self._outgoing: list[Buffer] = []
        self._closing = False
        self._peer = 0
        self.shared: SharedMemory | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's transports are not subclasses of it
        self._transport = transport
        transport.set_write_buffer_limits(high=REPLY_BUFFER_BYTES)
        self._sessions.add(self)
        transport.write(wire.MAGIC + self._nonce)
        self._deadline = self._loop.call_later(HANDSHAKE_TIMEOUT_S, self._unproven)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._transport = None
        self._sessions.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()

    @property
    def is_closed(self) -> bool:
        """Whether nobody waits for replies any more."""
        return self._transport is None or self._closing

    def close(self) -> None:
        """End the connection at once."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def _unproven(self) -> None:
        if not self._proven:
            self.close()

    def pause_writing(self) -> None:
        """The peer does not read its replies: stop reading its requests."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None and not self._closing:
            self._transport.resume_reading()

    # --- receiving

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._large_request is not None:
            return self._large_view[self._large_filled : self._large_request.payload_length]
        return self._view[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        large_request = self._large_request
        if large_request is not None:
            self._large_filled += nbytes
            if self._large_filled == large_request.payload_length:
                self._large_request = None
                payload = self._large_view[: self._large_filled]
                self._handlers[large_request.operation](self, large_request, payload)
            return
        self._end += nbytes
        if not self._proven:
            self._prove()
            return
        self._parse()

    def _parse(self) -> None:
        view = self._view
        start = self._start
        end = self._end
        handlers = self._handlers
        unpack = REQUEST.unpack_from
        make = Request._make
        while end - start >= REQUEST_BYTES:
            request = make(unpack(self._buffer, start))
            length = request[0]
            handler = handlers.get(request[1])
            body = start + REQUEST_BYTES
            if handler is None or length > wire.MAX_PAYLOAD_BYTES:
                self.reply(request.tag, Status.INVALID)
                self._end_after_replies()
                return
            if end - body < length:
                if length >= LARGE_BYTES:
                    self._receive_large(request, body, end)
                    return
                break
            start = body + length
            handler(self, request, view[body:start])
            if self._closing:
                return
        self._keep(start, end)

    def _receive_large(self, request: Request, body: int, end: int) -> None:
        """Receive a large payload straight into a buffer of its own; requests are served one by one."""
        if not self._large_view:
            self._large_view = memoryview(bytearray(wire.MAX_PAYLOAD_BYTES))
        self._large_filled = end - body
        self._large_view[: end - body] = self._view[body:end]
        self._large_request = request
        self._start = self._end = 0

    def _keep(self, start: int, end: int) -> None:
        """Keep the beginning of a request that is not complete, moved to the front."""
        if start and start != end:
            rest = bytes(self._view[start:end])
            self._view[: len(rest)] = rest
        self._start, self._end = 0, end - start

    def _prove(self) -> None:
        if self._end < wire.PROOF_BYTES:
            return
        expected = wire.MAGIC + wire.proof_of(self._secret, self._nonce)
        if not hmac.compare_digest(bytes(self._buffer[: wire.PROOF_BYTES]), expected):
            self.close()
            return
        self._proven = True
        if self._deadline is not None:
            self._deadline.cancel()
        assert self._transport is not None
        self._transport.write(wire.MAGIC)
        self._start = wire.PROOF_BYTES
        self._parse()

    # --- requests of the connection itself

    def hello(self, request: Request) -> None:
        """Before this connection serves, what is under way on an earlier one of the same peer is given up."""
        for other in list(self._sessions):
            if other is not self and other._peer == request.sequence:
                other.close()
        self._peer = request.sequence
        self.reply(request.tag, Status.OK)

    def share(self, request: Request, payload: memoryview) -> None:
        """Use memory that the peer offers for large payloads, if that is possible."""
        assert self._transport is not None
        try:
            self.shared = SharedMemory.open(self._transport.get_extra_info("socket"), bytes(payload))
        except (OSError, ValueError) as error:
            log.info("memory.not_shared", because=str(error))
            self.reply(request.tag, Status.REFUSED)
        else:
            self.reply(request.tag, Status.OK)

    # --- replying

    def reply(self, tag: int, status: int, payload: Buffer | None = None) -> None:
        """Queue a reply; all of one turn of the event loop leave together."""
        if self._transport is None:
            return
        outgoing = self._outgoing
        if not outgoing:
            self._loop.call_soon(self._send_outgoing)
        if payload is None:
            outgoing.append(REPLY.pack(0, status, 0, 0, tag, 0))
        else:
            outgoing.append(REPLY.pack(len(payload), status, 0, 0, tag, 0))
            outgoing.append(payload)

    def invalid(self, tag: int) -> None:
        """Answer a request that makes no sense, and end the connection."""
        self.reply(tag, Status.INVALID)
        self._end_after_replies()

    def _send_outgoing(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._transport is not None:
            self._transport.writelines(outgoing)

    def _end_after_replies(self) -> None:
        self._closing = True
        self._send_outgoing()
        if self._transport is not None:
            self._transport.close()


def _hello(session: DataSession, request: Request, payload: memoryview) -> None:
    session.hello(request)


def _share(session: DataSession, request: Request, payload: memoryview) -> None:
    session.share(request, payload)
