"""Daemons are found by their mark, again and again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from artesian.attach import daemons
from tests.patience import eventually


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path)
    daemons.stop(str(tmp_path))


def start(mark: str) -> int:
    process = daemons.start("sleep", ["60"], mark, Path("/dev/null"), Path("/"))
    eventually(lambda: process.pid in daemons.find(mark))  # until it has become a process of its own
    return process.pid


def test_one_that_was_found_is_found_again_without_looking_at_others(
    mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    process_id = start(mark)
    assert daemons.find_again(mark) == [process_id]
    with monkeypatch.context() as blind:
        blind.setattr(daemons, "find", lambda _mark: [])
        assert daemons.find_again(mark) == [process_id]
    assert daemons.find_again(f"{mark}/other") == []


def test_one_that_has_ended_is_found_no_more_and_its_successor_is(mark: str) -> None:
    first = start(mark)
    assert daemons.find_again(mark) == [first]
    daemons.kill(mark)
    assert daemons.find_again(mark) == []
    second = start(mark)
    assert daemons.find_again(mark) == [second]


def test_all_that_lived_when_they_were_looked_for_are_found_as_long_as_they_live(mark: str) -> None:
    both = sorted([start(mark), start(mark)])
    assert daemons.find_again(mark) == both
    os.kill(both[0], signal.SIGKILL)
    eventually(lambda: daemons.find_again(mark) == both[1:])
