"""The other end of an NBD connection: messages of a client, and a transport that is only pretended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from artesian.embedded.buffers import BufferPool
from artesian.embedded.sdc.nbd import Export
from artesian.embedded.sdc.nbd_connection import NbdConnection
from artesian.embedded.sdc.nbd_constants import (
    CHUNK,
    EXTENT,
    GREETING,
    IHAVEOPT,
    NBD_CMD_WRITE,
    NBD_OPT_EXPORT_NAME,
    NBD_OPT_GO,
    NBD_OPT_SET_META_CONTEXT,
    NBD_OPT_STRUCTURED_REPLY,
    NBD_REP_ACK,
    NBD_REPLY_FLAG_DONE,
    NBD_REPLY_TYPE_BLOCK_STATUS,
    NBD_REPLY_TYPE_ERROR,
    NBD_REPLY_TYPE_NONE,
    NBD_REPLY_TYPE_OFFSET_DATA,
    NBD_REPLY_TYPE_OFFSET_HOLE,
    NBD_REQUEST_MAGIC,
    NBD_SIMPLE_REPLY_MAGIC,
    NBD_STRUCTURED_REPLY_MAGIC,
    OPTION,
    OPTION_REPLY,
    OPTION_REPLY_MAGIC,
    REQUEST,
    SIMPLE_REPLY,
    U16,
    U32,
)

BOTH_CLIENT_FLAGS = U32.pack(3)

# --- what a client sends


def option(number: int, data: bytes = b"") -> bytes:
    return OPTION.pack(IHAVEOPT, number, len(data)) + data


def string(text: str) -> bytes:
    return U32.pack(len(text.encode())) + text.encode()


def go_data(name: str, *wanted: int) -> bytes:
    return string(name) + U16.pack(len(wanted)) + b"".join(U16.pack(item) for item in wanted)


def context_data(name: str, *queries: str) -> bytes:
    return string(name) + U32.pack(len(queries)) + b"".join(string(query) for query in queries)


def handshake(name: str, *, structured: bool = True, contexts: bool = True, go: bool = True) -> bytes:
    """All that a client says until requests may follow."""
    said = BOTH_CLIENT_FLAGS
    if structured:
        said += option(NBD_OPT_STRUCTURED_REPLY)
        if contexts:
            said += option(NBD_OPT_SET_META_CONTEXT, context_data(name, "base:allocation"))
    if go:
        return said + option(NBD_OPT_GO, go_data(name))
    return said + option(NBD_OPT_EXPORT_NAME, name.encode())


def request(
    command: int, cookie: int, offset: int = 0, length: int = 0, flags: int = 0, data: bytes = b""
) -> bytes:
    if command == NBD_CMD_WRITE and not length:
        length = len(data)
    return REQUEST.pack(NBD_REQUEST_MAGIC, flags, command, cookie.to_bytes(8, "big"), offset, length) + data


# --- what it gets


def option_replies(data: bytes) -> list[tuple[int, int, bytes]]:
    """(option, reply type, data) of each reply; the data must end with one of them."""
    replies = []
    at = 0
    while at < len(data):
        magic, number, kind, length = OPTION_REPLY.unpack_from(data, at)
        assert magic == OPTION_REPLY_MAGIC
        at += OPTION_REPLY.size
        replies.append((number, kind, data[at : at + length]))
        at += length
    assert at == len(data)
    return replies


@dataclass
class Answer:
    """Everything that came back for one request."""

    error: int = 0
    message: str = ""
    data: bytes = b""
    pieces: list[tuple[int, int]] = field(default_factory=list)  # (offset, length) of data
    holes: list[tuple[int, int]] = field(default_factory=list)
    extents: list[tuple[int, int]] = field(default_factory=list)


class Answers:
    """Cuts the server's replies apart, as strictly as the protocol allows."""

    def __init__(self, *, structured: bool) -> None:
        self.structured = structured
        self.finished: dict[int, Answer] = {}
        self.order: list[int] = []
        self._asked: dict[int, tuple[int, int, int]] = {}
        self._open: dict[int, tuple[Answer, bytearray]] = {}
        self._rest = b""

    def expect(self, message: bytes) -> bytes:
        """Note a request that is going to be sent."""
        _, _, command, cookie, offset, length = REQUEST.unpack_from(message)
        number = int.from_bytes(cookie, "big")
        assert number not in self._asked, "a test should use a cookie once"
        self._asked[number] = (command, offset, length)
        return message

    def take(self, data: bytes, *, whole: bool = True) -> None:
        """What the server has sent; unless it is not the `whole` of it, it ends with the end of a reply."""
        data = self._rest + data
        at = 0
        while at + U32.size <= len(data):
            (magic,) = U32.unpack_from(data, at)
            if magic == NBD_SIMPLE_REPLY_MAGIC:
                end = self._simple(data, at)
            else:
                assert magic == NBD_STRUCTURED_REPLY_MAGIC and self.structured
                end = self._chunk(data, at)
            if end is None:
                break
            at = end
        self._rest = data[at:]
        assert not (whole and self._rest), "the server stopped within a reply"

    def _finish(self, number: int, answer: Answer) -> None:
        assert number in self._asked and number not in self.finished
        self.finished[number] = answer
        self.order.append(number)

    def _simple(self, data: bytes, at: int) -> int | None:
        if at + SIMPLE_REPLY.size > len(data):
            return None
        _, error, cookie = SIMPLE_REPLY.unpack_from(data, at)
        at += SIMPLE_REPLY.size
        number = int.from_bytes(cookie, "big")
        command, offset, length = self._asked[number]
        answer = Answer(error)
        if command == 0 and not error:
            assert not self.structured, "reads need structured replies"
            answer.data = data[at : at + length]
            if len(answer.data) < length:
                return None
            answer.pieces = [(offset, length)]
            at += length
        self._finish(number, answer)
        return at

    def _chunk(self, data: bytes, at: int) -> int | None:
        if at + CHUNK.size > len(data):
            return None
        length: int
        _, flags, kind, cookie, length = CHUNK.unpack_from(data, at)
        body = data[at + CHUNK.size : at + CHUNK.size + length]
        if len(body) < length:
            return None
        number = int.from_bytes(cookie, "big")
        _, offset, asked = self._asked[number]
        answer, content = self._open.setdefault(number, (Answer(), bytearray(b"\xee" * min(asked, 1 << 26))))
        if kind == NBD_REPLY_TYPE_OFFSET_DATA:
            start = int.from_bytes(body[:8], "big") - offset
            assert start >= 0 and start + length - 8 <= asked and length > 8
            content[start : start + length - 8] = body[8:]
            answer.pieces.append((start + offset, length - 8))
        elif kind == NBD_REPLY_TYPE_OFFSET_HOLE:
            start, span = int.from_bytes(body[:8], "big") - offset, int.from_bytes(body[8:], "big")
            assert start >= 0 and start + span <= asked and span and length == 12
            content[start : start + span] = bytes(span)
            answer.holes.append((start + offset, span))
        elif kind == NBD_REPLY_TYPE_BLOCK_STATUS:
            assert length > 4 and not answer.extents
            answer.extents = [EXTENT.unpack_from(body, start) for start in range(4, length, EXTENT.size)]
        elif kind == NBD_REPLY_TYPE_ERROR:
            answer.error = int.from_bytes(body[:4], "big")
            assert answer.error and int.from_bytes(body[4:6], "big") == length - 6
            answer.message = body[6:].decode()
        else:
            assert kind == NBD_REPLY_TYPE_NONE and not length and flags & NBD_REPLY_FLAG_DONE
        if flags & NBD_REPLY_FLAG_DONE:
            if answer.pieces or answer.holes:
                answer.data = bytes(content)
            del self._open[number]
            self._finish(number, answer)
        return at + CHUNK.size + length


# --- a connection without an operating system


class PretendedLoop:
    """Runs callbacks when told to."""

    def __init__(self) -> None:
        self._ready: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.timers: list[PretendedTimer] = []

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        self._ready.append((callback, args))

    def call_later(self, delay_s: float, callback: Callable[..., object], *args: Any) -> PretendedTimer:
        timer = PretendedTimer(delay_s, callback, args)
        self.timers.append(timer)
        return timer

    def run(self) -> None:
        while self._ready:
            callback, args = self._ready.popleft()
            callback(*args)


@dataclass
class PretendedTimer:
    delay_s: float
    callback: Callable[..., object]
    args: tuple[Any, ...]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class PretendedTransport:
    """Collects what is written; `blocked` is a client that does not read, but for a `drain`."""

    def __init__(self) -> None:
        self.protocol: NbdConnection
        self.written = bytearray()
        self.blocked = False
        self.unsent_bytes = 0
        self.closed = False
        self.aborted = False
        self.reading = True
        self.high = 0

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def get_extra_info(self, name: str) -> None:
        return None

    def is_closing(self) -> bool:
        return self.closed

    def writelines(self, buffers: list[bytes]) -> None:
        assert not self.closed, "nothing may be written after the end"
        for buffer in buffers:
            self.written += buffer
        if self.blocked:
            self.unsent_bytes += sum(len(buffer) for buffer in buffers)
            if self.unsent_bytes > self.high:
                self.protocol.pause_writing()

    def drain(self) -> None:
        self.unsent_bytes = 0
        self.protocol.resume_writing()

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True


class Wire:
    """A server's connection, and the bytes that go in and out."""

    def __init__(self, *exports: Export) -> None:
        by_name = {export.name: export for export in exports}
        self.exports: Callable[[str], Export | None] = by_name.get
        self.names: Callable[[], list[str]] = lambda: list(by_name)
        self.pool = BufferPool(16 << 20)
        self.connections: set[object] = set()
        self.loop = PretendedLoop()
        self.transport = PretendedTransport()
        self.connection = NbdConnection(self, self.loop)  # type: ignore[arg-type]
        self.transport.protocol = self.connection
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]
        self.loop.run()

    def opened(self, connection: object) -> None:
        self.connections.add(connection)

    def lost(self, connection: object) -> None:
        self.connections.discard(connection)

    def feed(self, data: bytes, cuts: Iterator[int] | None = None, *, run: bool = True) -> bytes:
        """Let the server receive; what it did not want to read any more is returned."""
        view = memoryview(data)
        while view and not self.transport.closed:
            if not self.transport.reading:
                if run:
                    self.loop.run()
                if not self.transport.reading:
                    break
            room = self.connection.get_buffer(-1)
            assert len(room), "whoever reads needs room"
            count = min(len(room), len(view), next(cuts) if cuts is not None else len(view))
            room[:count] = view[:count]
            view = view[count:]
            self.connection.buffer_updated(count)
        if run:
            self.loop.run()
        return bytes(view)

    def take(self) -> bytes:
        """What the server has sent since the last time."""
        data = bytes(self.transport.written)
        self.transport.written.clear()
        return data

    def negotiate(self, name: str, *, structured: bool = True, contexts: bool = True) -> None:
        """Go through the handshake."""
        self.feed(handshake(name, structured=structured, contexts=contexts))
        replies = option_replies(self.take()[GREETING.size :])
        assert replies[-1][:2] == (NBD_OPT_GO, NBD_REP_ACK)


class Client:
    """A client in the transmission phase, on a `Wire`."""

    def __init__(self, *exports: Export, structured: bool = True, contexts: bool = True) -> None:
        self.wire = Wire(*exports)
        self.wire.negotiate(exports[0].name, structured=structured, contexts=contexts)
        self.answers = Answers(structured=structured)
        self._cookie = 0

    def send(self, command: int, offset: int = 0, length: int = 0, flags: int = 0, data: bytes = b"") -> int:
        """Send a request; its number is the key of its answer."""
        self._cookie += 1
        message = self.answers.expect(request(command, self._cookie, offset, length, flags, data))
        assert not self.wire.feed(message), "the server does not read"
        return self._cookie

    def receive(self) -> None:
        self.wire.loop.run()
        self.answers.take(self.wire.take())

    def ask(
        self, command: int, offset: int = 0, length: int = 0, flags: int = 0, data: bytes = b""
    ) -> Answer:
        """Send a request and get its answer."""
        number = self.send(command, offset, length, flags, data)
        self.receive()
        return self.answers.finished[number]
