"""Processes are forked from one that has loaded what they share."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from artesian.embedded.errors import EngineError
from artesian.embedded.local import starter
from artesian.embedded.local.layout import ProcessPlace, Role
from artesian.embedded.local.starter import Starter
from artesian.host import processes
from tests.patience import eventually


@pytest.fixture
def place(tmp_path: Path) -> Callable[[str], ProcessPlace]:
    """Of a process that ends at once, as its config is not there."""

    def of(name: str) -> ProcessPlace:
        return ProcessPlace(
            Role.SDC, name, 1, tmp_path / f"{name}.yaml", tmp_path / f"{name}.pid", tmp_path / f"{name}.log"
        )

    return of


@pytest.fixture
def kept() -> Iterator[Starter]:
    one = Starter()
    yield one
    one.close()


def helper(one: Starter) -> int:
    assert one._process is not None
    return one._process.pid


def test_the_next_is_started_by_the_same_one(kept: Starter, place: Callable[[str], ProcessPlace]) -> None:
    first = kept.start([place("a"), place("b")])
    before = helper(kept)
    second = kept.start([place("c")])
    assert helper(kept) == before
    assert sorted([*first, *second]) == ["a", "b", "c"]
    assert len({*first.values(), *second.values(), before}) == 4


def test_what_has_ended_is_gone_at_once(kept: Starter, place: Callable[[str], ProcessPlace]) -> None:
    """None of them stays behind as a process that nobody waits for."""
    (process,) = kept.start([place("a")]).values()
    eventually(lambda: not Path(f"/proc/{process}").exists(), 20.0)
    assert processes.running(place("a").pid_file) is None
    assert "a.yaml" in place("a").log.read_text()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_has_died_is_replaced(
    kept: Starter, place: Callable[[str], ProcessPlace], end: signal.Signals
) -> None:
    kept.start([place("a")])
    before = helper(kept)
    os.kill(before, end)
    assert kept._process is not None
    assert kept._process.wait(20.0) == -end
    assert list(kept.start([place("b")])) == ["b"]
    assert helper(kept) != before


def test_one_that_nobody_needs_ends_and_is_replaced(
    kept: Starter, place: Callable[[str], ProcessPlace], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "from artesian.embedded.local import starter; starter._IDLE_S = 0.2; starter.main()"
    monkeypatch.setattr(starter, "wrapped", lambda command: [sys.executable, "-c", program])
    for name in ("a", "b", "c"):
        assert list(kept.start([place(name)])) == [name]
        assert kept._process is not None
        assert kept._process.wait(20.0) == 0


def test_it_ends_with_whoever_has_begun_it(place: Callable[[str], ProcessPlace]) -> None:
    one = Starter()
    one.start([place("a")])
    process = helper(one)
    one.close()
    assert not Path(f"/proc/{process}").exists()


def test_what_cannot_be_started_is_said(
    place: Callable[[str], ProcessPlace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starter, "wrapped", lambda command: ["sh", "-c", "echo no room left >&2; exit 3"])
    with pytest.raises(EngineError, match="could not be started: no room left"):
        starter.start([place("a")])
    monkeypatch.setattr(starter, "wrapped", lambda command: ["true"])
    with pytest.raises(EngineError, match="what starts them ends at once"):
        starter.start([place("a")])
