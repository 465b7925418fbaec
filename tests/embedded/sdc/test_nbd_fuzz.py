"""Clients that send anything at all: no crash, no hang, and nobody else is disturbed."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from artesian.embedded.sdc.nbd_constants import NBD_CMD_READ, NBD_CMD_WRITE, NBD_REQUEST_MAGIC, REQUEST
from tests.embedded.sdc.nbd_memory import MemoryExport, ScatteringExport
from tests.embedded.sdc.nbd_wire import Client, Wire, handshake, request

SIZE = 100_000

numbers16 = st.integers(0, 31) | st.integers(0, 2**16 - 1)
numbers32 = st.integers(0, 200) | st.integers(0, SIZE) | st.integers(0, 2**32 - 1)
numbers64 = st.integers(0, SIZE) | st.integers(0, 2**64 - 1)
plausible = st.builds(
    lambda flags, command, offset, length, data: (
        REQUEST.pack(NBD_REQUEST_MAGIC, flags, command, bytes(8), offset, length) + data
    ),
    numbers16,
    st.integers(0, 8) | st.integers(0, 2**16 - 1),
    numbers64,
    numbers32,
    st.binary(max_size=300),
)
streams = st.lists(plausible | st.binary(max_size=64), max_size=10).map(b"".join)


def own_faults(logs: list[dict[str, object]]) -> list[dict[str, object]]:
    return [dict(entry) for entry in logs if entry["event"] == "nbd.connection_failed"]


@settings(max_examples=300, deadline=None)
@given(streams, st.booleans(), st.booleans(), st.integers(0, 2**32))
def test_any_bytes_after_the_handshake(stream: bytes, structured: bool, scattered: bool, seed: int) -> None:
    rng = random.Random(seed)
    export = ScatteringExport("vol", SIZE, rng) if scattered else MemoryExport("vol", SIZE)
    client = Client(export, structured=structured)
    if isinstance(export, ScatteringExport):
        export.later = client.wire.loop.call_soon
    with capture_logs() as logs:
        unread = client.wire.feed(stream, iter(lambda: rng.choice((1, 5, 28, 300)), None))
        client.wire.loop.run()
    assert own_faults(logs) == []  # type: ignore[arg-type]
    assert not client.wire.transport.aborted
    assert not unread or client.wire.transport.closed, "the server hangs"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_from_the_start(stream: bytes, flags_first: bool) -> None:
    wire = Wire(MemoryExport("vol", SIZE))
    with capture_logs() as logs:
        wire.feed((b"\0\0\0\3" if flags_first else b"") + stream)
    assert own_faults(logs) == []  # type: ignore[arg-type]
    assert not wire.transport.aborted


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(0, 2**32))
def test_a_good_conversation_with_some_bytes_changed(data: st.DataObject, seed: int) -> None:
    rng = random.Random(seed)
    said = bytearray(handshake("vol", structured=rng.random() < 0.5, go=rng.random() < 0.5))
    for number in range(20):
        if rng.random() < 0.5:
            said += request(NBD_CMD_READ, number, rng.randrange(SIZE), rng.randrange(2000))
        else:
            said += request(
                NBD_CMD_WRITE, number, rng.randrange(SIZE), data=rng.randbytes(rng.randrange(2000))
            )
    for _ in range(data.draw(st.integers(1, 5))):
        said[data.draw(st.integers(0, len(said) - 1))] = data.draw(st.integers(0, 255))
    export = MemoryExport("vol", SIZE)
    wire = Wire(export)
    with capture_logs() as logs:
        unread = wire.feed(bytes(said), iter(lambda: rng.choice((1, 28, 100, 3000)), None))
    assert own_faults(logs) == []  # type: ignore[arg-type]
    assert not wire.transport.aborted
    assert not unread or wire.transport.closed
    assert len(export.content) == SIZE
