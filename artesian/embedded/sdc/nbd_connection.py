"""One NBD client's connection: its handshake, then its requests, parsed straight out of the receive buffer.

The hot path of the client process. Per request there is one `IoRequest` and nothing else: no task, no future,
no coroutine. Small payloads are copied out of the receive buffer once; large ones are received into a buffer
of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from artesian.embedded.sdc.nbd_constants import (
    MAX_PAYLOAD_BYTES,
    NBD_CMD_DISC,
    NBD_CMD_FLAG_FUA,
    NBD_CMD_FLUSH,
    NBD_CMD_READ,
    NBD_CMD_WRITE,
    NBD_ESHUTDOWN,
    NBD_REQUEST_MAGIC,
    REQUEST,
    REQUEST_BYTES,
)
from artesian.embedded.sdc.nbd_flow import REQUEST_WEIGHT_BYTES, NbdFlow, Owner
from artesian.embedded.sdc.nbd_handshake import Agreement, Handshake, NbdProtocolError
from artesian.embedded.sdc.nbd_request import LARGE_BYTES, IoRequest, empty_reply, error_reply
from artesian.embedded.sdc.nbd_rules import refusal

log = structlog.get_logger()

RECEIVE_BYTES = 256 * 1024

SKIPPED_MAX_BYTES = 2 * MAX_PAYLOAD_BYTES
"""A refused write with a longer payload than this ends the connection: it is out of step."""


class NbdConnection(NbdFlow):
    """One connection, from its handshake to its end."""

    __slots__ = (
        "_block_status",
        "_buffer",
        "_handshake",
        "_large",
        "_large_filled",
        "_large_request",
        "_read_only",
        "_size_bytes",
        "_skip",
        "_skip_reply",
        "_start",
        "_stop",
        "_submit",
        "_view",
        "_window_end",
    )

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(owner, loop)
        self._handshake: Handshake | None = Handshake(owner.exports, owner.names)
        self._submit: Callable[[IoRequest], None] = _refuse
        self._size_bytes = 0
        self._read_only = True
        self._block_status = False
        self._buffer = bytearray(RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._start = 0  # what has been received and not used yet: from here
        self._stop = 0  # to here
        self._window_end = RECEIVE_BYTES  # how far the next read may reach
        self._large: memoryview | None = None
        self._large_filled = 0
        self._large_request: IoRequest | None = None
        self._skip = 0  # bytes of a refused write's payload still to be passed over
        self._skip_reply = b""

    def finish(self) -> None:
        """Answer what is under way, refuse what still comes with ESHUTDOWN, then close."""
        if self._handshake is not None or not self._weight:
            self.close()
            return
        self._submit = _refuse
        self._closing = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._large = self._large_request = None
        super().connection_lost(exc)

    def eof_received(self) -> bool:
        """The client sends no more; it still gets the answers that it waits for."""
        if self._large_request is not None:
            self._weight -= self._large_request.length
            self._large = self._large_request = None
        self._stop_taking()
        self._write_out()
        return True

    # --- receiving

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._large is not None:
            return self._large[self._large_filled :]
        return self._view[self._stop : self._window_end]

    def buffer_updated(self, nbytes: int) -> None:
        if self._large is None:
            self._stop += nbytes
        else:
            self._large_filled += nbytes
            if self._large_filled < len(self._large):
                return
        self.process()

    def process(self) -> None:
        """Take everything that is in the receive buffer, and send what could be answered at once."""
        self.will_flush = True
        try:
            if self._handshake is not None:
                self._haggle(self._handshake)
            elif self._large is not None:
                self._submit_large()
            if self._handshake is None:
                while self._take_requests():
                    self._write_out()
                    if self._must_pause():
                        self._pause()
                        break
            self._write_out()
        except NbdProtocolError as error:
            log.warning("nbd.client_refused", because=str(error), export=self.export and self.export.name)
            self.close()
        except Exception:
            log.exception("nbd.connection_failed", export=self.export and self.export.name)
            self.abort()
        self.will_flush = False

    def _haggle(self, handshake: Handshake) -> None:
        """Answer options until there is an agreement."""
        start, used = self._start, 1
        while used and self._limit and self._handshake is not None:
            used = handshake.take(self._view[start : self._stop])
            start += used
            self.outgoing += handshake.replies
            handshake.replies.clear()
            self._write_out()
            if handshake.aborted:
                self._end()
            elif handshake.agreement is not None:
                self._begin(handshake.agreement)
        self._compact(start, self._stop)
        if not self._limit:
            self._pause()

    def _begin(self, agreement: Agreement) -> None:
        self._handshake = None
        self.export = agreement.export
        self.structured = agreement.structured
        self._block_status = agreement.block_status
        self._read_only = agreement.read_only
        self._size_bytes = agreement.size_bytes
        self._submit = agreement.export.submit

    def _take_requests(self) -> bool:
        """Submit all requests that are complete; whether it stopped because too much is under way."""
        if self._skip and not self._skip_payload():
            self._compact(self._start, self._stop)
            return False
        if self._stop:
            self._window_end = RECEIVE_BYTES
        buffer = self._buffer
        start, end = self._start, self._stop
        size, writable, submit = self._size_bytes, not self._read_only, self._submit
        unpack = REQUEST.unpack_from
        while end - start >= REQUEST_BYTES and self._weight < self._limit:
            magic, flags, command, cookie, offset, length = unpack(buffer, start)
            if magic != NBD_REQUEST_MAGIC:
                raise NbdProtocolError("a request without its magic number")
            body = start + REQUEST_BYTES
            if not length or offset + length > size or flags > NBD_CMD_FLAG_FUA:
                pass
            elif command == NBD_CMD_READ and length <= MAX_PAYLOAD_BYTES:
                start = body
                weight = length if length > REQUEST_WEIGHT_BYTES else REQUEST_WEIGHT_BYTES
                self._weight += weight
                submit(IoRequest(self, NBD_CMD_READ, flags, cookie, offset, length, None, weight))
                continue
            elif command == NBD_CMD_WRITE and writable and length < LARGE_BYTES:
                start = body + length
                if start > end:
                    start = body - REQUEST_BYTES
                    break
                self._weight += REQUEST_WEIGHT_BYTES
                payload = bytes(self._view[body:start])
                submit(
                    IoRequest(
                        self, NBD_CMD_WRITE, flags, cookie, offset, length, payload, REQUEST_WEIGHT_BYTES
                    )
                )
                continue
            self._start = body
            goes_on = self._take_unusual(flags, command, cookie, offset, length)
            start = self._start
            if not goes_on:
                break
        self._compact(start, end)
        return self._stop - self._start >= REQUEST_BYTES and self._weight >= self._limit

    def _compact(self, start: int, end: int) -> None:
        """Move what is left in the receive buffer to its beginning."""
        left = end - start
        if left and start:
            self._view[:left] = self._view[start:end]
        self._start = 0
        self._stop = left

    # --- requests off the main path; `_start` is behind the header

    def _take_unusual(self, flags: int, command: int, cookie: bytes, offset: int, length: int) -> bool:
        """Whether parsing goes on: not when a payload has to be received first, or after the last request."""
        if command == NBD_CMD_DISC:
            self._stop_taking()
            self._start = self._stop
            return False
        # fmt: off
        refused = refusal(command, flags, offset, length, self._size_bytes, read_only=self._read_only,
                          structured=self.structured, block_status=self._block_status)
        # fmt: on
        if refused is not None:
            reply = error_reply(self.structured, cookie, *refused)
        elif length or command == NBD_CMD_FLUSH:
            return self._submit_unusual(flags, command, cookie, offset, length)
        else:
            reply = empty_reply(self.structured and command == NBD_CMD_READ, cookie)
        if command != NBD_CMD_WRITE:
            self.outgoing.append(reply)
            return True
        if length > SKIPPED_MAX_BYTES:
            raise NbdProtocolError(f"a write of {length} bytes")
        self._skip = length
        self._skip_reply = reply
        return self._skip_payload()

    def _submit_unusual(self, flags: int, command: int, cookie: bytes, offset: int, length: int) -> bool:
        payload = None
        weight = REQUEST_WEIGHT_BYTES
        if command == NBD_CMD_WRITE:
            payload = self._owner.pool.take(length)
        if command in (NBD_CMD_READ, NBD_CMD_WRITE):
            weight = max(length, weight)
        self._weight += weight
        request = IoRequest(self, command, flags, cookie, offset, length, payload, weight)
        if payload is not None:
            here = min(length, self._stop - self._start)
            payload[:here] = self._view[self._start : self._start + here]
            self._start += here
            if here < length:
                self._large = payload
                self._large_filled = here
                self._large_request = request
                return False
        self._submit(request)
        return True

    def _submit_large(self) -> None:
        request = self._large_request
        assert request is not None
        self._large = self._large_request = None
        self._submit(request)
        # Whoever sends large writes is likely to send another: its payload goes to its own buffer whole
        # when only the header before it is received here.
        self._window_end = REQUEST_BYTES

    def _skip_payload(self) -> bool:
        """Pass over the payload of a refused write; whether it is all there, and answered."""
        skipped = min(self._skip, self._stop - self._start)
        self._start += skipped
        self._skip -= skipped
        if self._skip:
            return False
        self.outgoing.append(self._skip_reply)
        return True


def _refuse(request: IoRequest) -> None:
    request.done(NBD_ESHUTDOWN)
