"""The scheduler's process."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import structlog

from artesian.api import __main__ as process
from artesian.api import process as scheduler_process
from artesian.api.agent_file import AgentFiles
from artesian.api.opening import OpenedCluster
from artesian.clusters.local import LocalCluster
from artesian.scheduler.loop import Scheduler


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, as sockets are made in it."""
    made = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    LocalCluster(made / "c").create()
    yield made / "c"
    structlog.reset_defaults()
    shutil.rmtree(made)


def end_at_once(scheduler: Scheduler) -> None:
    scheduler.has_ended = True


def raise_sigterm(scheduler: Scheduler) -> None:
    """As soon as it is served: its signals are handled from then on."""
    deadline = time.monotonic() + 20.0
    while not scheduler._ended.wait(0.05) and time.monotonic() < deadline:
        try:
            httpx.get(f"{scheduler._url}/healthz", timeout=5.0, trust_env=False, verify=False)
        except httpx.HTTPError:
            continue
        os.kill(os.getpid(), signal.SIGTERM)
        scheduler._ended.wait(20.0)
    scheduler.has_ended = True


@pytest.mark.parametrize(("run", "code"), [(end_at_once, 1), (raise_sigterm, 0)])
def test_a_loop_that_ends_by_itself_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[[Scheduler], None], code: int
) -> None:
    monkeypatch.setattr(Scheduler, "run", run)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert process.main([str(folder)]) == code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("gives_agent", [True, False])
def test_what_nodes_fetch_is_made_before_anybody_waits_for_a_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gives_agent: bool
) -> None:
    made: list[AgentFiles] = []
    monkeypatch.setattr(AgentFiles, "get", lambda files: made.append(files))
    cluster = OpenedCluster(tmp_path, "127.0.0.1", 1, lambda *_: LocalCluster(tmp_path), gives_agent)
    files = scheduler_process._agent_files(cluster, tmp_path)
    assert made == ([files] if gives_agent else [])


def test_a_file_for_nodes_that_cannot_be_made_yet_is_left_to_the_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: AgentFiles) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AgentFiles, "get", full)
    cluster = OpenedCluster(tmp_path, "127.0.0.1", 1, lambda *_: LocalCluster(tmp_path), gives_agent=True)
    assert scheduler_process._agent_files(cluster, tmp_path) is not None
