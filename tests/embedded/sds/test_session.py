"""The server's data port against peers that do not behave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.embedded import datalink, wire
from artesian.embedded.sds.session import DataSession
from artesian.embedded.wire import REQUEST, Operation, Request, Status

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
        link = await datalink.connect("127.0.0.1", port, SECRET)
        payloads = [bytes([n]) * size for n, size in enumerate((1, 4096, 70_000, 1 << 20))]
        statuses = await asyncio.gather(*(link.ask(Operation.WRITE, payload=data) for data in payloads))
        assert [status for status, _ in statuses] == [Status.OK] * 4
        assert written == payloads
        link.close()

    run(story)


def test_a_peer_with_another_secret_is_refused() -> None:
    async def story(port: int, written: list[bytes]) -> None:
        try:
            await datalink.connect("127.0.0.1", port, b"wrong")
        except ConnectionError:
            return
        raise AssertionError("it was let in")

    run(story)


def test_requests_under_way_are_answered_as_lost_when_the_link_breaks() -> None:
    async def story(port: int, written: list[bytes]) -> None:
        link = await datalink.connect("127.0.0.1", port, SECRET)
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
        link = await datalink.connect("127.0.0.1", port, SECRET)
        assert (await link.ask(Operation.PING))[0] == Status.OK
        link.close()

    run(story)


def test_an_unknown_operation_is_answered_as_invalid() -> None:
    async def story(port: int, written: list[bytes]) -> None:
        link = await datalink.connect("127.0.0.1", port, SECRET)
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
