"""Drills that come back, in specs, and when they are due."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from artesian.drill.scheduling import due
from artesian.model.drill import DrillKind, DrillSchedule, DrillState
from artesian.model.errors import SpecError
from artesian.model.rule import QuietHours
from artesian.model.state import FrameworkState
from artesian.strategy.spec_file import read_spec
from tests.drill.cases import a_drill

DAY_S = 86_400.0
NOON_S = 20_000 * DAY_S + DAY_S / 2
WHOLE = """
drills:
  - name: kill-manager
    every: 7d
    between: ["02:00-04:00", "23:00-01:00"]
    node: node-2
    thing: gold
    hold: 20s
    disturb: yes
  - {name: fill-pool, every: 30d}
"""


def test_everything_that_can_be_said() -> None:
    assert read_spec(WHOLE).drills == (
        DrillSchedule(
            DrillKind.KILL_MANAGER,
            7 * DAY_S,
            (QuietHours(120, 240), QuietHours(1380, 60)),
            node="node-2",
            thing="gold",
            hold_s=20.0,
            disturb=True,
        ),
        DrillSchedule(DrillKind.FILL_POOL, 30 * DAY_S),
    )
    assert read_spec("").drills == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{name: kill-managers, every: 7d}", "kill-managers"),
        ("{name: kill-manager}", "every is missing"),
        ("{name: kill-manager, every: 5m}", "10m at the earliest"),
        ("{name: kill-manager, every: 7d, between: [26:00-28:00]}", "not a time of the day"),
        ("{name: kill-manager, every: 7d, betwen: [02:00-04:00]}", "is between meant"),
        ("{name: kill-scheduler, every: 7d}", "nobody would start the scheduler again"),
        ("{name: kill-server, every: 7d}", "there twice"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_line(line: str, words: str) -> None:
    with pytest.raises(SpecError, match=f"line 3: .*{words}"):
        read_spec(f"drills:\n  - {{name: kill-server, every: 1d}}\n  - {line}\n")


def state(*runs: tuple[DrillKind, float], is_open: bool = False) -> FrameworkState:
    drills = {
        str(at): replace(
            a_drill(kind), id=str(at), created_s=when, schedule=str(kind),
            state=DrillState.WATCHING if is_open else DrillState.PASSED,
        )
        for at, (kind, when) in enumerate(runs)
    }  # fmt: skip
    return FrameworkState(drills=MappingProxyType(drills))


def names(before: FrameworkState, now_s: float, text: str = WHOLE) -> list[str]:
    return [str(one.name) for one in due(read_spec(text), before, now_s)]


def test_a_drill_is_due_in_its_window_only() -> None:
    assert names(state(), NOON_S) == ["fill-pool"]
    assert names(state(), NOON_S + 15 * 3600) == ["kill-manager", "fill-pool"]
    assert names(state(), NOON_S + 11.5 * 3600) == ["kill-manager", "fill-pool"]


def test_it_comes_back_after_its_time_and_not_before() -> None:
    ran = (DrillKind.FILL_POOL, NOON_S)
    assert names(state(ran), NOON_S + 29.9 * DAY_S) == []
    assert names(state(ran), NOON_S + 30 * DAY_S) == ["fill-pool"]


def test_who_waits_longest_is_first() -> None:
    night_s = NOON_S + 15 * 3600
    ran = ((DrillKind.KILL_MANAGER, night_s - 8 * DAY_S), (DrillKind.FILL_POOL, night_s - 40 * DAY_S))
    assert names(state(*ran), night_s) == ["fill-pool", "kill-manager"]


def test_there_is_one_at_a_time() -> None:
    assert names(state((DrillKind.KILL_SERVER, 0.0), is_open=True), NOON_S) == []


def test_what_people_have_run_does_not_count() -> None:
    by_hand = replace(a_drill(DrillKind.FILL_POOL), state=DrillState.PASSED, created_s=NOON_S)
    before = FrameworkState(drills=MappingProxyType({"d1": by_hand}))
    assert names(before, NOON_S + 1) == ["fill-pool"]
