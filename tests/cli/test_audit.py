"""What was done, cut to what somebody asks about."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from artesian.cli import main
from artesian.cli.cluster import remedies
from artesian.cli.outcome import ExitCode

HOUR_S = 3600.0


class Past:
    """An API that knows events alone."""

    def __init__(self, *_: object) -> None:
        pass

    def get(self, _path: str, after: int, limit: int) -> list[dict[str, Any]]:
        now_s = time.time()
        events = [
            ("remedy", "r1", "pool p is full", now_s - 3 * HOUR_S),
            ("step", "AddDevice", "sdb of n1", now_s - HOUR_S),
            ("remedy", "r1", "pool p is well", now_s - 60),
        ]
        keys = ("kind", "subject", "because", "at_s")
        numbered = [dict(zip(keys, one, strict=True)) | {"number": at} for at, one in enumerate(events, 1)]
        return numbered[after:][:limit]


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        ([], [1, 2, 3]),
        (["--since", "2h"], [2, 3]),
        (["--since", "1m30s"], [3]),
        (["--kind", "remedy"], [1, 3]),
        (["--kind", "remedy", "--kind", "step"], [1, 2, 3]),
        (["--kind", "remedy", "--since", "2h"], [3]),
        (["n1"], [2]),
        (["r1", "--since", "2h"], [3]),
    ],
)
def test_only_what_was_asked_for_is_shown(
    arguments: list[str],
    numbers: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(remedies, "Api", Past)
    assert main.main(["audit", *arguments, "--json"]) == 0
    assert [one["number"] for one in json.loads(capsys.readouterr().out)] == numbers


def test_a_kind_that_never_was_is_named_with_those_that_were(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(remedies, "Api", Past)
    assert main.main(["audit", "--kind", "remedies"]) == 0
    said = capsys.readouterr()
    assert said.err == "warning: nothing of kind remedies has ever happened; there are remedy, step\n"
    assert said.out == "Nothing has been done yet.\n"


def test_a_time_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["audit", "--since", "yesterday"]) == ExitCode.USAGE
    assert "yesterday" in capsys.readouterr().err
