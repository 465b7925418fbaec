"""Work that nobody waits for to the end is done once, and its end is told to who asks."""

from __future__ import annotations

import threading

import pytest

from artesian.engines.ceph.errands import Errands
from tests.patience import eventually


class Held:
    """Work that goes on until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.begun = 0

    def __call__(self) -> None:
        self.begun += 1
        self.let_go.wait()


def test_what_is_quick_is_done_at_once() -> None:
    assert Errands(1).attend_to("a", lambda: None, 5.0)


def test_what_takes_long_is_begun_once_and_asked_for_again() -> None:
    errands, work = Errands(1), Held()
    assert not errands.attend_to("a", work, 0.01)
    assert not errands.attend_to("a", work, 0.01)
    work.let_go.set()
    assert errands.attend_to("a", work, 5.0)
    assert work.begun == 1


def test_what_would_be_too_many_waits() -> None:
    errands, first, second = Errands(1), Held(), Held()
    second.let_go.set()
    assert not errands.attend_to("a", first, 0.01)
    assert not errands.attend_to("b", second, 0.01)
    assert second.begun == 0
    first.let_go.set()
    assert errands.attend_to("a", first, 5.0)
    assert errands.attend_to("b", second, 5.0)


def test_what_it_raises_is_told_and_it_may_be_tried_again() -> None:
    errands = Errands(1)

    def fails() -> None:
        raise TimeoutError("of its own")

    for _ in range(2):
        with pytest.raises(TimeoutError, match="of its own"):
            errands.attend_to("a", fails, 5.0)
    assert errands.attend_to("a", lambda: None, 5.0)


def test_what_has_to_wait_for_all_of_them_does() -> None:
    errands, work, ended = Errands(1), Held(), threading.Event()
    assert not errands.attend_to("a", work, 0.01)
    errands.when_done(ended.set)
    assert not ended.is_set()
    work.let_go.set()
    eventually(ended.is_set)


def test_nothing_is_waited_for_where_nothing_is_under_way() -> None:
    ended = threading.Event()
    Errands(1).when_done(ended.set)
    assert ended.is_set()
