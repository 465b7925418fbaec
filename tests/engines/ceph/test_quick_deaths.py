"""A daemon that ends at once is started ever more rarely."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from artesian.engines.ceph.quick_deaths import QuickDeaths


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deaths"


def live(path: Path, times: int) -> None:
    """Begin and end at once."""
    for _ in range(times):
        QuickDeaths(path).begin()


def test_the_first_start_is_at_once(path: Path) -> None:
    found = QuickDeaths(path)
    assert (found.pause_s, found.sentence) == (0.0, "")


def test_a_few_deaths_may_be_chance(path: Path) -> None:
    live(path, 3)
    assert (QuickDeaths(path).pause_s, QuickDeaths(path).sentence) == (0.0, "")


def test_more_of_them_are_told_of_and_waited_after(path: Path) -> None:
    live(path, 4)
    assert QuickDeaths(path).pause_s == 2.0
    assert "4 times" in QuickDeaths(path).sentence
    live(path, 20)
    assert QuickDeaths(path).pause_s == 30.0


def test_who_has_lived_for_long_begins_anew(path: Path) -> None:
    live(path, 9)
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "at": document["at"] - 60}))
    assert QuickDeaths(path).pause_s == 0.0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"boot": "of another machine", "at": 0, "number": 9}'])
def test_what_cannot_be_read_or_was_before_a_reboot_does_not_count(path: Path, text: str) -> None:
    path.write_text(text)
    assert QuickDeaths(path).pause_s == 0.0
