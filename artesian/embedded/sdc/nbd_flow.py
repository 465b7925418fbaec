"""The sending half of an NBD connection, its limits and its end.

What is answered within one turn of the event loop leaves with one system call. Memory is bounded: requests
under way together weigh at most `LIMIT_BYTES`, or one request more, a request weighing its payload and at
least `REQUEST_WEIGHT_BYTES`; while they do, or while the client does not take its replies, nothing more is
read from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from artesian.embedded.sdc.nbd_constants import BASE_ALLOCATION_ID
from artesian.embedded.sdc.nbd_handshake import Export
from artesian.embedded.sdc.nbd_request import Buffer

REQUEST_WEIGHT_BYTES = 64 * 1024
LIMIT_BYTES = 64 << 20  # 1,024 small requests
RESUME_BYTES = LIMIT_BYTES // 2

UNSENT_BYTES = 64 << 20
"""Replies that wait for the client to take them; beyond, no more requests are read."""

LINGER_S = 5.0
"""How long a client may take to fetch its last replies."""


class Pool(Protocol):
    """Memory for payloads, which is used again when nobody looks at it any more."""

    def take(self, length: int) -> memoryview:
        """A writable view of so many bytes."""


class Owner(Protocol):
    """The server, as its connections see it."""

    exports: Callable[[str], Export | None]
    names: Callable[[], list[str]]
    pool: Pool

    def opened(self, connection: NbdFlow) -> None: ...
    def lost(self, connection: NbdFlow) -> None: ...


class NbdFlow(asyncio.BufferedProtocol):
    """What a connection does besides receiving."""

    __slots__ = (
        "_closing",
        "_ended",
        "_limit",
        "_linger",
        "_loop",
        "_owner",
        "_reading_paused",
        "_transport",
        "_weight",
        "answered_weight",
        "context_id",
        "export",
        "outgoing",
        "structured",
        "will_flush",
    )

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self.export: Export | None = None  # known when the handshake is over
        self.structured = False
        self.context_id = BASE_ALLOCATION_ID
        self.outgoing: list[Buffer] = []
        self.answered_weight = 0  # of requests whose replies are in `outgoing`
        self.will_flush = False  # somebody is going to send `outgoing`
        self._owner = owner
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._weight = 0
        self._limit = LIMIT_BYTES  # 0 while no request may be taken
        self._reading_paused = False
        self._closing = False  # the end comes when the last request is answered
        self._ended = False  # nothing more is sent
        self._linger: asyncio.TimerHandle | None = None

    def serves(self, name: str) -> bool:
        """Whether it is open, to the export that has this name now."""
        return self.export is not None and not self._ended and self.export.name == name

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is sent."""
        return self._ended

    def process(self) -> None:
        """Go on with what has been received."""
        raise NotImplementedError

    def finish(self) -> None:
        """Answer what is under way, refuse what still comes, then close."""
        raise NotImplementedError

    # --- beginning and end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's transports are not subclasses of it
        self._transport = transport
        transport.set_write_buffer_limits(high=UNSENT_BYTES)
        # The socket's send buffer stays as it is: with 1 MiB, reads of 1 MiB were a quarter slower.
        self._owner.opened(self)
        self.process()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_taking()
        self._ended = True
        self._transport = None
        self.outgoing = []
        if self._linger is not None:
            self._linger.cancel()
        self._owner.lost(self)

    def close(self) -> None:
        """Close at once: replies that are ready are still sent, other requests are never answered."""
        self._write_out()
        self._end()

    def abort(self) -> None:
        """Close at once, with nothing more sent."""
        self._stop_taking()
        self._ended = True
        if self._transport is not None:
            self._transport.abort()

    def _stop_taking(self) -> None:
        self._closing = True
        self._limit = 0

    def _end(self) -> None:
        self._stop_taking()
        if not self._ended and self._transport is not None:
            self._ended = True
            self._linger = self._loop.call_later(LINGER_S, self.abort)
            self._transport.close()

    # --- sending

    def plan_flush(self) -> None:
        """Send what is in `outgoing` in the next turn of the event loop."""
        self.will_flush = True
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._write_out()
        self.will_flush = False
        self._resume()

    def _write_out(self) -> None:
        outgoing = self.outgoing
        self._weight -= self.answered_weight
        self.answered_weight = 0
        if outgoing:
            self.outgoing = []
            if not self._ended and self._transport is not None:
                self._transport.writelines(outgoing)
        if self._closing and not self._weight:
            self._end()

    # --- limits

    def pause_writing(self) -> None:
        self._limit = 0

    def resume_writing(self) -> None:
        if not self._closing:
            self._limit = LIMIT_BYTES
        if not self.will_flush:
            self._resume()

    def _must_pause(self) -> bool:
        """Whether what is under way, or unsent, does not allow to go on yet."""
        return self._weight > RESUME_BYTES or not self._limit

    def _pause(self) -> None:
        transport = self._transport
        if not self._reading_paused and transport is not None and not transport.is_closing():
            self._reading_paused = True
            transport.pause_reading()

    def _resume(self) -> None:
        transport = self._transport
        if not self._reading_paused or transport is None or self._must_pause():
            return
        self._reading_paused = False
        if not transport.is_closing():
            transport.resume_reading()
            self.process()
