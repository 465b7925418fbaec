"""Requests and replies, one at a time."""

from __future__ import annotations

import errno
import random

import pytest
from structlog.testing import capture_logs

from artesian.embedded.sdc.nbd_connection import SKIPPED_MAX_BYTES
from artesian.embedded.sdc.nbd_constants import (
    MAX_PAYLOAD_BYTES,
    NBD_CMD_BLOCK_STATUS,
    NBD_CMD_CACHE,
    NBD_CMD_DISC,
    NBD_CMD_FLAG_DF,
    NBD_CMD_FLAG_FAST_ZERO,
    NBD_CMD_FLAG_FUA,
    NBD_CMD_FLAG_NO_HOLE,
    NBD_CMD_FLAG_REQ_ONE,
    NBD_CMD_FLUSH,
    NBD_CMD_READ,
    NBD_CMD_TRIM,
    NBD_CMD_WRITE,
    NBD_CMD_WRITE_ZEROES,
    REQUEST_BYTES,
)
from artesian.embedded.sdc.nbd_request import LARGE_BYTES
from tests.embedded.sdc.nbd_memory import FailingExport, HoldingExport, MemoryExport
from tests.embedded.sdc.nbd_wire import Client, request

SIZE = 1 << 20
EVERY_COMMAND = [
    NBD_CMD_READ,
    NBD_CMD_WRITE,
    NBD_CMD_FLUSH,
    NBD_CMD_TRIM,
    NBD_CMD_CACHE,
    NBD_CMD_WRITE_ZEROES,
    NBD_CMD_BLOCK_STATUS,
]


def filled(size: int = SIZE) -> MemoryExport:
    export = MemoryExport("vol", size)
    export.content[:] = random.Random(7).randbytes(size)
    export.view = memoryview(export.content)
    return export


def huge() -> HoldingExport:
    """An export that is larger than memory; for requests that it does not have to carry out."""
    export = HoldingExport("vol", 0)
    export.size_bytes = 1 << 40
    return export


def length_for(command: int) -> int:
    return 0 if command == NBD_CMD_FLUSH else 512


@pytest.fixture(params=[False, True], ids=["simple", "structured"])
def structured(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


# --- what goes well


@pytest.mark.parametrize("offset, length", [(0, 1), (511, 3), (4096, 4096), (1, SIZE - 2), (0, SIZE)])
def test_reads_return_what_is_there(structured: bool, offset: int, length: int) -> None:
    export = filled()
    answer = Client(export, structured=structured).ask(NBD_CMD_READ, offset, length)
    assert (answer.error, answer.data) == (0, bytes(export.content[offset : offset + length]))
    assert answer.pieces == [(offset, length)]


@pytest.mark.parametrize("length", [1, 4096, LARGE_BYTES - 1, LARGE_BYTES, LARGE_BYTES + 1, SIZE - 5])
@pytest.mark.parametrize("flags", [0, NBD_CMD_FLAG_FUA])
def test_writes_arrive_as_they_are(structured: bool, length: int, flags: int) -> None:
    export = MemoryExport("vol", SIZE)
    data = random.Random(length).randbytes(length)
    assert Client(export, structured=structured).ask(NBD_CMD_WRITE, 5, flags=flags, data=data).error == 0
    assert export.content == bytes(5) + data + bytes(SIZE - 5 - length)


@pytest.mark.parametrize(
    "command, flags",
    [
        (NBD_CMD_TRIM, 0),
        (NBD_CMD_TRIM, NBD_CMD_FLAG_FUA),
        (NBD_CMD_WRITE_ZEROES, 0),
        (NBD_CMD_WRITE_ZEROES, NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO | NBD_CMD_FLAG_FUA),
        (NBD_CMD_CACHE, 0),
        (NBD_CMD_FLUSH, 0),
        (NBD_CMD_FLUSH, NBD_CMD_FLAG_FUA),
        (NBD_CMD_READ, NBD_CMD_FLAG_FUA),
    ],
)
def test_commands_reach_the_export_with_their_flags(structured: bool, command: int, flags: int) -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export, structured=structured)
    length = length_for(command)
    number = client.send(command, 0 if not length else 100, length, flags)
    (held,) = export.held
    assert (held.command, held.flags, held.length) == (command, flags, length)
    assert held.payload is None
    export.release()
    client.receive()
    assert client.answers.finished[number].error == 0


def test_zeroes_may_be_larger_than_any_payload() -> None:
    export = huge()
    Client(export).send(NBD_CMD_WRITE_ZEROES, 12345, 0xFFFFFFFF)
    assert export.held[0].length == 0xFFFFFFFF


def test_requests_may_be_answered_in_any_order(structured: bool) -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export, structured=structured)
    numbers = [client.send(NBD_CMD_READ, index * 512, 512) for index in range(10)]
    random.Random(1).shuffle(export.held)
    order = [held.offset // 512 for held in export.held]
    export.release()
    client.receive()
    assert client.answers.order == [numbers[index] for index in order]


@pytest.mark.parametrize("command", [NBD_CMD_READ, NBD_CMD_WRITE, NBD_CMD_TRIM, NBD_CMD_WRITE_ZEROES])
def test_a_request_for_nothing_succeeds_without_the_export(structured: bool, command: int) -> None:
    export = HoldingExport("vol", SIZE)
    answer = Client(export, structured=structured).ask(command, 10, 0)
    assert (answer.error, answer.data, export.held) == (0, b"", [])


# --- pieces of reads


def test_small_pieces_and_holes_are_chunks_of_their_own_and_end_with_the_last() -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export)
    number = client.send(NBD_CMD_READ, 1000, 300)
    (held,) = export.held
    held.data(1200, b"c" * 100)
    held.hole(1000, 100)
    held.data(1100, bytearray(b"b" * 100))
    client.receive()
    assert not client.answers.finished
    held.done()
    client.receive()
    answer = client.answers.finished[number]
    assert answer.data == bytes(100) + b"b" * 100 + b"c" * 100
    assert sorted(answer.pieces) == [(1100, 100), (1200, 100)]
    assert answer.holes == [(1000, 100)]


def test_large_pieces_leave_before_the_read_is_complete() -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export)
    number = client.send(NBD_CMD_READ, 0, 3 * LARGE_BYTES)
    (held,) = export.held
    held.data(LARGE_BYTES, b"b" * LARGE_BYTES)
    client.wire.loop.run()
    early = client.wire.take()
    assert len(early) > LARGE_BYTES
    client.answers.take(early)
    held.data(0, b"a" * LARGE_BYTES)
    held.hole(2 * LARGE_BYTES, LARGE_BYTES)
    held.done()
    client.receive()
    assert client.answers.finished[number].data == (
        b"a" * LARGE_BYTES + b"b" * LARGE_BYTES + bytes(LARGE_BYTES)
    )


def test_a_read_of_large_pieces_ends_with_the_last_of_them(structured: bool) -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export, structured=structured)
    number = client.send(NBD_CMD_READ, 0, 2 * LARGE_BYTES)
    (held,) = export.held
    held.data(LARGE_BYTES, b"b" * LARGE_BYTES)
    held.data(0, b"a" * LARGE_BYTES)
    client.receive()
    assert not client.answers.finished
    held.done()
    client.receive()
    assert client.answers.finished[number].data == b"a" * LARGE_BYTES + b"b" * LARGE_BYTES


@pytest.mark.parametrize("structured, flags", [(False, 0), (True, NBD_CMD_FLAG_DF)])
@pytest.mark.parametrize("unit", [100, LARGE_BYTES, 3 << 20])
def test_unfragmented_reads_are_one_piece_in_order_with_zeros(
    structured: bool, flags: int, unit: int
) -> None:
    export = HoldingExport("vol", 16 << 20)
    client = Client(export, structured=structured)
    number = client.send(NBD_CMD_READ, 7, 3 * unit, flags)
    (held,) = export.held
    held.data(7 + 2 * unit, b"c" * unit)
    held.hole(7 + unit, unit)
    held.data(7, b"a" * unit)
    held.done()
    client.receive()
    answer = client.answers.finished[number]
    assert answer.data == b"a" * unit + bytes(unit) + b"c" * unit
    assert (answer.pieces, answer.holes) == ([(7, 3 * unit)], [])


def test_a_read_that_is_one_hole(structured: bool) -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export, structured=structured)
    number = client.send(NBD_CMD_READ, 512, 4096)
    export.held[0].hole(512, 4096)
    export.held[0].done()
    client.receive()
    answer = client.answers.finished[number]
    assert answer.data == bytes(4096)
    assert answer.holes == ([(512, 4096)] if structured else [])


@pytest.mark.parametrize("pieces", [[], [(0, 100)], [(0, 100), (0, 100)], [(0, 200), (0, 1)]])
def test_an_export_that_says_done_too_early_or_too_often_fails_the_read(
    structured: bool, pieces: list[tuple[int, int]]
) -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export, structured=structured, contexts=False)
    flags = NBD_CMD_FLAG_DF if structured else 0
    number = client.send(NBD_CMD_READ, 0, 200, flags)
    (held,) = export.held
    for offset, length in pieces:
        held.data(offset, b"x" * length)
    held.done()
    client.receive()
    assert client.answers.finished[number].error == errno.EIO
    assert client.ask(NBD_CMD_TRIM, 0, 0).error == 0, "the stream is in step"


@pytest.mark.parametrize("offset, length", [(999, 2), (1099, 2), (0, 10), (1100, 1)])
def test_a_piece_outside_of_the_request_is_the_exports_error(offset: int, length: int) -> None:
    export = HoldingExport("vol", SIZE)
    Client(export).send(NBD_CMD_READ, 1000, 100)
    with pytest.raises(ValueError, match="not within"):
        export.held[0].data(offset, bytes(length))
    with pytest.raises(ValueError, match="not within"):
        export.held[0].hole(offset, length)


def test_an_error_after_some_pieces_is_an_error(structured: bool) -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export, structured=structured)
    number = client.send(NBD_CMD_READ, 0, 4 * LARGE_BYTES)
    export.held[0].data(0, bytes(LARGE_BYTES))
    export.held[0].data(LARGE_BYTES, bytes(10))
    export.held[0].done(errno.EIO)
    client.receive()
    assert client.answers.finished[number].error == errno.EIO


# --- block status


def status_of(extents: list[tuple[int, int]] | None, length: int, flags: int = 0) -> list[tuple[int, int]]:
    export = HoldingExport("vol", SIZE)
    client = Client(export)
    number = client.send(NBD_CMD_BLOCK_STATUS, 4096, length, flags)
    if extents is not None:
        export.held[0].status(extents)
    export.held[0].done()
    client.receive()
    assert client.answers.finished[number].error == 0
    return client.answers.finished[number].extents


def test_block_status_is_cut_to_the_range_and_tidied() -> None:
    assert status_of([(100, 0), (50, 3), (0, 0), (50, 3), (1000, 0)], 1000) == [(100, 0), (100, 3), (800, 0)]


def test_block_status_may_be_shorter_than_the_range() -> None:
    assert status_of([(100, 3)], 1000) == [(100, 3)]


def test_one_extent_when_only_one_is_wanted() -> None:
    assert status_of([(100, 0), (50, 3)], 1000, NBD_CMD_FLAG_REQ_ONE) == [(100, 0)]


@pytest.mark.parametrize("extents", [None, [], [(0, 3)]])
def test_an_export_that_knows_nothing_has_allocated_everything(extents: list[tuple[int, int]] | None) -> None:
    assert status_of(extents, 1000) == [(1000, 0)]


@pytest.mark.parametrize("structured", [False, True])
def test_block_status_needs_a_negotiated_context(structured: bool) -> None:
    client = Client(filled(), structured=structured, contexts=False)
    assert client.ask(NBD_CMD_BLOCK_STATUS, 0, 512).error == errno.EINVAL


# --- what is refused


@pytest.mark.parametrize("command", EVERY_COMMAND)
@pytest.mark.parametrize(
    "given_error, expected",
    [
        (errno.EPERM, errno.EPERM),
        (errno.EIO, errno.EIO),
        (errno.ENOSPC, errno.ENOSPC),
        (errno.ESHUTDOWN, errno.ESHUTDOWN),
        (errno.EDQUOT, errno.ENOSPC),
        (errno.EROFS, errno.EPERM),
        (errno.ETIMEDOUT, errno.EIO),
        (99999, errno.EIO),
    ],
)
def test_errors_of_the_export_are_told_in_the_protocols_terms(
    command: int, given_error: int, expected: int
) -> None:
    client = Client(FailingExport("vol", SIZE, given_error))
    data = bytes(512) if command == NBD_CMD_WRITE else b""
    assert client.ask(command, 0, length_for(command), data=data).error == expected


@pytest.mark.parametrize(
    "command, offset, length, expected",
    [
        (NBD_CMD_READ, SIZE - 1, 2, errno.EINVAL),
        (NBD_CMD_READ, 2**64 - 1, 4096, errno.EINVAL),
        (NBD_CMD_READ, SIZE, 1, errno.EINVAL),
        (NBD_CMD_READ, SIZE + 1, 0, errno.EINVAL),
        (NBD_CMD_WRITE, SIZE - 1, 2, errno.ENOSPC),
        (NBD_CMD_WRITE, 2**63, 100000, errno.ENOSPC),
        (NBD_CMD_TRIM, SIZE - 1, 2, errno.EINVAL),
        (NBD_CMD_WRITE_ZEROES, SIZE - 1, 2, errno.ENOSPC),
        (NBD_CMD_BLOCK_STATUS, SIZE - 1, 2, errno.EINVAL),
        (NBD_CMD_BLOCK_STATUS, 0, 0, errno.EINVAL),
        (NBD_CMD_CACHE, SIZE - 1, 2, errno.EINVAL),
        (NBD_CMD_FLUSH, 1, 0, errno.EINVAL),
        (NBD_CMD_FLUSH, 0, 1, errno.EINVAL),
        (5555, 0, 0, errno.EINVAL),
        (0xFFFF, 0, 0, errno.EINVAL),
    ],
)
def test_requests_out_of_bounds_are_refused_and_the_stream_goes_on(
    structured: bool, command: int, offset: int, length: int, expected: int
) -> None:
    export = filled()
    before = bytes(export.content)
    client = Client(export, structured=structured)
    data = bytes(length) if command == NBD_CMD_WRITE else b""
    answer = client.ask(command, offset, length, data=data)
    assert answer.error == expected
    assert bool(answer.message) == structured
    assert client.ask(NBD_CMD_READ, 0, 512).data == before[:512]
    assert export.content == before


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_flags_that_do_not_belong_to_a_command_are_refused(structured: bool, command: int) -> None:
    allowed = {
        NBD_CMD_READ: NBD_CMD_FLAG_DF if structured else 0,
        NBD_CMD_WRITE_ZEROES: NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO,
        NBD_CMD_BLOCK_STATUS: NBD_CMD_FLAG_REQ_ONE,
    }.get(command, 0) | NBD_CMD_FLAG_FUA
    export = HoldingExport("vol", SIZE)
    client = Client(export, structured=structured)
    data = bytes(512) if command == NBD_CMD_WRITE else b""
    for bit in range(16):
        if not allowed & 1 << bit:
            assert client.ask(command, 0, length_for(command), 1 << bit, data).error == errno.EINVAL
    assert export.held == []


@pytest.mark.parametrize("command", [NBD_CMD_WRITE, NBD_CMD_TRIM, NBD_CMD_WRITE_ZEROES])
@pytest.mark.parametrize("length", [512, LARGE_BYTES])
def test_a_read_only_export_is_not_changed(structured: bool, command: int, length: int) -> None:
    export = MemoryExport("vol", SIZE, read_only=True)
    export.content[:] = b"x" * SIZE
    client = Client(export, structured=structured)
    data = bytes(length) if command == NBD_CMD_WRITE else b""
    assert client.ask(command, 0, length, data=data).error == errno.EPERM
    assert client.ask(NBD_CMD_READ, 0, SIZE).data == b"x" * SIZE
    assert client.ask(NBD_CMD_FLUSH).error == 0


def test_a_write_that_is_too_large_is_passed_over() -> None:
    export = huge()
    client = Client(export)
    answer = client.ask(NBD_CMD_WRITE, 0, data=bytes(MAX_PAYLOAD_BYTES + 1))
    assert (answer.error, export.held) == (errno.EINVAL, [])
    assert client.ask(NBD_CMD_TRIM, 0, 0).error == 0


def test_a_read_that_is_too_large_is_refused(structured: bool) -> None:
    client = Client(huge(), structured=structured)
    assert client.ask(NBD_CMD_READ, 0, MAX_PAYLOAD_BYTES + 1).error == errno.EINVAL


def test_the_refusal_of_a_write_waits_for_its_payload() -> None:
    client = Client(filled())
    message = client.answers.expect(request(NBD_CMD_WRITE, 1, SIZE, data=bytes(300000)))
    client.wire.feed(message[:-1])
    assert client.wire.take() == b""
    client.wire.feed(message[-1:])
    client.receive()
    assert client.answers.finished[1].error == errno.ENOSPC


def test_a_write_of_absurd_length_ends_the_connection() -> None:
    client = Client(filled())
    client.wire.feed(request(NBD_CMD_WRITE, 1, 0, SKIPPED_MAX_BYTES + 1))
    assert client.wire.transport.closed and not client.wire.transport.aborted


def test_bytes_that_are_no_request_end_the_connection() -> None:
    client = Client(filled())
    client.wire.feed(bytes(REQUEST_BYTES))
    assert client.wire.transport.closed and not client.wire.transport.aborted


def test_a_size_is_the_one_at_the_handshake() -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export)
    export.size_bytes = 2 * SIZE
    assert client.ask(NBD_CMD_READ, SIZE, 512).error == errno.EINVAL


def test_an_export_that_raises_ends_its_connection_and_leaves_a_trace() -> None:
    class Broken(MemoryExport):
        def submit(self, request: object) -> None:
            raise RuntimeError("broken")

    client = Client(Broken("vol", SIZE))
    with capture_logs() as logs:
        client.send(NBD_CMD_FLUSH)
    assert client.wire.transport.aborted
    assert [entry["event"] for entry in logs] == ["nbd.connection_failed"]


# --- the end


def test_disconnect_waits_for_what_is_under_way_and_ignores_what_follows(structured: bool) -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export, structured=structured)
    number = client.send(NBD_CMD_READ, 0, 512)
    client.wire.feed(request(NBD_CMD_DISC, 99) + request(NBD_CMD_FLUSH, 100))
    assert not client.wire.transport.closed
    export.release()
    client.receive()
    assert client.answers.finished[number].data == bytes(512)
    assert client.wire.transport.closed
    assert export.held == []


def test_disconnect_without_anything_under_way_is_immediate() -> None:
    client = Client(filled())
    client.wire.feed(request(NBD_CMD_DISC, 1))
    assert client.wire.transport.closed
    assert client.wire.take() == b""


def test_a_client_that_stops_sending_gets_its_answers() -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export)
    number = client.send(NBD_CMD_READ, 0, 512)
    client.wire.feed(request(NBD_CMD_WRITE, 50, 0, LARGE_BYTES) + bytes(100))
    assert client.wire.connection.eof_received()
    export.release()
    client.receive()
    assert client.answers.finished[number].data == bytes(512)
    assert client.wire.transport.closed


def test_completing_the_requests_of_a_client_that_is_gone_is_harmless() -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export)
    for command in EVERY_COMMAND:
        data = bytes(512) if command == NBD_CMD_WRITE else b""
        client.send(command, 0, length_for(command), data=data)
    client.send(NBD_CMD_READ, 0, 3 * LARGE_BYTES)
    client.wire.connection.connection_lost(None)
    export.held[-1].data(0, bytes(LARGE_BYTES))
    with capture_logs() as logs:
        export.release()
        client.wire.loop.run()
    assert client.wire.take() == b""
    assert logs == []
    assert client.wire.connections == set()


def test_a_request_is_answered_once() -> None:
    export = HoldingExport("vol", SIZE)
    client = Client(export)
    number = client.send(NBD_CMD_READ, 0, 512)
    (held,) = export.held
    held.data(0, bytes(512))
    held.done()
    held.done(errno.EIO)
    held.data(0, bytes(512))
    client.receive()
    assert client.answers.order == [number]


def test_a_closed_connection_is_cut_when_the_client_does_not_take_its_last_replies() -> None:
    client = Client(filled())
    client.wire.feed(request(NBD_CMD_DISC, 1))
    (timer,) = client.wire.loop.timers
    timer.callback(*timer.args)
    assert client.wire.transport.aborted
    client.wire.connection.connection_lost(None)
    assert timer.cancelled
