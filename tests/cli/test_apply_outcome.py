"""How `artesian apply` ends when not everything is done."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from artesian.cli.cluster import plans
from artesian.cli.outcome import ExitCode

ASKING = {
    "change": "AddDevice", "because": "it is there", "state": "held", "needs_approval": True,
    "detail": "somebody has to agree to it: artesian apply --approve 1a2b",
}  # fmt: skip
WAITING = ASKING | {"detail": "pool default/default is degraded"}
REFUSED = ASKING | {"state": "refused", "detail": "no"}
STATUS = {"verdict": "It is so.", "healthy": True, "paused": False, "engine": {"kind": "ceph"}, "nodes": [{}]}


@pytest.mark.parametrize(
    ("status", "steps", "code"),
    [
        (STATUS, [], ExitCode.OK),
        (STATUS, [WAITING], ExitCode.OK),
        (STATUS, [WAITING, ASKING], ExitCode.NEEDS_APPROVAL),
        (STATUS, [ASKING, REFUSED], ExitCode.REFUSED),
        (STATUS | {"paused": True}, [WAITING], ExitCode.IN_THE_WAY),
        (STATUS | {"engine": None}, [], ExitCode.FAILED),
        (STATUS | {"engine": None, "nodes": []}, [], ExitCode.OK),
    ],
)
def test_its_exit_code_says_whether_all_is_done(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: dict[str, Any],
    steps: list[dict[str, Any]],
    code: ExitCode,
) -> None:
    class Asked:
        def __init__(self, *_: object) -> None: ...

        def get(self, path: str, **_: object) -> Any:
            return {"/status": status, "/plan": {"id": "1a2b", "steps": steps}}[path]

    monkeypatch.setattr(plans, "Api", Asked)
    monkeypatch.setattr(plans, "agree", lambda *_: None)
    monkeypatch.setattr(plans, "wait_until_done", lambda *_: None)
    ended = ExitCode.OK
    try:
        plans.apply(approve=None, spec=None, force=False, yes=True, as_json=False)
    except typer.Exit as exit_:
        ended = ExitCode(exit_.exit_code)
    assert ended is code
    assert "It is so." in capsys.readouterr().out
