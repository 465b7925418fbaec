"""A request on its way from an NBD client to an export, and the making of its reply. A hot path."""

from __future__ import annotations

from typing import Protocol

from artesian.embedded.sdc.nbd_constants import (
    CHUNK,
    DATA_CHUNK,
    ERROR_CHUNK,
    EXTENT,
    HOLE_CHUNK,
    NBD_CMD_BLOCK_STATUS,
    NBD_CMD_FLAG_DF,
    NBD_CMD_FLAG_REQ_ONE,
    NBD_CMD_READ,
    NBD_EIO,
    NBD_REPLY_FLAG_DONE,
    NBD_REPLY_TYPE_BLOCK_STATUS,
    NBD_REPLY_TYPE_ERROR,
    NBD_REPLY_TYPE_NONE,
    NBD_REPLY_TYPE_OFFSET_DATA,
    NBD_REPLY_TYPE_OFFSET_HOLE,
    NBD_SIMPLE_REPLY_MAGIC,
    NBD_STRUCTURED_REPLY_MAGIC,
    SIMPLE_REPLY,
    STATUS_CHUNK,
)
from artesian.embedded.sdc.nbd_rules import wire_error

Buffer = bytes | bytearray | memoryview

LARGE_BYTES = 64 * 1024
"""Payloads from this size on are not copied; pieces of this size are sent before the others are there."""

MAX_EXTENTS = 1 << 16

_SUCCESS = SIMPLE_REPLY.pack(NBD_SIMPLE_REPLY_MAGIC, 0, bytes(8))[:8]
_ZEROES = bytes(1 << 20)
_DATA_OVERHEAD = 8


class Replies(Protocol):
    """Where replies go: the connection that the request came from."""

    structured: bool
    context_id: int
    outgoing: list[Buffer]
    answered_weight: int
    will_flush: bool

    @property
    def has_ended(self) -> bool:
        """Whether nobody is there any more who could be answered."""

    def plan_flush(self) -> None:
        """Send `outgoing` soon; called by whoever finds `will_flush` unset."""


class IoRequest:
    """One request. Created by the server, completed by the export, in the event loop's thread.

    `command` and `flags` are the protocol's NBD_CMD_* and NBD_CMD_FLAG_*; `offset` and `length` are in bytes
    and within the export. `payload` holds what is to be written, and stays valid until `done`. The client may
    go away at any time; completing its request is harmless then.
    """

    __slots__ = (
        "_connection",
        "_cookie",
        "_covered",
        "_pieces",
        "_weight",
        "_whole",
        "command",
        "flags",
        "length",
        "offset",
        "payload",
    )

    def __init__(
        self, connection: Replies, command: int, flags: int, cookie: bytes, offset: int, length: int,
        payload: bytes | memoryview | None, weight: int,
    ) -> None:  # fmt: skip
        self.command = command
        self.flags = flags
        self.offset = offset
        self.length = length
        self.payload = payload
        self._connection: Replies | None = connection
        self._cookie = cookie
        self._weight = weight
        self._whole: Buffer | None = None
        self._pieces: list[tuple[int, int, Buffer | None]] | None = None
        self._covered = 0

    def __repr__(self) -> str:
        return f"IoRequest(command={self.command}, flags={self.flags}, {self.offset}+{self.length})"

    @property
    def is_abandoned(self) -> bool:
        """Whether its client has gone away, or has its answer."""
        return self._connection is None or self._connection.has_ended

    def data(self, offset: int, buffer: Buffer) -> None:
        """A piece of what is read; `offset` counts from the start of the export, `buffer` holds bytes.

        Pieces come in any order and cover the request exactly once. The buffer must not change afterwards.
        Raises ValueError when the piece is not within the request.
        """
        if offset == self.offset and len(buffer) == self.length:
            self._whole = buffer
        else:
            self._piece(offset, len(buffer), buffer)

    def hole(self, offset: int, length: int) -> None:
        """A piece of what is read: `length` bytes of zeros. Raises ValueError like `data`."""
        self._piece(offset, length, None)

    def status(self, extents: list[tuple[int, int]]) -> None:
        """The answer to a block status request: (length, NBD_STATE_* flags), in order from `offset` on.

        They may describe less than was asked for, if it is at least one byte; nothing at all says that
        nothing is known.
        """
        connection = self._connection
        if connection is None or self.command != NBD_CMD_BLOCK_STATUS:
            return
        most = 1 if self.flags & NBD_CMD_FLAG_REQ_ONE else MAX_EXTENTS
        tidy = _tidy(extents, self.length)[:most] or [(self.length, 0)]
        # fmt: off
        header = STATUS_CHUNK.pack(NBD_STRUCTURED_REPLY_MAGIC, NBD_REPLY_FLAG_DONE,
                                   NBD_REPLY_TYPE_BLOCK_STATUS, self._cookie,
                                   4 + len(tidy) * EXTENT.size, connection.context_id)
        # fmt: on
        self._whole = header + b"".join(EXTENT.pack(*extent) for extent in tidy)

    def done(self, error: int = 0) -> None:
        """The request is complete: successful, or with an errno. To be called exactly once."""
        connection = self._connection
        if connection is None:
            return
        self._connection = None
        self.payload = None
        connection.answered_weight += self._weight
        outgoing = connection.outgoing
        if error:
            outgoing.append(error_reply(connection.structured, self._cookie, wire_error(error)))
        elif self.command != NBD_CMD_READ:
            if self.command != NBD_CMD_BLOCK_STATUS:
                outgoing.append(_SUCCESS + self._cookie)
            else:
                self._finish_status(connection)
        elif self._whole is None or self._covered:
            self._finish_pieces(connection)
        elif connection.structured:
            # fmt: off
            outgoing.append(DATA_CHUNK.pack(NBD_STRUCTURED_REPLY_MAGIC, NBD_REPLY_FLAG_DONE,
                                            NBD_REPLY_TYPE_OFFSET_DATA, self._cookie,
                                            self.length + _DATA_OVERHEAD, self.offset))
            # fmt: on
            outgoing.append(self._whole)
        else:
            outgoing.append(_SUCCESS + self._cookie)
            outgoing.append(self._whole)
        if not connection.will_flush:
            connection.plan_flush()

    # --- replies in pieces

    def _piece(self, offset: int, length: int, buffer: Buffer | None) -> None:
        if offset < self.offset or offset + length > self.offset + self.length:
            raise ValueError(f"{offset}+{length} is not within {self!r}")
        connection = self._connection
        if connection is None or not length:
            return
        self._covered += length
        last = self._covered >= self.length
        if buffer is not None and length >= LARGE_BYTES and not last and self._may_fragment(connection):
            _append_piece(connection.outgoing, 0, self._cookie, offset, length, buffer)
            if not connection.will_flush:
                connection.plan_flush()
            return
        if self._pieces is None:
            self._pieces = []
        self._pieces.append((offset, length, buffer))

    def _may_fragment(self, connection: Replies) -> bool:
        return connection.structured and not self.flags & NBD_CMD_FLAG_DF

    def _finish_pieces(self, connection: Replies) -> None:
        pieces = self._pieces or []
        if self._whole is not None or self._covered != self.length:
            self._fail(connection)
        elif self._may_fragment(connection):
            last = len(pieces) - 1
            for index, (offset, length, buffer) in enumerate(pieces):
                flags = NBD_REPLY_FLAG_DONE if index == last else 0
                _append_piece(connection.outgoing, flags, self._cookie, offset, length, buffer)
        else:
            self._finish_gathered(connection, pieces)

    def _finish_gathered(self, connection: Replies, pieces: list[tuple[int, int, Buffer | None]]) -> None:
        """One reply with everything in order."""
        pieces.sort(key=lambda piece: piece[0])
        gathered: list[Buffer] = []
        at = self.offset
        for offset, length, buffer in pieces:
            if offset != at:
                self._fail(connection)
                return
            at += length
            if buffer is not None:
                gathered.append(buffer)
                continue
            for start in range(0, length, len(_ZEROES)):
                gathered.append(_ZEROES if length - start >= len(_ZEROES) else _ZEROES[: length - start])
        if connection.structured:
            # fmt: off
            header = DATA_CHUNK.pack(NBD_STRUCTURED_REPLY_MAGIC, NBD_REPLY_FLAG_DONE,
                                     NBD_REPLY_TYPE_OFFSET_DATA, self._cookie,
                                     self.length + _DATA_OVERHEAD, self.offset)
            # fmt: on
        else:
            header = _SUCCESS + self._cookie
        connection.outgoing.append(header)
        connection.outgoing.extend(gathered)

    def _finish_status(self, connection: Replies) -> None:
        if self._whole is None:
            self._connection = connection
            self.status([])
            self._connection = None
        assert self._whole is not None
        connection.outgoing.append(self._whole)

    def _fail(self, connection: Replies) -> None:
        """The export says that all is well but has not delivered everything exactly once."""
        connection.outgoing.append(
            error_reply(connection.structured, self._cookie, NBD_EIO, "the export returned incomplete data")
        )


def error_reply(structured: bool, cookie: bytes, error: int, message: str = "") -> bytes:
    """The last reply to a request that failed."""
    if not structured:
        return SIMPLE_REPLY.pack(NBD_SIMPLE_REPLY_MAGIC, error, cookie)
    text = message.encode()
    # fmt: off
    return ERROR_CHUNK.pack(NBD_STRUCTURED_REPLY_MAGIC, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_ERROR, cookie,
                            6 + len(text), error, len(text)) + text
    # fmt: on


def empty_reply(structured_read: bool, cookie: bytes) -> bytes:
    """Success of a request that carries nothing back; reads need a chunk when replies are structured."""
    if structured_read:
        return CHUNK.pack(NBD_STRUCTURED_REPLY_MAGIC, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_NONE, cookie, 0)
    return _SUCCESS + cookie


def _append_piece(
    outgoing: list[Buffer], flags: int, cookie: bytes, offset: int, length: int, buffer: Buffer | None
) -> None:
    if buffer is None:
        # fmt: off
        outgoing.append(HOLE_CHUNK.pack(NBD_STRUCTURED_REPLY_MAGIC, flags, NBD_REPLY_TYPE_OFFSET_HOLE, cookie,
                                        12, offset, length))
        # fmt: on
        return
    # fmt: off
    outgoing.append(DATA_CHUNK.pack(NBD_STRUCTURED_REPLY_MAGIC, flags, NBD_REPLY_TYPE_OFFSET_DATA, cookie,
                                    length + _DATA_OVERHEAD, offset))
    # fmt: on
    outgoing.append(buffer)


def _tidy(extents: list[tuple[int, int]], limit: int) -> list[tuple[int, int]]:
    """Cut to the range asked for, neighbours with the same flags made one."""
    tidy: list[tuple[int, int]] = []
    for extent_length, flags in extents:
        length = min(extent_length, limit)
        if length <= 0:
            continue
        limit -= length
        if tidy and tidy[-1][1] == flags:
            tidy[-1] = (tidy[-1][0] + length, flags)
        else:
            tidy.append((length, flags))
    return tidy
