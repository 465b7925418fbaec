"""The state in memory is what is stored, always; secrets are made once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.model.errors import Conflict
from artesian.model.event import Event
from artesian.model.state import FrameworkState
from artesian.scheduler.memory import Memory
from artesian.store.port import NotLeading, StoreUnusable
from tests.scheduler.cases import MemoryStore


def paused(state: FrameworkState) -> FrameworkState:
    return replace(state, paused=True)


def refused(_state: FrameworkState) -> FrameworkState:
    raise Conflict("no")


def test_secrets_are_made_once() -> None:
    store = MemoryStore()
    first = Memory(store).secrets
    store.close()
    assert Memory(store).secrets == first


def test_only_one_leads() -> None:
    store = MemoryStore()
    Memory(store)
    with pytest.raises(NotLeading):
        Memory(store)


def test_secrets_are_made_once_and_differ() -> None:
    store = MemoryStore()
    first = Memory(store).secrets
    store.close()
    again = Memory(store).secrets
    assert first == again
    values = [first.engine_secret, first.engine_password, first.agents_key, first.api_token]
    assert len(set(values)) == 4
    assert min(map(len, values)) >= 32
    store.close()
    assert Memory(MemoryStore()).secrets.api_token != first.api_token


def test_a_secret_that_is_new_to_an_old_store_is_added() -> None:
    store = MemoryStore({"secrets/api_token": "kept"})
    secrets = Memory(store).secrets
    assert secrets.api_token == "kept"
    assert store.documents["secrets/agents_key"] == secrets.agents_key


def test_a_change_is_stored_and_found_again() -> None:
    store = MemoryStore()
    memory = Memory(store)
    assert memory.change(paused, [Event("paused", "cluster", "somebody wants it")]).paused
    assert memory.state.paused
    (event,) = memory.events(0, 10)
    assert (event.number, event.kind) == (1, "paused")
    assert event.at_s > 0
    store.close()
    assert Memory(store).state.paused


def test_listeners_hear_of_changes_after_they_are_stored() -> None:
    memory = Memory(MemoryStore())
    heard: list[bool] = []
    memory.listen(lambda: heard.append(memory.state.paused))
    memory.change(paused)
    memory.change(paused)
    assert heard == [True]


def test_a_refused_change_changes_nothing() -> None:
    store = MemoryStore()
    memory = Memory(store)
    before, commits = store.load(), len(store.commits)
    heard: list[str] = []
    memory.listen(lambda: heard.append("told"))
    with pytest.raises(Conflict):
        memory.change(refused, [Event("x", "y", "z")])
    assert (store.load(), len(store.commits), store.kept, heard) == (before, commits, [], [])
    assert memory.state == FrameworkState()


def test_a_change_that_cannot_be_stored_did_not_happen() -> None:
    store = MemoryStore()
    memory = Memory(store)
    heard: list[str] = []
    memory.listen(lambda: heard.append("told"))
    store.broken = True
    with pytest.raises(StoreUnusable):
        memory.change(paused)
    assert not memory.state.paused
    assert heard == []


def test_an_event_alone_is_kept() -> None:
    memory = Memory(MemoryStore())
    memory.tell("refused", "AddDevice", "the engine says no")
    assert [event.because for event in memory.events(0, 10)] == ["the engine says no"]
    assert memory.events(1, 10) == []


def test_an_unreadable_store_is_not_guessed_at() -> None:
    with pytest.raises(StoreUnusable, match="volumes/data"):
        Memory(MemoryStore({"volumes/data": "{"}))
