"""Tools that are run for a node's processes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from artesian.engines.ceph.errors import CephNodeError
from artesian.engines.ceph.waiting import run
from artesian.host.processes import ProcessIdentity
from tests.patience import eventually

_RUNS = "from artesian.engines.ceph.waiting import run; run('sleep', '600')"


def test_a_tool_that_fails_is_named() -> None:
    run("true")
    with pytest.raises(CephNodeError, match="false"):
        run("false")


def test_a_tool_that_hangs_is_given_up() -> None:
    began = time.monotonic()
    with pytest.raises(CephNodeError):
        run("sleep", "600", timeout_s=0.1)
    assert time.monotonic() - began < 60


def test_a_tool_ends_with_whoever_runs_it() -> None:
    runner = subprocess.Popen([sys.executable, "-c", _RUNS])
    try:
        eventually(lambda: _tools(runner.pid))
        (tool,) = _tools(runner.pid)
    finally:
        runner.kill()
        runner.wait()
    eventually(lambda: not tool.is_alive)


def _tools(process_id: int) -> list[ProcessIdentity]:
    """Those that sleep by now."""
    text = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    return [
        ProcessIdentity.of(int(child))
        for child in text.split()
        if Path(f"/proc/{child}/comm").read_text().strip() == "sleep"
    ]
