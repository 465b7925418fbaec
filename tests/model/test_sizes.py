from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artesian.model.sizes import format_duration, format_size, parse_duration, parse_size

GIB = 1 << 30


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GiB", 2 * GIB),
        ("2G", 2 * GIB),
        ("2 gib", 2 * GIB),
        ("2GB", 2 * 10**9),
        ("1.5TiB", 1536 * GIB),
        ("0.5K", 512),
        ("4096", 4096),
        ("4096B", 4096),
        (" 1P ", 1 << 50),
    ],
)
def test_sizes_are_understood(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "GiB", "2X", "-1G", "1.5", "0.3K", "1,5G", "2Gi B", "1e3", "٣G", "2GiBs"]
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        parse_size(text)


@given(st.integers(0, 1 << 60))
def test_a_plain_number_is_itself(size: int) -> None:
    assert parse_size(str(size)) == size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "?"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (350 << 20, "350 MiB"),
        (2 * GIB, "2.0 GiB"),
        (3 << 50, "3.0 PiB"),
        (5000 << 50, "5000.0 PiB"),
    ],
)
def test_sizes_are_short(size: int | None, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (0.4, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_times_are_short(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45), ("10m", 600), ("1h30m", 5400), (" 7d ", 604_800), ("1d2h3m4.5s", 93_784.5), ("0s", 0)],
)
def test_durations_are_understood(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "m", "1.5h", "30m1h", "-1m", "1 m", "10M", "1h 30m", "9999999999s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time like"):
        parse_duration(text)
