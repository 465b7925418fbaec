"""The first half of an NBD connection: option haggling, free of any transport.

Fixed newstyle. There is no TLS: the server listens on a local socket that only its owner can open. Nothing
that a client sends is kept beyond one option, and no option may be longer than `MAX_OPTION_BYTES`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from artesian.embedded.sdc.nbd_constants import (
    BASE_ALLOCATION,
    BASE_ALLOCATION_ID,
    CLIENT_FLAGS,
    EXPORT_NAME_REPLY,
    GREETING,
    IHAVEOPT,
    INFO_BLOCK_SIZE,
    INFO_EXPORT,
    MAX_PAYLOAD_BYTES,
    MAX_STRING_BYTES,
    MINIMUM_BLOCK_BYTES,
    NBD_FLAG_C_FIXED_NEWSTYLE,
    NBD_FLAG_C_NO_ZEROES,
    NBD_FLAG_FIXED_NEWSTYLE,
    NBD_FLAG_NO_ZEROES,
    NBD_INFO_BLOCK_SIZE,
    NBD_INFO_DESCRIPTION,
    NBD_INFO_EXPORT,
    NBD_INFO_NAME,
    NBD_OPT_ABORT,
    NBD_OPT_EXPORT_NAME,
    NBD_OPT_GO,
    NBD_OPT_INFO,
    NBD_OPT_LIST,
    NBD_OPT_LIST_META_CONTEXT,
    NBD_OPT_SET_META_CONTEXT,
    NBD_OPT_STARTTLS,
    NBD_OPT_STRUCTURED_REPLY,
    NBD_REP_ACK,
    NBD_REP_ERR_INVALID,
    NBD_REP_ERR_POLICY,
    NBD_REP_ERR_TOO_BIG,
    NBD_REP_ERR_UNKNOWN,
    NBD_REP_ERR_UNSUP,
    NBD_REP_INFO,
    NBD_REP_META_CONTEXT,
    NBD_REP_SERVER,
    NBDMAGIC,
    OPTION,
    OPTION_REPLY,
    OPTION_REPLY_MAGIC,
    PREFERRED_BLOCK_BYTES,
    U16,
    U32,
)
from artesian.embedded.sdc.nbd_request import IoRequest
from artesian.embedded.sdc.nbd_rules import transmission_flags

MAX_OPTION_BYTES = 64 * 1024

SERVER_GREETING = GREETING.pack(NBDMAGIC, IHAVEOPT, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES)

_KNOWN_CLIENT_FLAGS = NBD_FLAG_C_FIXED_NEWSTYLE | NBD_FLAG_C_NO_ZEROES


class Export(Protocol):
    """What a client can attach to. The size that a connection knows is the one at its handshake."""

    name: str
    size_bytes: int
    read_only: bool

    def submit(self, request: IoRequest) -> None:
        """Begin a request; never blocks, and completes it then or later."""


class NbdProtocolError(Exception):
    """The client does what the protocol forbids, and cannot be answered; the connection must end."""


class _InvalidOption(Exception):
    """An option whose data does not have the form that it must have."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What client and server have agreed on."""

    export: Export
    size_bytes: int
    read_only: bool
    structured: bool
    block_status: bool


class Handshake:
    """One client's haggling. Feed it with `take`; send `replies` and empty it."""

    def __init__(self, exports: Callable[[str], Export | None], names: Callable[[], list[str]]) -> None:
        self.replies: list[bytes] = [SERVER_GREETING]
        self.agreement: Agreement | None = None
        self.aborted = False
        self._exports = exports
        self._names = names
        self._client_flags: int | None = None
        self._structured = False
        self._context_export: str | None = None  # the name for which base:allocation was selected
        self._skip = 0
        self._options = {
            NBD_OPT_ABORT: self._abort,
            NBD_OPT_LIST: self._list,
            NBD_OPT_STARTTLS: self._start_tls,
            NBD_OPT_INFO: self._info,
            NBD_OPT_GO: self._go,
            NBD_OPT_STRUCTURED_REPLY: self._structured_reply,
            NBD_OPT_LIST_META_CONTEXT: self._list_meta_context,
            NBD_OPT_SET_META_CONTEXT: self._set_meta_context,
        }

    def take(self, data: memoryview) -> int:
        """Use one message from the start of `data`; returns its length, 0 when it is not all there yet.

        To be called until it returns 0, `agreement` is there or `aborted` is set. Raises NbdProtocolError
        when the connection must end at once.
        """
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            return skipped
        if self._client_flags is None:
            return self._take_flags(data)
        if len(data) < OPTION.size:
            return 0
        magic: int
        option: int
        length: int
        magic, option, length = OPTION.unpack_from(data)
        if magic != IHAVEOPT:
            raise NbdProtocolError("an option without its magic number")
        if length > MAX_OPTION_BYTES:
            if option == NBD_OPT_EXPORT_NAME:
                raise NbdProtocolError("an impossible export name")
            self._skip = length
            self._reply(option, NBD_REP_ERR_TOO_BIG, b"options have at most 64 KiB")
            return OPTION.size
        end = OPTION.size + length
        if len(data) < end:
            return 0
        self._take_option(option, bytes(data[OPTION.size : end]))
        return end

    def _take_flags(self, data: memoryview) -> int:
        if len(data) < CLIENT_FLAGS.size:
            return 0
        (flags,) = CLIENT_FLAGS.unpack_from(data)
        if flags & ~_KNOWN_CLIENT_FLAGS:
            raise NbdProtocolError(f"unknown client flags {flags:#x}")
        self._client_flags = flags
        return CLIENT_FLAGS.size

    def _take_option(self, option: int, data: bytes) -> None:
        if option == NBD_OPT_EXPORT_NAME:
            self._export_name(data)
            return
        handler = self._options.get(option)
        if handler is None:
            self._reply(option, NBD_REP_ERR_UNSUP, b"this server does not know the option")
            return
        try:
            handler(option, data)
        except _InvalidOption as error:
            self._reply(option, NBD_REP_ERR_INVALID, str(error).encode())

    def _reply(self, option: int, kind: int, data: bytes = b"") -> None:
        self.replies.append(OPTION_REPLY.pack(OPTION_REPLY_MAGIC, option, kind, len(data)) + data)

    # --- options

    def _export_name(self, data: bytes) -> None:
        try:
            name = data.decode()
        except UnicodeDecodeError:
            raise NbdProtocolError("an export name that is not text") from None
        agreement = self._agree(name)
        if agreement is None:
            raise NbdProtocolError(f"no export {name!r}")
        self.replies.append(EXPORT_NAME_REPLY.pack(agreement.size_bytes, _flags_of(agreement)))
        if not (self._client_flags or 0) & NBD_FLAG_C_NO_ZEROES:
            self.replies.append(bytes(124))
        self.agreement = agreement

    def _abort(self, option: int, data: bytes) -> None:
        self._reply(option, NBD_REP_ACK)
        self.aborted = True

    def _list(self, option: int, data: bytes) -> None:
        _expect_nothing(data)
        for name in self._names():
            encoded = name.encode()
            self._reply(option, NBD_REP_SERVER, U32.pack(len(encoded)) + encoded)
        self._reply(option, NBD_REP_ACK)

    def _start_tls(self, option: int, data: bytes) -> None:
        _expect_nothing(data)
        self._reply(option, NBD_REP_ERR_POLICY, b"a local socket needs no TLS")

    def _structured_reply(self, option: int, data: bytes) -> None:
        _expect_nothing(data)
        self._structured = True
        self._reply(option, NBD_REP_ACK)

    def _info(self, option: int, data: bytes) -> None:
        self._describe(option, data)

    def _go(self, option: int, data: bytes) -> None:
        self.agreement = self._describe(option, data)

    def _describe(self, option: int, data: bytes) -> Agreement | None:
        name, at = _take_string(data, 0)
        try:
            (count,) = U16.unpack_from(data, at)
            wanted = struct.unpack_from(f">{count}H", data, at + U16.size)
        except struct.error:
            raise _InvalidOption("the list of information requests is cut off") from None
        if at + U16.size * (count + 1) != len(data):
            raise _InvalidOption("the lengths inside of the option do not add up")
        agreement = self._agree(name)
        if agreement is None:
            self._reply(option, NBD_REP_ERR_UNKNOWN, f"no export {name!r}".encode())
            return None
        information = [INFO_EXPORT.pack(NBD_INFO_EXPORT, agreement.size_bytes, _flags_of(agreement))]
        if NBD_INFO_NAME in wanted:
            information.append(U16.pack(NBD_INFO_NAME) + agreement.export.name.encode())
        if NBD_INFO_DESCRIPTION in wanted:
            text = f"Artesian volume {agreement.export.name}"
            information.append(U16.pack(NBD_INFO_DESCRIPTION) + text.encode()[:MAX_STRING_BYTES])
        if NBD_INFO_BLOCK_SIZE in wanted:
            # fmt: off
            information.append(INFO_BLOCK_SIZE.pack(NBD_INFO_BLOCK_SIZE, MINIMUM_BLOCK_BYTES,
                                                    PREFERRED_BLOCK_BYTES, MAX_PAYLOAD_BYTES))
            # fmt: on
        for item in information:
            self._reply(option, NBD_REP_INFO, item)
        self._reply(option, NBD_REP_ACK)
        return agreement

    def _agree(self, name: str) -> Agreement | None:
        export = self._exports(name)
        if export is None:
            return None
        return Agreement(
            export=export,
            size_bytes=export.size_bytes,
            read_only=export.read_only,
            structured=self._structured,
            block_status=self._context_export == name,
        )

    # --- metadata contexts

    def _list_meta_context(self, option: int, data: bytes) -> None:
        name, queries = self._take_queries(data)
        if self._exports(name) is None:
            self._reply(option, NBD_REP_ERR_UNKNOWN, f"no export {name!r}".encode())
            return
        if not queries or "base:" in queries or BASE_ALLOCATION in queries:
            self._reply(option, NBD_REP_META_CONTEXT, U32.pack(0) + BASE_ALLOCATION.encode())
        self._reply(option, NBD_REP_ACK)

    def _set_meta_context(self, option: int, data: bytes) -> None:
        self._context_export = None
        name, queries = self._take_queries(data)
        if self._exports(name) is None:
            self._reply(option, NBD_REP_ERR_UNKNOWN, f"no export {name!r}".encode())
            return
        if BASE_ALLOCATION in queries:
            self._context_export = name
            self._reply(option, NBD_REP_META_CONTEXT, U32.pack(BASE_ALLOCATION_ID) + BASE_ALLOCATION.encode())
        self._reply(option, NBD_REP_ACK)

    def _take_queries(self, data: bytes) -> tuple[str, list[str]]:
        if not self._structured:
            raise _InvalidOption("metadata contexts need structured replies")
        name, at = _take_string(data, 0)
        try:
            (count,) = U32.unpack_from(data, at)
        except struct.error:
            raise _InvalidOption("the number of queries is cut off") from None
        at += U32.size
        queries = []
        for _ in range(count):
            query, at = _take_string(data, at)
            queries.append(query)
        if at != len(data):
            raise _InvalidOption("the lengths inside of the option do not add up")
        return name, queries


def _flags_of(agreement: Agreement) -> int:
    return transmission_flags(read_only=agreement.read_only, structured=agreement.structured)


def _expect_nothing(data: bytes) -> None:
    if data:
        raise _InvalidOption("the option has no data")


def _take_string(data: bytes, at: int) -> tuple[str, int]:
    """A string with its length before it, and where it ends."""
    try:
        (length,) = U32.unpack_from(data, at)
    except struct.error:
        raise _InvalidOption("a string is cut off") from None
    at += U32.size
    if length > MAX_STRING_BYTES:
        raise _InvalidOption(f"a string of more than {MAX_STRING_BYTES} bytes")
    if at + length > len(data):
        raise _InvalidOption("a string is cut off")
    try:
        return data[at : at + length].decode(), at + length
    except UnicodeDecodeError:
        raise _InvalidOption("a string that is not UTF-8") from None
