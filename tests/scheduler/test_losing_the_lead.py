"""Nothing is done by a scheduler that may not lead any more, or does not know what is stored."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from artesian.api.application import make_application
from artesian.model.changes import AddDomain
from artesian.model.event import Event
from artesian.model.plan import Step
from artesian.model.provided import DiskRequest
from artesian.model.provider_spec import FileSpec, ProviderSpec
from artesian.model.spec import Spec
from artesian.model.state import FrameworkState
from artesian.providers.port import ProviderUnreachable
from artesian.scheduler import loop, providing
from artesian.scheduler.acting import Actor
from artesian.scheduler.loop import Scheduler
from artesian.scheduler.memory import Memory
from artesian.scheduler.providing import Providers
from artesian.store.port import NotLeading, StoreUnusable
from tests.scheduler.cases import STATE, FakeSubstrate, MemoryStore

LOST = NotLeading("another one leads")
DOUBT = StoreUnusable("whether this scheduler still leads is in doubt")
EITHER = pytest.mark.parametrize("why", [LOST, DOUBT], ids=["lost", "in doubt"])


def paused(state: FrameworkState) -> FrameworkState:
    return replace(state, paused=True)


class SilentStore(MemoryStore):
    """`silent`: it stores, and does not say so; `unreadable`: nor does it tell what it has stored."""

    silent = False
    unreadable = False

    def load(self) -> dict[str, str]:
        if self.unreadable:
            raise StoreUnusable("nobody answers")
        return super().load()

    def commit(self, changes: Mapping[str, str | None], events: Sequence[Event] = ()) -> None:
        super().commit(changes, events)
        if self.silent:
            raise StoreUnusable("nobody has said whether it is stored")


# --- what is stored


def test_a_change_that_was_stored_unheard_of_is_found() -> None:
    store = SilentStore()
    memory = Memory(store)
    store.silent = True
    with pytest.raises(StoreUnusable):
        memory.change(paused)
    assert memory.state.paused


def test_as_long_as_nobody_knows_what_is_stored_nothing_goes_on() -> None:
    store = SilentStore()
    memory = Memory(store)
    heard: list[bool] = []
    memory.listen(lambda: heard.append(memory.state.paused))
    store.silent = store.unreadable = True
    with pytest.raises(StoreUnusable, match="whether it is stored"):
        memory.change(paused)
    with pytest.raises(StoreUnusable, match="nobody answers"):
        memory.confirm()
    with pytest.raises(StoreUnusable, match="nobody answers"):
        memory.change(paused)
    store.silent = store.unreadable = False
    memory.confirm()
    assert memory.state.paused
    assert heard == [True]


def test_the_next_change_is_one_of_what_is_stored() -> None:
    """Else what was stored unheard of would stay there, and never be known of."""
    store = SilentStore()
    memory = Memory(store)
    store.silent = store.unreadable = True
    with pytest.raises(StoreUnusable):
        memory.change(paused)
    store.silent = store.unreadable = False
    after = memory.change(lambda state: replace(state, spec_text="x"))
    assert (after.paused, after.spec_text) == (True, "x")


# --- what is done


@EITHER
def test_a_step_whose_intent_is_stored_already_is_not_taken(why: NotLeading | StoreUnusable) -> None:
    """Nothing has to be stored for it any more, so no commit would be refused."""

    class Engine:
        done: list[object] = []

        def carry_out(self, change: object) -> None:
            self.done.append(change)

    store, engine = MemoryStore(), Engine()
    memory = Memory(store)
    memory.change(lambda _state: STATE)
    actor = Actor(memory, lambda: 0.0)
    steps = [Step(AddDomain("default"), "it is wanted")]
    actor.act(steps, engine, STATE.engine, {}, STATE.spec_text)  # type: ignore[arg-type]
    actor._announced.add(steps[0].id)
    assert len(engine.done) == 1
    store.lost = why
    with pytest.raises(type(why)):
        actor.act(steps, engine, STATE.engine, {}, STATE.spec_text)  # type: ignore[arg-type]
    assert len(engine.done) == 1


@EITHER
def test_no_disk_is_got_or_given_back(
    why: NotLeading | StoreUnusable, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Provider:
        def provide(self, request: DiskRequest) -> None:
            asked.append(request.token)

        def release(self, disk_id: str) -> bool:
            asked.append(disk_id)
            return True

    store = MemoryStore()
    monkeypatch.setattr(providing, "FileProvider", lambda *_, **__: Provider())
    monkeypatch.setattr(providing, "LocalCluster", FakeSubstrate)
    providers = Providers(Memory(store), FakeSubstrate(), lambda: None)
    wanted = ProviderSpec("files", FileSpec(), 1.0)
    provider = providers(Spec(providers=(wanted,)), "files")
    provider.provide(DiskRequest("token", "n1", "10.0.0.1", 1))
    store.lost = why
    with pytest.raises(ProviderUnreachable, match="was not asked"):
        provider.provide(DiskRequest("later", "n1", "10.0.0.1", 1))
    with pytest.raises(ProviderUnreachable, match="was not asked"):
        provider.release("disk")
    assert asked == ["token"]


# --- the loop and the API


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def scheduler(store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scheduler:
    monkeypatch.setattr(loop, "_IDLE_S", 0.01)
    return Scheduler(store, FakeSubstrate("n1"), tmp_path, "http://127.0.0.1:9")


def test_a_loop_that_has_lost_the_lead_ends(scheduler: Scheduler, store: MemoryStore) -> None:
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    assert scheduler.look_anew(10.0)
    store.lost = LOST
    thread.join(10.0)
    assert not thread.is_alive()
    assert scheduler.has_lost_lead
    assert scheduler.last_error == str(LOST)


def test_a_loop_in_doubt_does_nothing_and_goes_on_when_it_is_certain_again(
    scheduler: Scheduler, store: MemoryStore
) -> None:
    substrate: Any = scheduler._substrate
    thread = threading.Thread(target=scheduler.run)
    store.lost = DOUBT
    thread.start()
    try:
        assert scheduler.look_anew(10.0)
        assert substrate.running == set()
        assert (scheduler.last_error, scheduler.has_lost_lead) == (str(DOUBT), False)
        store.lost = None
        assert scheduler.look_anew(10.0)
        assert substrate.running == {"n1"}
    finally:
        scheduler.stop()
        thread.join(10.0)


@EITHER
def test_nobody_is_told_anything_by_a_scheduler_that_may_not_lead(
    scheduler: Scheduler, store: MemoryStore, why: NotLeading | StoreUnusable
) -> None:
    """An assignment that is out of date would be followed."""
    agent = {"Authorization": f"Bearer {scheduler.agent_token('n1')}"}
    user = {"Authorization": f"Bearer {scheduler.memory.secrets.api_token}"}
    with TestClient(make_application(scheduler), raise_server_exceptions=False) as client:
        assert client.get("/v1/agents/n1/assignment", headers=agent).status_code == 200
        store.lost = why
        for path, headers in (("/v1/agents/n1/assignment", agent), ("/v1/volumes", user)):
            answer = client.get(path, headers=headers)
            assert (answer.status_code, answer.json()["detail"]) == (503, str(why))
        assert client.get("/healthz").status_code == 200
