"""A question that takes too long is given up on, and its answer harms nobody when it comes after all."""

from __future__ import annotations

import threading

import pytest

from artesian.engines.ceph.patience import GivenUp, Patient
from tests.patience import eventually


def test_an_answer_in_time_is_the_answer() -> None:
    assert Patient().ask(lambda: 42, 10.0) == 42


def test_what_goes_wrong_is_raised_where_it_is_waited_for() -> None:
    with pytest.raises(ZeroDivisionError):
        Patient().ask(lambda: 1 // 0, 10.0)


def test_a_late_answer_is_owed_until_it_comes() -> None:
    patient, late = Patient(), threading.Event()
    with pytest.raises(GivenUp):
        patient.ask(late.wait, 0.01)
    assert patient.is_owed_answers
    assert patient.ask(lambda: 1, 10.0) == 1  # others are answered meanwhile
    late.set()
    eventually(lambda: not patient.is_owed_answers)


def test_while_many_are_owed_no_more_is_asked() -> None:
    patient, late = Patient(), threading.Event()
    for _ in range(8):
        with pytest.raises(GivenUp):
            patient.ask(late.wait, 0.01)
    with pytest.raises(GivenUp):
        patient.ask(lambda: 1, 10.0)
    late.set()
    eventually(lambda: not patient.is_owed_answers)
    assert patient.ask(lambda: 1, 10.0) == 1
