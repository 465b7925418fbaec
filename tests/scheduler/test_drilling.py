"""Drills in the loop: intents are stored before effects, and providers hang only as long as they are to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from artesian.drill.facts import Stall
from artesian.model.drill import Drill, DrillKind, DrillState, Moment
from artesian.model.errors import Conflict, NotThere
from artesian.model.provided import ProvidedDisk
from artesian.model.state import FrameworkState
from artesian.providers.port import DiskProvider
from artesian.remedy.checking import read_whole_spec
from artesian.remedy.looking import Look
from artesian.scheduler.drilling import Driller, find_drill
from artesian.scheduler.memory import Memory
from artesian.scheduler.providing import Providers
from artesian.scheduler.reports import Reports
from artesian.scheduler.stalling import Stalls
from artesian.store.codec import changed_documents, state_from_documents
from tests.drill.cases import NOW_S, SPEC, a_drill, facts, seen, state, with_drills
from tests.scheduler.cases import FakeSubstrate, MemoryStore


class Loop:
    """A driller over a store in memory. What it kills is counted."""

    def __init__(self, before: FrameworkState, spec: str = SPEC) -> None:
        self.store = MemoryStore({k: v for k, v in changed_documents(FrameworkState(), before).items() if v})
        self.memory = Memory(self.store)
        self.substrate = FakeSubstrate("n1", "n2", "n3", "n4")
        self.providers = Providers(self.memory, self.substrate, lambda: None)
        self.killed: list[FrameworkState] = []
        self.now_s = NOW_S
        self.spec = read_whole_spec(spec)
        self.driller = Driller(
            self.memory,
            Reports(time.monotonic),
            self.substrate,
            self.providers,
            lambda: None,
            lambda: self.now_s,
            lambda: self.killed.append(state_from_documents(self.store.load())),
        )

    def a_pass(self) -> Drill | None:
        self.driller.look(self.spec, seen(), facts().decision, Look())
        return next(iter(self.memory.state.drills.values()), None)

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline
            self.a_pass()
            time.sleep(0.01)


def test_a_scheduler_kills_itself_after_that_was_stored() -> None:
    loop = Loop(state())
    name = loop.driller.facts(loop.spec, seen(), facts().decision, Look()).scheduler
    drill = a_drill(DrillKind.KILL_SCHEDULER, state=DrillState.PROVOKING, node=None, times={}, killer=name)
    loop.memory.change(lambda before: with_drills(before, drill))
    loop.a_pass()
    assert [one.drills["d1"].killer for one in loop.killed] == [name]
    another = Loop(with_drills(state(), replace(drill, killer="another")))
    another.a_pass()
    assert another.killed == []


def test_a_drill_that_has_failed_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = a_drill(
        state=DrillState.UNDOING, node=None, writer_node="", ending=DrillState.FAILED, verdict="lost"
    )
    loop = Loop(with_drills(state(), replace(failed, kind=DrillKind.KILL_SCHEDULER)))
    told: list[Drill] = []
    monkeypatch.setattr(loop.driller._notifier, "tell_of_drill", lambda _targets, drill: told.append(drill))
    loop.a_pass()
    assert [one.state for one in told] == [DrillState.FAILED]
    assert "has failed: lost" in loop.store.kept[-1].because


def test_a_scheduled_drill_that_is_refused_says_why_once() -> None:
    loop = Loop(state(paused=True), f"{SPEC}drills: [{{name: kill-server, every: 1d}}]")
    for _ in range(5):
        loop.a_pass()
        loop.now_s += 20
    (event,) = loop.store.kept
    assert (event.kind, event.subject) == ("drill", "kill-server") and "everything is paused" in event.because
    loop.memory.change(lambda before: replace(before, paused=False))
    drill = loop.a_pass()
    assert drill is not None and (drill.schedule, drill.who) == ("kill-server", "the schedule")


def test_nothing_is_looked_at_when_there_is_nothing_to_do() -> None:
    loop = Loop(state())
    before = list(loop.store.commits)
    loop.a_pass()
    assert loop.store.commits == before


# --- providers that hang


class Provider:
    def disks(self) -> tuple[ProvidedDisk, ...]:
        return ()


def test_a_provider_hangs_until_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    drill = a_drill(
        DrillKind.STALL_PROVIDER, node=None, target="files", hold_s=0.3, times={Moment.PROVOKED: NOW_S}
    )
    loop = Loop(with_drills(state(), drill))
    monkeypatch.setattr(loop.providers, "_make", lambda _wanted: Provider())
    loop.a_pass()
    assert loop.driller._stall == ("d1", Stall.HANGING)
    began = time.monotonic()
    loop.until(lambda: loop.driller._stall == ("d1", Stall.ANSWERED))
    assert time.monotonic() - began > 0.2
    assert loop.providers(loop.spec, "files").disks() == ()
    loop.driller.close()


def test_a_provider_goes_on_as_soon_as_its_drill_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    drill = a_drill(
        DrillKind.STALL_PROVIDER, node=None, target="files", hold_s=60.0, times={Moment.PROVOKED: NOW_S}
    )
    loop = Loop(with_drills(state(), drill))
    monkeypatch.setattr(loop.providers, "_make", lambda _wanted: Provider())
    loop.a_pass()
    waiting = wait_in_thread(loop.providers(loop.spec, "files"))
    loop.driller.abort("d1", "me")
    loop.a_pass()
    waiting.join(5.0)
    assert not waiting.is_alive()
    ended = loop.a_pass()
    assert ended is not None and ended.state is DrillState.ABORTED
    loop.driller.close()


def wait_in_thread(provider: Any) -> threading.Thread:
    thread = threading.Thread(target=provider.disks)
    thread.start()
    return thread


def test_what_waits_goes_on_when_a_stall_is_let_go_of() -> None:
    stalls = Stalls()
    plain: DiskProvider = Provider()  # type: ignore[assignment]
    assert stalls.before("files", plain) is plain
    stalls.begin("files", 60.0)
    thread = wait_in_thread(stalls.before("files", plain))
    thread.join(0.05)
    assert thread.is_alive()
    stalls.end_all()
    thread.join(5.0)
    assert not thread.is_alive() and stalls.before("files", plain) is plain


# --- what is stored


def test_drills_come_back_as_they_were_stored_and_old_stores_have_none() -> None:
    drill = replace(
        a_drill(), times={Moment.PROVOKED: 1.0, Moment.HEALED: 2.5}, verified=7, ending=DrillState.PASSED
    )
    documents = changed_documents(FrameworkState(), with_drills(state(), drill))
    assert state_from_documents({k: v for k, v in documents.items() if v}).drills == {"d1": drill}
    assert state_from_documents({}).drills == MappingProxyType({})


def test_a_drill_is_found_by_its_id() -> None:
    before = with_drills(state(), a_drill(state=DrillState.PASSED), replace(a_drill(), id="e1"))
    assert find_drill(before, "").id == "e1"
    assert find_drill(before, "d").id == "d1"
    with pytest.raises(NotThere, match="d1, e1"):
        find_drill(before, "x")
    loop = Loop(before)
    with pytest.raises(Conflict, match="is over"):
        loop.driller.abort("d1", "me")
