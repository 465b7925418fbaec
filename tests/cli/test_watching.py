"""`status --watch` into a pipe: a line for whatever is new, and none of a table."""

from __future__ import annotations

from typing import Any

import pytest

from artesian.cli import main
from artesian.cli.cluster import lifecycle
from artesian.cli.outcome import ExitCode

QUIET = {"verdict": "All is well.", "healthy": True, "pauses": [], "notes": [], "remedies": [], "drills": []}
REMEDY = {
    "id": "r1", "kind": "replace-device", "thing": "disk-0f", "title": "/dev/sdb of node n2",
    "state": "asking", "because": "it has failed",
}  # fmt: skip


def watched(monkeypatch: pytest.MonkeyPatch, *statuses: dict[str, Any]) -> None:
    """Somebody who looks so often, and then presses Ctrl-C."""
    left = list(statuses)

    class Past:
        def __init__(self, *_: object) -> None:
            pass

        def get(self, _path: str) -> dict[str, Any]:
            if not left:
                raise KeyboardInterrupt
            return left.pop(0)

    monkeypatch.setattr(lifecycle, "Api", Past)
    monkeypatch.setattr(lifecycle, "_WATCH_S", 0.0)
    assert main.main(["status", "--watch"]) == ExitCode.INTERRUPTED


def test_what_is_new_is_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    troubled = {**QUIET, "verdict": "Pool p is degraded.", "remedies": [REMEDY], "notes": ["no room"]}
    watched(monkeypatch, QUIET, QUIET, troubled, troubled, QUIET)
    lines = capsys.readouterr().out.splitlines()
    assert [line[21:] for line in lines] == [
        "All is well.",
        "Pool p is degraded.",
        "note: no room",
        "remedy r1: replace-device of /dev/sdb of node n2 waits for you: artesian remedies show "
        "(it has failed)",
        "All is well.",
    ]
    assert not any("\x1b" in line or "│" in line for line in lines)
