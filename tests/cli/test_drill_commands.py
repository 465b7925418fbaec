"""Drills on the command line: what is asked for, and what people see of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from artesian.api.drill_views import drill_view
from artesian.cli import main
from artesian.cli.cluster.drill_tables import drill_table, dry_run_text, report_text
from artesian.cli.outcome import ExitCode
from artesian.drill.choosing import choose
from artesian.model.drill import Drill, DrillKind, DrillState, DrillWish, Moment
from tests.drill.cases import NOW_S, a_drill, facts, state, with_drills

DOCS = Path(__file__).parents[2] / "docs" / "drills.md"


def shown(what: RenderableType) -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(what)
    return capture.get()


def report(drill: Drill) -> dict[str, Any]:
    made = facts(state=with_drills(state(), drill))
    return drill_view(drill, made) | {"remedies": [], "events": []}


@pytest.mark.parametrize("kind", list(DrillKind))
def test_a_dry_run_says_to_whom_and_how_it_is_undone(kind: DrillKind) -> None:
    drill = choose(DrillWish(kind, restarts_scheduler=True), facts())
    text = shown(dry_run_text(drill_view(drill, facts())))
    assert drill.thing in text and "Undone: " in text and f"node {drill.writer_node} would write" in text


def test_a_report_has_times_counts_and_a_verdict() -> None:
    times = {Moment.PROVOKED: NOW_S, Moment.DETECTED: NOW_S + 1.5, Moment.HEALED: NOW_S + 20}
    drill = a_drill(
        state=DrillState.PASSED, times=times, acknowledged=500, verified=500, pause_s=0.25, verdict="well"
    )
    text = shown(report_text(report(drill)))
    for words in ("passed", "Well.", "+  1.5 s  it was noticed", "+ 20.0 s", "500 read back", "0.25 s"):
        assert words in text


def test_one_under_way_says_what_it_waits_for() -> None:
    assert "waits for: the fault is still there" in shown(report_text(report(a_drill())))
    undoing = a_drill(state=DrillState.UNDOING, ending=DrillState.ABORTED)
    assert "waits for: what is left of the fault" in shown(report_text(report(undoing)))


def test_the_list_says_why_a_drill_is_not_possible() -> None:
    last = report(replace(a_drill(), state=DrillState.FAILED))
    kinds = [
        {"name": "kill-server", "what": "kills", "not_possible": None, "last": last},
        {"name": "fail-disk", "what": "fails", "not_possible": "there is one node only", "last": None},
    ]
    text = shown(drill_table({"kinds": kinds, "refused": "node n1 is silent"}))
    assert "not possible: because there is one node only" in text
    assert "failed" in text and "Not now: node n1 is silent." in text


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "explode"),
        ("run", "kill-server", "--hold", "soon"),
        ("run", "fill-pool", "--share", "much"),
        ("run",),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["drill", *arguments]) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("error: ")


def test_a_killed_scheduler_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main.main(["drill", "run", "kill-scheduler", "--no-wait", "--dir", str(tmp_path)])
    assert code == ExitCode.REFUSED
    assert "starts the scheduler again" in capsys.readouterr().err


def test_every_drill_is_documented() -> None:
    text = DOCS.read_text()
    assert all(f"| `{kind}` |" in text for kind in DrillKind)
