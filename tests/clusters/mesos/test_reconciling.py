"""Asking Mesos what became of tasks."""

from __future__ import annotations

from artesian.clusters.mesos.reconciling import Reconciliation
from artesian.mesos import calls

TASKS = {"artesian.beta.agent.1": "b", "artesian.alpha.agent.1": "a"}
EVERYTHING = calls.reconcile([])
BOTH = calls.reconcile(sorted(TASKS.items()))


def begun() -> Reconciliation:
    one = Reconciliation()
    one.begin(TASKS)
    return one


def test_all_that_mesos_knows_is_asked_for_once_and_what_is_remembered_by_name() -> None:
    assert begun().questions(0.0) == [EVERYTHING, BOTH]


def test_what_is_not_spoken_of_is_asked_about_again_and_ever_more_seldom() -> None:
    one, asked_s = begun(), []
    for now_s in range(120):
        asked_s += [now_s for call in one.questions(float(now_s)) if call == BOTH]
    assert asked_s == [0, 1, 3, 8, 18, 48, 78, 108]


def test_what_was_heard_of_is_not_asked_about_any_more() -> None:
    one = begun()
    one.questions(0.0)
    one.heard("artesian.alpha.agent.1")
    one.heard("never asked about")
    assert one.questions(1.0) == [calls.reconcile([("artesian.beta.agent.1", "b")])]


def test_once_all_is_known_mesos_is_asked_for_everything_every_five_minutes() -> None:
    one = begun()
    one.questions(0.0)
    for task_id in TASKS:
        one.heard(task_id)
    assert one.questions(1.0) == [EVERYTHING]
    assert one.questions(300.0) == []
    assert one.questions(301.0) == [EVERYTHING]


def test_what_came_of_it_is_told_once_when_no_more_is_said() -> None:
    one = begun()
    one.questions(0.0)
    assert one.outcome(5.0) is None
    for at_s in (5.0, 5.1):  # Mesos was asked for everything and by name, and answers both
        one.heard("artesian.alpha.agent.1")
        one.answered("artesian.alpha.agent.1", at_s)
    assert one.outcome(5.5) is None
    assert one.outcome(6.2) == (1, 1)
    assert one.outcome(7.0) is None
