"""Whatever goes over the wire, the export holds what a plain array of bytes would hold."""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.embedded.sdc.nbd_constants import (
    NBD_CMD_BLOCK_STATUS,
    NBD_CMD_FLAG_DF,
    NBD_CMD_FLAG_FUA,
    NBD_CMD_FLUSH,
    NBD_CMD_READ,
    NBD_CMD_TRIM,
    NBD_CMD_WRITE,
    NBD_CMD_WRITE_ZEROES,
    NBD_STATE_ZERO,
)
from tests.embedded.sdc.nbd_memory import MemoryExport, ScatteringExport
from tests.embedded.sdc.nbd_wire import Client, request

SIZE = 300_000  # several large payloads, and no multiple of anything

commands = st.sampled_from(
    [
        NBD_CMD_READ,
        NBD_CMD_WRITE,
        NBD_CMD_WRITE_ZEROES,
        NBD_CMD_TRIM,
        NBD_CMD_FLUSH,
        NBD_CMD_BLOCK_STATUS,
        77,
    ]
)
lengths = st.integers(0, 600) | st.integers(0, 200_000)
operations = st.lists(
    st.tuples(commands, st.integers(0, SIZE + 100), lengths, st.integers(0, 255), st.booleans()), max_size=12
)


class Model:
    """Carries requests out on an array, and knows what should be answered."""

    def __init__(self, size: int, *, structured: bool) -> None:
        self.content = bytearray(size)
        self.structured = structured

    def carry_out(self, command: int, offset: int, length: int, data: bytes) -> tuple[int, bytes]:
        """(error, data)."""
        beyond = offset + length > len(self.content)
        if command == NBD_CMD_FLUSH:
            return 0, b""
        if command == 77 or (command == NBD_CMD_BLOCK_STATUS and not (self.structured and length)):
            return errno.EINVAL, b""
        if beyond:
            grows = command in (NBD_CMD_WRITE, NBD_CMD_WRITE_ZEROES)
            return errno.ENOSPC if grows else errno.EINVAL, b""
        if command == NBD_CMD_READ:
            return 0, bytes(self.content[offset : offset + length])
        if command == NBD_CMD_WRITE:
            self.content[offset : offset + length] = data
        elif command in (NBD_CMD_TRIM, NBD_CMD_WRITE_ZEROES):
            self.content[offset : offset + length] = bytes(length)
        return 0, b""


def cuts(rng: random.Random) -> Iterator[int]:
    while True:
        yield rng.choice((1, 7, 28, 100, 5000, 70_000, 300_000))


@settings(max_examples=300, deadline=None)
@given(operations, st.booleans(), st.booleans(), st.booleans(), st.integers(0, 2**32))
def test_any_sequence_of_requests_equals_an_array(
    steps: list[tuple[int, int, int, int, bool]], structured: bool, scattered: bool, together: bool, seed: int
) -> None:
    rng = random.Random(seed)
    export = ScatteringExport("vol", SIZE, rng) if scattered else MemoryExport("vol", SIZE)
    client = Client(export, structured=structured)
    if isinstance(export, ScatteringExport):
        export.later = client.wire.loop.call_soon
    model = Model(SIZE, structured=structured)
    expected: dict[int, tuple[int, bytes]] = {}
    stream = b""
    for number, (command, offset, length, fill, flagged) in enumerate(steps):
        flags = NBD_CMD_FLAG_FUA if flagged else 0
        if command == NBD_CMD_READ and structured and flagged:
            flags = NBD_CMD_FLAG_DF
        if command == NBD_CMD_FLUSH:
            offset = length = 0
        data = random.Random(fill).randbytes(length) if command == NBD_CMD_WRITE else b""
        expected[number] = model.carry_out(command, offset, length, data)
        stream += client.answers.expect(request(command, number, offset, length, flags, data))
        if not together:
            client.wire.feed(stream, cuts(rng))
            client.receive()
            stream = b""
    client.wire.feed(stream, cuts(rng))
    client.receive()
    assert {
        number: (answer.error, answer.data) for number, answer in client.answers.finished.items()
    } == expected
    assert export.content == model.content


@given(st.lists(st.tuples(st.integers(0, 39_999), st.integers(1, 5000)), max_size=5), st.data())
def test_block_status_never_calls_data_a_zero(writes: list[tuple[int, int]], data: st.DataObject) -> None:
    export = MemoryExport("vol", 40_000)
    client = Client(export)
    for offset, length in writes:
        client.ask(NBD_CMD_WRITE, offset, data=b"\xff" * min(length, 40_000 - offset))
    offset = data.draw(st.integers(0, 39_999))
    length = data.draw(st.integers(1, 40_000 - offset))
    extents = client.ask(NBD_CMD_BLOCK_STATUS, offset, length).extents
    assert sum(span for span, _ in extents) == length
    for span, flags in extents:
        if flags & NBD_STATE_ZERO:
            assert not any(export.content[offset : offset + span])
        offset += span
