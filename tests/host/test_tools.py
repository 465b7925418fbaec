"""Tools are run for a limited time, and say what they could not do."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from artesian.host.tools import ToolAnswer, ToolTrouble, run_tool


def test_what_a_tool_says_is_given_whatever_its_exit_code() -> None:
    command = ("sh", "-c", "echo found; echo ' but ' >&2; exit 3")
    assert run_tool(command) == ToolAnswer(3, "found\n", "but")


def test_a_tool_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolTrouble, match=r"blkid .* is missing"):
        run_tool(("blkid",))


def test_a_tool_that_hangs_is_left_behind() -> None:
    began = time.monotonic()
    with pytest.raises(ToolTrouble, match=r"sleep did not answer within 0\.05 s"):
        run_tool(("sleep", "30"), timeout_s=0.05)
    assert time.monotonic() - began < 5
