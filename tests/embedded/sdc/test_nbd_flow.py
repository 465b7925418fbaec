"""How much a connection lets be under way, and how it goes on."""

from __future__ import annotations

import itertools

import pytest

from artesian.embedded.sdc.nbd_constants import (
    IHAVEOPT,
    NBD_CMD_FLUSH,
    NBD_CMD_READ,
    NBD_CMD_WRITE,
    NBD_ESHUTDOWN,
    NBD_OPT_LIST,
    NBD_OPT_LIST_META_CONTEXT,
    OPTION,
    REQUEST_BYTES,
)
from artesian.embedded.sdc.nbd_flow import LIMIT_BYTES, RESUME_BYTES, UNSENT_BYTES
from artesian.embedded.sdc.nbd_request import LARGE_BYTES
from tests.embedded.sdc.nbd_memory import HoldingExport, MemoryExport
from tests.embedded.sdc.nbd_wire import BOTH_CLIENT_FLAGS, Client, Wire, option, option_replies, request

SIZE = 64 << 20


def many(client: Client, command: int, count: int, length: int) -> bytes:
    """Distinct requests, one after the other."""
    payload = b"x" * length if command == NBD_CMD_WRITE else b""
    return b"".join(
        client.answers.expect(request(command, number, 0, length, data=payload)) for number in range(count)
    )


def test_no_more_than_1024_small_requests_are_under_way() -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export)
    unread = client.wire.feed(many(client, NBD_CMD_READ, 20_000, 512))
    assert len(export.held) == 1024
    assert unread and not client.wire.transport.reading
    assert REQUEST_BYTES * 20_000 - len(unread) < 1024 * REQUEST_BYTES + 256 * 1024


def test_reading_goes_on_when_half_is_answered() -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export)
    unread = client.wire.feed(many(client, NBD_CMD_READ, 20_000, 512))
    for held in export.held[:511]:
        held.hole(0, 512)
        held.done()
    client.wire.loop.run()
    assert len(export.held) == 1024 and not client.wire.transport.reading
    export.held[511].hole(0, 512)
    export.held[511].done()
    client.wire.loop.run()
    assert len(export.held) == 1024 + 512
    del export.held[:512]
    while unread or export.held:
        unread = client.wire.feed(unread)
        assert len(export.held) <= 1024
        export.release()
        client.wire.loop.run()
    client.receive()
    assert len(client.answers.finished) == 20_000


@pytest.mark.parametrize("command", [NBD_CMD_READ, NBD_CMD_WRITE])
@pytest.mark.parametrize("length", [LARGE_BYTES, 1 << 20, 3 << 20])
def test_payloads_under_way_are_bounded_in_bytes(command: int, length: int) -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export)
    count = LIMIT_BYTES // length + 10
    unread = client.wire.feed(many(client, command, count, length))
    assert not client.wire.transport.reading
    while len(client.answers.finished) < count:
        unread = client.wire.feed(unread)
        assert 0 < sum(held.length for held in export.held) < LIMIT_BYTES + length
        for held in export.held:
            if command == NBD_CMD_READ:
                held.hole(0, length)
            held.done()
        export.held.clear()
        client.receive()


def test_an_export_that_answers_at_once_cannot_flood_a_client_that_does_not_read() -> None:
    export = MemoryExport("vol", SIZE)
    client = Client(export)
    client.wire.transport.blocked = True
    unread = client.wire.feed(many(client, NBD_CMD_READ, 400, 1 << 20))
    while len(client.answers.finished) < 400:
        written = len(client.wire.transport.written)
        assert written <= UNSENT_BYTES + LIMIT_BYTES + (2 << 20)
        assert not client.wire.transport.reading or written < UNSENT_BYTES
        client.receive()
        client.wire.transport.drain()
        unread = client.wire.feed(unread)


def test_a_client_that_only_asks_for_lists_cannot_flood_us_either() -> None:
    wire = Wire(*(MemoryExport(f"{number:0200}", 0) for number in range(2000)))
    wire.feed(BOTH_CLIENT_FLAGS)
    wire.take()
    wire.transport.blocked = True
    unread = wire.feed(option(NBD_OPT_LIST) * 20_000)
    assert len(wire.transport.written) < UNSENT_BYTES + (1 << 20)
    assert unread and not wire.transport.reading
    wire.take()
    wire.transport.drain()
    assert UNSENT_BYTES < len(wire.transport.written) < UNSENT_BYTES + (1 << 20), "it goes on, as far"


def test_what_is_answered_in_one_turn_leaves_together() -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export)
    for _ in range(10):
        client.send(NBD_CMD_FLUSH)
    export.release()
    assert client.wire.take() == b""
    client.receive()
    assert len(client.answers.finished) == 10


def test_large_payloads_are_received_without_another_copy() -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export)
    client.send(NBD_CMD_WRITE, data=b"1" * (1 << 20))
    client.send(NBD_CMD_WRITE, data=b"2" * (1 << 20))
    first, second = export.held
    assert isinstance(first.payload, memoryview) and isinstance(second.payload, memoryview)
    assert bytes(first.payload) == b"1" * (1 << 20)
    assert bytes(second.payload) == b"2" * (1 << 20)
    assert first.payload.obj is not second.payload.obj
    buffer = first.payload.obj
    first.done()
    assert first.payload is None
    client.send(NBD_CMD_WRITE, data=b"3" * (1 << 20))
    assert isinstance(export.held[2].payload, memoryview)
    assert export.held[2].payload.obj is buffer
    assert bytes(second.payload) == b"2" * (1 << 20)


def test_after_a_large_write_the_next_payload_goes_straight_to_its_own_buffer() -> None:
    client = Client(MemoryExport("vol", SIZE))
    message = request(NBD_CMD_WRITE, 1, data=b"x" * LARGE_BYTES)
    client.wire.feed(message[:-1])
    client.wire.feed(message[-1:])
    assert len(client.wire.connection.get_buffer(-1)) == REQUEST_BYTES
    client.wire.feed(message[:REQUEST_BYTES])
    assert len(client.wire.connection.get_buffer(-1)) == LARGE_BYTES


def test_small_payloads_stay_as_they_are_while_more_is_received() -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export)
    payloads = [bytes([number]) * 4096 for number in range(200)]
    for payload in payloads:
        client.send(NBD_CMD_WRITE, data=payload)
    assert [held.payload for held in export.held] == payloads


# --- a server that stops


def test_finishing_answers_what_is_under_way_and_refuses_the_rest() -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export)
    before = client.send(NBD_CMD_READ, 0, 512)
    client.wire.connection.finish()
    late = [client.send(NBD_CMD_READ, 0, 512), client.send(NBD_CMD_WRITE, data=b"x" * LARGE_BYTES)]
    client.receive()
    assert [client.answers.finished[number].error for number in late] == [NBD_ESHUTDOWN, NBD_ESHUTDOWN]
    assert not client.wire.transport.closed
    export.release()
    client.receive()
    assert client.answers.finished[before].data == bytes(512)
    assert client.wire.transport.closed


def test_finishing_an_idle_connection_closes_it() -> None:
    for wire in (Wire(MemoryExport("vol", SIZE)), Client(MemoryExport("vol", SIZE)).wire):
        wire.connection.finish()
        assert wire.transport.closed


def test_closing_sends_what_is_ready_and_forgets_the_rest() -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export)
    ready, never = client.send(NBD_CMD_READ, 0, 512), client.send(NBD_CMD_READ, 512, 512)
    held = export.held.pop(0)
    held.hole(0, 512)
    held.done()
    client.wire.connection.close()
    assert client.wire.transport.closed
    export.release()
    client.receive()
    assert ready in client.answers.finished and never not in client.answers.finished


def test_requests_are_recognised_however_they_are_cut() -> None:
    for size in (1, 2, 27, 28, 29, 4095, LARGE_BYTES):
        export = MemoryExport("vol", 1 << 20)
        client = Client(export)
        payload = bytes(range(256)) * 300
        stream = client.answers.expect(request(NBD_CMD_WRITE, 1, 3, data=payload))
        stream += client.answers.expect(request(NBD_CMD_WRITE, 2, 1000, data=b"small"))
        stream += client.answers.expect(request(NBD_CMD_READ, 3, 0, len(payload)))
        client.wire.feed(stream, itertools.repeat(size))
        client.receive()
        expected = bytearray(bytes(3) + payload[:-3])
        expected[1000:1005] = b"small"
        assert client.answers.finished[3].data == expected


def test_a_huge_number_of_queries_is_refused_without_being_counted_through() -> None:
    wire = Wire(MemoryExport("vol", SIZE))
    wire.feed(BOTH_CLIENT_FLAGS + option(8))
    wire.take()
    data = b"\0\0\0\x03vol" + b"\xff\xff\xff\xff"
    wire.feed(OPTION.pack(IHAVEOPT, NBD_OPT_LIST_META_CONTEXT, len(data)) + data)
    ((_, kind, _),) = option_replies(wire.take())
    assert kind >> 31


def test_resuming_leaves_room_below_the_limit() -> None:
    assert RESUME_BYTES < LIMIT_BYTES
