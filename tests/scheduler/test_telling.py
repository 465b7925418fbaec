"""Whoever has to know of a remedy is told of it once, whoever is killed, and also when nothing happens."""

from __future__ import annotations

from dataclasses import replace

from artesian.model.disk import PoolName
from artesian.model.drill import Drill, DrillKind, DrillState
from artesian.model.event import Event
from artesian.model.remedy import Remedy, RemedyState
from artesian.model.rule import Notification, NotificationKind, QuietHours, RemedyKind, Rule, Scope, Severity
from artesian.model.spec import Spec
from artesian.model.state import FrameworkState
from artesian.scheduler.memory import Memory
from artesian.scheduler.notifying import Notifier
from artesian.scheduler.telling import FAILED_LATELY_S, HELD_LONG_S, Teller
from tests.scheduler.cases import MemoryStore

RULE = Rule("full", Scope.POOL, "used_share > 80%", RemedyKind.EXPAND_POOL)
TARGET = Notification(NotificationKind.COMMAND, "true")
SPEC = Spec(rules=(RULE,), notify=(TARGET,))
REMEDY = Remedy("r1", "full", RemedyKind.EXPAND_POOL, "d/p", "it is full", RemedyState.ASKING, 1000.0, 1000.0)


class Told(Notifier):
    """Sends nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.severities: list[Severity] = []
        self.drills: list[str | None] = []

    def tell(
        self,
        targets: tuple[Notification, ...],
        remedy: Remedy,
        because: str,
        severity: Severity,
        drill: Drill | None = None,
    ) -> None:
        self.words.append(because)
        self.severities.append(severity)
        self.drills.append(drill.id if drill is not None else None)


class Office:
    """A scheduler's memory, and who tells of it."""

    def __init__(self, *remedies: Remedy) -> None:
        self.memory = Memory(MemoryStore())
        self.now_s = 1000.0
        for one in remedies:
            self.store(one)
        self.start()

    def start(self) -> None:
        """As after a crash."""
        self.notifier = Told()
        self.teller = Teller(self.memory, lambda: self.now_s, self.notifier)

    def store(self, remedy: Remedy) -> None:
        def change(state: FrameworkState) -> FrameworkState:
            return state.with_remedy(remedy)

        self.memory.change(change)


def test_a_remedy_that_is_raised_and_begins_in_one_pass_is_told_of_once() -> None:
    office = Office(replace(REMEDY, kind=RemedyKind.NOTIFY, state=RemedyState.ACTING))
    office.teller.tell(SPEC, [Event("remedy", "r1", "it is to begin"), Event("remedy", "r1", "it begins")])
    assert office.notifier.words == ["it begins"]


def test_what_was_stored_and_not_told_before_a_crash_is_told_after_it() -> None:
    for remedy in (
        REMEDY,
        replace(REMEDY, kind=RemedyKind.NOTIFY, state=RemedyState.ACTING),
        replace(REMEDY, state=RemedyState.FAILED),
    ):
        office = Office(remedy)
        office.teller.catch_up(SPEC)
        office.teller.catch_up(SPEC)
        assert len(office.notifier.words) == 1


def test_what_nobody_has_to_know_any_more_is_not_told_after_a_crash() -> None:
    for remedy in (
        replace(REMEDY, approved_by="me"),
        replace(REMEDY, state=RemedyState.ACTING),
        replace(REMEDY, kind=RemedyKind.NOTIFY, state=RemedyState.HELPED),
        replace(REMEDY, state=RemedyState.FAILED, changed_s=1000.0 - FAILED_LATELY_S),
    ):
        office = Office(remedy)
        office.teller.catch_up(SPEC)
        assert office.notifier.words == []


def test_a_remedy_that_is_held_back_for_long_is_told_of_once() -> None:
    office = Office(replace(REMEDY, state=RemedyState.HELD, detail="node n3 has not reported yet"))
    office.teller.tell_of_waiting(SPEC)
    assert office.notifier.words == []
    office.now_s += HELD_LONG_S + 1
    office.teller.tell_of_waiting(SPEC)
    office.teller.tell_of_waiting(SPEC)
    (words,) = office.notifier.words
    assert "still waits (node n3 has not reported yet)" in words


def test_quiet_hours_are_no_reason_to_tell_anybody() -> None:
    office = Office(replace(REMEDY, state=RemedyState.HELD))
    office.now_s += HELD_LONG_S + 1
    quiet = replace(RULE, quiet_hours=(QuietHours(0, 1439),))
    office.teller.tell_of_waiting(replace(SPEC, rules=(quiet,)))
    assert office.notifier.words == []


def test_how_bad_it_is_the_rule_says() -> None:
    office = Office(REMEDY, replace(REMEDY, id="r2", rule="gone"))
    critical = replace(SPEC, rules=(replace(RULE, severity=Severity.CRITICAL),))
    for key in ("r1", "r2"):
        office.teller.tell(critical, [Event("remedy", key, "it asks")])
    assert office.notifier.severities == [Severity.CRITICAL, Severity.WARNING]
    assert office.notifier.drills == [None, None]


def test_what_a_drill_has_caused_is_told_as_a_drill() -> None:
    office = Office(REMEDY, replace(REMEDY, id="r2", thing="d/other"))
    drill = Drill(
        "k1", DrillKind.FILL_POOL, DrillState.WATCHING, 999.0, 999.0, "pool d/p", pool=PoolName("d", "p")
    )
    office.memory.change(lambda state: replace(state, drills={"k1": drill}))
    for key in ("r1", "r2"):
        office.teller.tell(SPEC, [Event("remedy", key, "it asks")])
    assert office.notifier.drills == ["k1", None]
