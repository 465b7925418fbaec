"""The formats of the data protocol."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artesian.embedded import wire

chunks = st.lists(
    st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.booleans()),
    max_size=20,
)
tables = st.lists(st.integers(0, 2**64 - 1), min_size=256, max_size=256).map(
    lambda sums: b"".join(value.to_bytes(8, "little") for value in sums)
)
blocks = st.lists(st.integers(0, 255), unique=True).map(sorted)


def test_the_headers_have_the_documented_sizes() -> None:
    assert (wire.REQUEST_BYTES, wire.REPLY_BYTES) == (56, 16)


@given(chunks)
def test_a_chunk_list_survives_the_wire(entries: list[tuple[int, int, int, bool]]) -> None:
    assert wire.unpack_chunks(wire.pack_chunks(entries)) == entries


@given(st.integers(0, 2**32 - 1), st.booleans(), tables, blocks)
def test_a_checksum_table_survives_the_wire(
    generation: int, is_open: bool, sums: bytes, bad: list[int]
) -> None:
    packed = wire.pack_table(generation, is_open, sums, bad)
    assert wire.unpack_table(packed) == (generation, is_open, sums, set(bad))


def test_an_absent_chunk_is_told_from_an_empty_one() -> None:
    assert wire.unpack_table(wire.ABSENT_TABLE) is None


@given(tables, blocks)
def test_a_chunk_to_install_survives_the_wire(sums: bytes, indices: list[int]) -> None:
    data = [bytes([index]) * wire.BLOCK_BYTES for index in indices]
    payload = b"".join(wire.install_parts(sums, indices, data))
    checksums, installed = wire.unpack_install(memoryview(payload))
    assert checksums == sums
    assert [(index, bytes(block)) for index, block in installed] == list(zip(indices, data, strict=True))


@given(st.binary(max_size=5000))
def test_garbage_is_refused_as_a_value_error(payload: bytes) -> None:
    for unpack in (wire.unpack_table, wire.unpack_chunks, lambda data: wire.unpack_install(memoryview(data))):
        try:
            unpack(payload)  # type: ignore[operator]
        except ValueError:
            pass


@given(tables, tables, st.sets(st.integers(0, 255)))
def test_only_blocks_that_differ_or_are_bad_there_are_sent(mine: bytes, theirs: bytes, bad: set[int]) -> None:
    sent = wire.blocks_that_differ(mine, (1, False, theirs, bad))
    for block in range(256):
        entry = slice(8 * block, 8 * block + 8)
        differs = mine[entry] != theirs[entry] or block in bad
        assert (block in sent) == (differs and mine[entry] != wire.ZERO_ENTRY)


def test_blocks_that_read_as_zeros_are_never_sent() -> None:
    assert wire.blocks_that_differ(wire.ZERO_ENTRY * 256, None) == []


def test_the_proof_depends_on_secret_and_nonce() -> None:
    proofs = {wire.proof_of(secret, nonce) for secret in (b"a", b"b") for nonce in (b"1" * 16, b"2" * 16)}
    assert len(proofs) == 4


@pytest.mark.parametrize("length", [1, 18])
def test_a_chunk_list_of_an_odd_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="odd length"):
        wire.unpack_chunks(bytes(length))
