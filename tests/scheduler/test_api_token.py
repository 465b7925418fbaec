"""A token that somebody has chosen: long enough, and one that a request can carry."""

from __future__ import annotations

from pathlib import Path

import pytest

from artesian.model.errors import NotPossible
from artesian.scheduler.api_token import checked_token, read_token


def test_a_token_is_read_without_the_end_of_its_line(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("0123456789abcdef\n")
    assert read_token(str(tmp_path / "t")) == "0123456789abcdef"


@pytest.mark.parametrize(
    "token", ["", "short", "0123456789 abcdef", "0123456789abcdé", "x" * 257, "a\nb" * 9]
)
def test_what_is_no_token_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(NotPossible, match="FILE: a token is 16 to 256 letters") as caught:
        checked_token(token, "FILE")
    assert not token or token not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match=f"{tmp_path}/t: No such file"):
        read_token(str(tmp_path / "t"))
    (tmp_path / "b").write_bytes(b"\xff\xfe")
    with pytest.raises(NotPossible, match="no text"):
        read_token(str(tmp_path / "b"))
