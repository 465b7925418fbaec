"""The loop outlives what goes wrong in it."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Any

import pytest

from artesian.model.report import AgentReport
from artesian.scheduler import loop
from artesian.scheduler.loop import Scheduler
from artesian.scheduler.remedying import Remediator
from tests.scheduler.cases import FakeSubstrate, MemoryStore


class FullLog:
    """As a log is on a disk without space."""

    def __getattr__(self, _name: str) -> Any:
        def raises(*_arguments: object, **_facts: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        return raises


@pytest.mark.parametrize("broken", [False, True])
def test_a_log_that_cannot_be_written_does_not_end_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    monkeypatch.setattr(loop, "log", FullLog())
    monkeypatch.setattr(loop, "_IDLE_S", 0.01)
    scheduler = Scheduler(MemoryStore(), FakeSubstrate("n1"), tmp_path, "http://127.0.0.1:9")
    if broken:
        monkeypatch.setattr(scheduler, "one_pass", FullLog().one_pass)
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    try:
        assert scheduler.look_anew(10.0)
        assert scheduler.look_anew(10.0)
        assert not scheduler.has_ended
    finally:
        scheduler.stop()
        thread.join(10.0)
    assert scheduler.has_ended


def test_a_node_that_becomes_silent_and_is_back_is_told_of(tmp_path: Path) -> None:
    now_s, store = 0.0, MemoryStore()
    scheduler = Scheduler(store, FakeSubstrate("n1"), tmp_path, "http://x:9", clock=lambda: now_s)

    def kinds_after(at_s: float) -> list[str]:
        nonlocal now_s
        now_s = at_s
        assert scheduler.look_anew(10.0)
        return [event.kind for event in store.kept]

    scheduler.hear(AgentReport("n1"))
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    try:
        assert kinds_after(0.0) == []
        assert kinds_after(60.0) == ["silent"]
        assert kinds_after(90.0) == ["silent"]
        scheduler.hear(AgentReport("n1"))
        assert kinds_after(91.0) == ["silent", "back"]
    finally:
        scheduler.stop()
        thread.join(10.0)


def test_the_age_of_a_pass_is_counted_from_its_beginning(tmp_path: Path) -> None:
    now_s = 100.0
    scheduler = Scheduler(MemoryStore(), FakeSubstrate("n1"), tmp_path, "http://x:9", clock=lambda: now_s)
    now_s = 130.0
    assert scheduler.pass_age_s == 30.0
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    try:
        assert scheduler.look_anew(10.0)
        assert scheduler.pass_age_s == 0.0
    finally:
        scheduler.stop()
        thread.join(10.0)


def test_a_loop_that_waits_for_disks_looks_sooner_unless_passes_take_long(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scheduler = Scheduler(MemoryStore(), FakeSubstrate("n1"), tmp_path, "http://127.0.0.1:9")
    assert scheduler._rest_s() == 2.5
    monkeypatch.setattr(Remediator, "waits_for_disks", True)
    assert scheduler._rest_s() == 1.0
    scheduler.pass_seconds = 0.8
    assert scheduler._rest_s() == 1.6
    scheduler.pass_seconds = 9.0
    assert scheduler._rest_s() == 2.5
