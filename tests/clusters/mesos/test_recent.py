"""Answers that are good for a while."""

from __future__ import annotations

import itertools

import pytest

from artesian.clusters.mesos.recent import Recent


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_one_question_is_asked_by_all_who_ask_within_a_moment() -> None:
    clock, numbers = Clock(), itertools.count(1)
    recent = Recent(lambda: next(numbers), 0.5, clock)
    assert recent.get() == 1
    clock.now_s += 0.4
    assert recent.get() == 1
    clock.now_s += 0.2
    assert recent.get() == 2


def test_an_answer_is_as_old_as_its_end_and_not_as_its_question() -> None:
    clock, asked = Clock(), []

    def slowly() -> str:
        clock.now_s += 10.0
        asked.append(clock.now_s)
        return "said"

    recent = Recent(slowly, 0.5, clock)
    recent.get()
    recent.get()
    assert len(asked) == 1


def test_a_new_answer_is_what_others_get_from_then_on() -> None:
    numbers = itertools.count(1)
    recent = Recent(lambda: next(numbers), 0.5, Clock())
    assert (recent.get(), recent.anew(), recent.get()) == (1, 2, 2)


def test_what_could_not_be_answered_is_asked_again() -> None:
    said: list[Exception | str] = [ValueError("nobody is there"), "here"]

    def ask() -> str:
        one = said.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    recent = Recent(ask, 0.5, Clock())
    with pytest.raises(ValueError, match="nobody"):
        recent.get()
    assert recent.get() == "here"
