"""Pauses as users ask for them, and how they end."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from artesian.model.errors import NotPossible, NotThere
from artesian.model.pause import Pause
from artesian.model.spec import Spec
from artesian.model.state import FrameworkState
from artesian.remedy.checking import read_whole_spec
from artesian.scheduler import pausing
from artesian.scheduler.memory import Memory
from artesian.scheduler.pausing import Pausable, begin, end, ended, pausable
from artesian.store.codec import state_from_documents
from tests.scheduler.cases import MemoryStore

THERE = Pausable(("default/gold", "lab/gold"), ("node-1", "node-2"), ("expand-pool",))
NOTHING = FrameworkState()
NOW_S = 1_700_000_000.0


def test_nothing_named_is_everything() -> None:
    state = begin(NOTHING, THERE, [], NOW_S, because="a move", who="ann")
    assert state.paused
    (one,) = state.pauses_in_force()
    assert one == Pause("everything", NOW_S, None, "a move", "ann")
    assert one.sentence == "everything is paused by ann: a move"
    assert end(state, []) == NOTHING


@pytest.mark.parametrize(
    ("written", "scope"),
    [
        ("everything", "everything"),
        ("remedies", "remedies"),
        ("pool:lab/gold", "pool:lab/gold"),
        ("pool:gold", "pool:default/gold"),
        ("node:node-1", "node:node-1"),
        ("remedy:expand-pool", "remedy:expand-pool"),
        ("rule:expand-pool", "rule:expand-pool"),
    ],
)
def test_a_part_is_paused_and_goes_on(written: str, scope: str) -> None:
    state = begin(NOTHING, THERE, [written], NOW_S)
    assert [one.scope for one in state.pauses_in_force()] == [scope]
    assert state.paused == (scope == "everything")
    assert end(state, [written]) == NOTHING


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("gold", "'gold' cannot be paused; what can is everything, remedies, pool:DOMAIN/POOL"),
        ("volume:data", "cannot be paused"),
        ("pool:silver", "there is no pool default/silver; there are default/gold, lab/gold"),
        ("node:node-3", "there is no node node-3; there are node-1, node-2; is node-"),
        ("remedy:expand", "there is no kind of remedy expand; there are expand-pool, replace-device"),
        ("rule:expand-pol", "is expand-pool meant?"),
        ("node:", "there is no node ;"),
    ],
)
def test_what_there_is_not_is_refused_and_nothing_has_changed(written: str, words: str) -> None:
    with pytest.raises(NotThere, match=re.escape(words)):
        begin(NOTHING, THERE, ["node:node-1", written], NOW_S)


def test_what_is_not_paused_by_itself_cannot_be_ended() -> None:
    state = begin(NOTHING, THERE, ["node:node-1"], NOW_S)
    with pytest.raises(NotThere, match="node:node-2 is not paused by itself; what is paused is node:node-1"):
        end(state, ["node:node-2"])
    assert end(state, []) == state, "that of a node was not meant"


def test_what_was_paused_and_is_no_more_can_be_ended() -> None:
    assert end(replace(NOTHING, pauses={"node:lost": Pause("node:lost")}), ["node:lost"]) == NOTHING


@pytest.mark.parametrize("for_s", [0.0, -1.0, float("nan"), 367 * 86_400.0])
def test_a_time_that_makes_no_sense_is_refused(for_s: float) -> None:
    with pytest.raises(NotPossible, match="at most 366 days"):
        begin(NOTHING, THERE, [], NOW_S, for_s=for_s)


def test_a_pause_that_is_asked_for_again_is_as_it_is_said_now() -> None:
    state = begin(NOTHING, THERE, ["remedies"], NOW_S, for_s=60.0, because="a test", who="ann")
    state = begin(state, THERE, ["remedies"], NOW_S + 30, who="bob")
    assert state.pauses == {"remedies": Pause("remedies", NOW_S, None, "", "bob")}


def test_a_pause_ends_by_itself_when_its_time_is_over() -> None:
    state = begin(NOTHING, THERE, ["everything", "node:node-1"], NOW_S, for_s=7200.0, who="ann")
    state = begin(state, THERE, ["remedies"], NOW_S)
    assert ended(state, NOW_S + 7199.0) == (state, ())
    after, told = ended(state, NOW_S + 7200.0)
    assert not after.paused and list(after.pauses) == ["remedies"]
    assert [(one.kind, one.subject) for one in told] == [
        ("resumed", "everything"),
        ("resumed", "node:node-1"),
    ]
    assert told[0].because == "its time is over: everything is paused until 2023-11-15 00:13 UTC by ann"


def test_that_is_stored_and_told_once() -> None:
    store = MemoryStore()
    memory = Memory(store)
    memory.change(lambda state: begin(state, THERE, [], NOW_S, for_s=60.0))
    assert state_from_documents(store.documents).pauses_in_force()[0].until_s == NOW_S + 60.0
    for _ in range(3):
        pausing.end_those_that_are_over(memory, NOW_S + 61.0)
    assert state_from_documents(store.documents) == NOTHING
    assert [one.kind for one in memory.last_events(10)] == ["resumed"]


def test_a_store_from_before_is_still_read() -> None:
    state = state_from_documents({"paused": "true"})
    assert [one.sentence for one in state.pauses_in_force()] == ["everything is paused"]
    assert end(state, []) == NOTHING


def test_what_the_spec_names_can_be_paused_before_anything_is_seen() -> None:
    spec = read_whole_spec("rules: [{name: x, scope: node, when: gone, remedy: notify}]")
    there = pausable(spec, None, NOTHING)
    assert there.pools == ("default/default",)
    assert "x" in there.rules and "remove-node" in there.rules
    assert pausable(Spec(global_pool=None), None, NOTHING).pools == ()
