"""The server's data port against peers that do not behave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.embedded import datalink, wire
from artesian.embedded.arena import Arena
from artesian.embedded.datalink import DataLink
from artesian.embedded.sds.session import DataSession, Handler
from artesian.embedded.wire import REQUEST, Flag, Operation, Request, Status

SECRET = b"the engine's secret, 32 bytes..."


async def serving(story: Callable[[int, list[bytes]], Awaitable[None]]) -> None:
    """Run a story against a data port that knows PING and WRITE and keeps what was written."""
    written: list[bytes] = []
    sessions: set[DataSession] = set()

    def ping(session: DataSession, request: Request, payload: memoryview) -> None:
        session.reply(request.tag, Status.OK)

    def write(session: DataSession, request: Request, payload: memoryview) -> None:
        written.append(bytes(payload))
        session.reply(request.tag, Status.OK)

    handlers = {Operation.PING: ping, Operation.WRITE: write}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: DataSession(SECRET, handlers, sessions), "127.0.0.1", 0)  # type: ignore[arg-type]
    try:
        await story(server.sockets[0].getsockname()[1], written)
    finally:
        server.close()
        for session in list(sessions):
            session.close()


def run(story: Callable[[int, list[bytes]], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(serving(story), 20))


def test_a_peer_with_the_secret_is_served() -> None:
    async def story(port: int, written: list[bytes]) -> None:
        link = await datalink.connect("127.0.0.1", port, SECRET, datalink.new_peer())
        payloads = [bytes([n]) * size for n, size in enumerate((1, 4096, 70_000, 1 << 20))]
        statuses = await asyncio.gather(*(link.ask(Operation.WRITE, payload=data) for data in payloads))
        assert [status for status, _ in statuses] == [Status.OK] * 4
        assert written == payloads
        link.close()

    run(story)


def test_a_peer_with_another_secret_is_refused() -> None:
    async def story(port: int, written: list[bytes]) -> None:
        try:
            await datalink.connect("127.0.0.1", port, b"wrong", 1)
        except ConnectionError:
            return
        raise AssertionError("it was let in")

    run(story)


def test_requests_under_way_are_answered_as_lost_when_the_link_breaks() -> None:
    async def story(port: int, written: list[bytes]) -> None:
        link = await datalink.connect("127.0.0.1", port, SECRET, datalink.new_peer())
        asking = asyncio.create_task(link.ask(Operation.PING))
        await asyncio.sleep(0)
        link.close()
        assert (await asking)[0] == Status.LOST
        assert (await link.ask(Operation.PING))[0] == Status.LOST

    run(story)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(1, 60), max_size=8))
def test_garbage_after_the_handshake_ends_the_connection_or_is_refused(
    garbage: bytes, cuts: list[int]
) -> None:
    async def story(port: int, written: list[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        greeting = await reader.readexactly(wire.GREETING_BYTES)
        writer.write(wire.MAGIC + wire.proof_of(SECRET, greeting[len(wire.MAGIC) :]))
        assert await reader.readexactly(len(wire.MAGIC)) == wire.MAGIC
        at = 0
        for cut in [*cuts, len(garbage)]:
            writer.write(garbage[at : at + cut])
            at += cut
            await asyncio.sleep(0)
        writer.write_eof()
        await reader.read()
        writer.close()
        link = await datalink.connect("127.0.0.1", port, SECRET, datalink.new_peer())
        assert (await link.ask(Operation.PING))[0] == Status.OK
        link.close()

    run(story)


def test_an_unknown_operation_is_answered_as_invalid() -> None:
    async def story(port: int, written: list[bytes]) -> None:
        link = await datalink.connect("127.0.0.1", port, SECRET, datalink.new_peer())
        assert (await link.ask(99))[0] == Status.INVALID
        await asyncio.wait_for(asyncio.shield(link.lost), 5)

    run(story)


def test_a_payload_longer_than_allowed_is_refused_before_it_is_received() -> None:
    async def story(port: int, written: list[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        greeting = await reader.readexactly(wire.GREETING_BYTES)
        writer.write(wire.MAGIC + wire.proof_of(SECRET, greeting[len(wire.MAGIC) :]))
        await reader.readexactly(len(wire.MAGIC))
        writer.write(REQUEST.pack(wire.MAX_PAYLOAD_BYTES + 1, Operation.WRITE, 0, 0, 7, *([0] * 8)))
        reply = await reader.read()
        assert wire.REPLY.unpack(reply)[1] == Status.INVALID
        assert not written
        writer.close()

    run(story)


def test_an_earlier_connection_of_the_same_peer_ends_before_the_new_one_serves() -> None:
    async def story(port: int, written: list[bytes]) -> None:
        me, another = datalink.new_peer(), datalink.new_peer()
        other = await datalink.connect("127.0.0.1", port, SECRET, another)
        first = await datalink.connect("127.0.0.1", port, SECRET, me)
        second = await datalink.connect("127.0.0.1", port, SECRET, me)
        late = first.ask(Operation.WRITE, payload=b"too late")
        assert (await late)[0] == Status.LOST
        assert (await second.ask(Operation.WRITE, payload=b"in time"))[0] == Status.OK
        assert (await other.ask(Operation.PING))[0] == Status.OK
        assert written == [b"in time"]

    run(story)


def test_requests_that_wait_on_an_earlier_connection_are_not_carried_out_after_the_new_one_serves() -> None:
    """A server that hung finds both connections when it goes on."""

    async def story(port: int, written: list[bytes]) -> None:
        me = datalink.new_peer()
        first = await datalink.connect("127.0.0.1", port, SECRET, me)
        for number in range(2000):
            first.send(
                datalink.FutureWaiter(), Operation.WRITE, payload=b"old" + bytes(4096), sequence=number
            )
        second = await datalink.connect("127.0.0.1", port, SECRET, me)
        before = len(written)
        await second.ask(Operation.WRITE, payload=b"new")
        await asyncio.sleep(0.1)
        assert written[before:] == [b"new"]

    run(story)


IP = "127.93.61.7"


async def on_this_machine(
    handlers: dict[int, Handler], story: Callable[[DataLink, Arena], Awaitable[None]]
) -> None:
    """Run a story over a server's local socket, with memory that is shared."""
    loop = asyncio.get_running_loop()
    sessions: set[DataSession] = set()
    server = await loop.create_unix_server(
        lambda: DataSession(SECRET, handlers, sessions), sock=datalink.listen_locally(IP, 7)
    )
    arena = Arena(4)
    try:
        link = await datalink.connect(IP, 7, SECRET, datalink.new_peer(), payloads=arena)
        assert link.shares_memory
        await story(link, arena)
        link.close()
    finally:
        server.close()
        for session in list(sessions):
            session.close()


class Waiter:
    """Remembers its answer."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[tuple[int, object]] = asyncio.get_running_loop().create_future()

    def answered(self, link: DataLink, status: int, payload: object) -> None:
        self.answer.set_result((status, payload))


def test_what_is_read_is_put_into_memory_of_the_reader() -> None:
    def read(session: DataSession, request: Request, payload: memoryview) -> None:
        if request.offset == 13:
            session.reply(request.tag, Status.BAD_BLOCK, b"\x05\x00")
        elif request.flags & Flag.SHARED:
            assert session.shared is not None
            room = session.shared.answer(payload, request.length)
            assert room is not None
            room[:] = bytes([request.offset]) * request.length
            session.reply(request.tag, Status.OK)
        else:
            session.reply(request.tag, Status.OK, bytes([request.offset]) * request.length)

    async def story(link: DataLink, arena: Arena) -> None:
        waiters = []
        for number in range(20):  # more than there are slots: the others come through the socket
            waiters.append(Waiter())
            link.read_shared(waiters[-1], 1, 1, 0, number, 100_000, 1, 1)
        for number, waiter in enumerate(waiters):
            status, payload = await waiter.answer
            if number == 13:
                assert (status, payload) == (Status.BAD_BLOCK, b"\x05\x00")
            else:
                assert status == Status.OK
                assert payload == bytes([number]) * 100_000

    asyncio.run(asyncio.wait_for(on_this_machine({Operation.READ: read}, story), 20))


def test_memory_of_a_lost_connection_is_not_used_by_the_next() -> None:
    kept: list[memoryview] = []

    def read(session: DataSession, request: Request, payload: memoryview) -> None:
        assert session.shared is not None
        room = session.shared.answer(payload, request.length)
        assert room is not None
        kept.append(room)
        if len(kept) > 1:
            kept[0][:] = b"L" * request.length  # what the first request asked for, much too late
            session.reply(request.tag, Status.OK)

    async def story(link: DataLink, arena: Arena) -> None:
        first, second = Waiter(), Waiter()
        link.read_shared(first, 1, 1, 0, 0, 100_000, 1, 1)
        await link.ask(Operation.HELLO, sequence=5)
        link.close()
        assert (await first.answer)[0] == Status.LOST
        again = await datalink.connect(IP, 7, SECRET, datalink.new_peer(), payloads=arena)
        again.read_shared(second, 1, 1, 0, 0, 100_000, 1, 1)
        status, payload = await second.answer
        assert status == Status.OK
        assert b"L" not in bytes(payload)  # type: ignore[call-overload]
        again.close()

    asyncio.run(asyncio.wait_for(on_this_machine({Operation.READ: read}, story), 20))
