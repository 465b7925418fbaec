"""Records that come in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artesian.mesos.recordio import Decoder, encode


@given(records=st.lists(st.binary(max_size=200), max_size=20), data=st.data())
def test_records_come_out_however_the_bytes_are_cut(records: list[bytes], data: st.DataObject) -> None:
    content = b"".join(encode(record) for record in records)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=30)))
    decoder, found = Decoder(), []
    for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
        found += decoder.feed(content[begin:end])
    assert found == records
    assert decoder.is_between_records


@given(content=st.binary(max_size=300))
def test_any_bytes_are_either_records_or_refused(content: bytes) -> None:
    decoder, records = Decoder(), []
    try:
        for byte in content:
            records += decoder.feed(bytes([byte]))
    except ValueError:
        with pytest.raises(ValueError, match="length of a record"):
            Decoder().feed(content)
        return
    assert Decoder().feed(content) == records


def test_a_record_comes_with_its_last_byte() -> None:
    decoder = Decoder()
    assert decoder.feed(b"5\nhell") == []
    assert not decoder.is_between_records
    assert decoder.feed(b"o0\n1") == [b"hello", b""]
    assert not decoder.is_between_records


@pytest.mark.parametrize(
    "content", [b"\n", b"x\n", b"-1\n{", b"5 \n", b"<html>", b"99999999999", b"2000000000\n"]
)
def test_what_is_no_length_is_refused_at_once(content: bytes) -> None:
    with pytest.raises(ValueError, match="length of a record"):
        Decoder().feed(content)


def test_a_large_record_in_small_pieces_takes_no_time_that_grows_with_its_square() -> None:
    decoder, record = Decoder(), bytes(8_000_000)
    content = encode(record)
    pieces = (content[begin : begin + 1000] for begin in range(0, len(content), 1000))
    assert [each for piece in pieces for each in decoder.feed(piece)] == [record]
