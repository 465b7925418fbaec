"""Lists as people read them."""

from __future__ import annotations

import pytest

from artesian.remedy.words import first_names


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], ""),
        (["a"], "a"),
        (["b", "a"], "b, a"),
        (["a", "b", "c"], "a, b and 1 more"),
        (["a", "b", "c", "d"], "a, b and 2 more"),
    ],
)
def test_no_more_names_are_said_than_one_reads(names: list[str], said: str) -> None:
    assert first_names(names, 2) == said
