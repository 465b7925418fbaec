"""A newer version's state is refused by a manager, and shown as far as it is known by whoever only looks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from artesian.embedded.mdm.machine import EngineMachine
from artesian.embedded.state.codec import live_from_json, live_to_json, state_from_json, state_to_json
from artesian.embedded.state.live import Live
from artesian.embedded.state.model import State

LIVE = Live(now_s=1.0, settled=True)


def newer(document: dict[str, Any]) -> dict[str, Any]:
    """As a version after this one might write it."""
    return json.loads(json.dumps(document)) | {"colour": "blue"}


def older(document: dict[str, Any]) -> dict[str, Any]:
    """As a version before this one may have written it."""
    left: dict[str, Any] = json.loads(json.dumps(document))
    left.popitem()
    return left


def test_a_manager_refuses_what_it_does_not_know_and_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="State has no colour: it was written by a newer version"):
        state_from_json(newer(state_to_json(State())))


def test_what_it_has_refused_has_changed_nothing() -> None:
    machine = EngineMachine()
    before = machine.state
    with pytest.raises(ValueError, match="colour"):
        machine.install(newer(state_to_json(State())))
    assert machine.state is before


def test_whoever_only_shows_it_leaves_it_out() -> None:
    assert state_from_json(newer(state_to_json(State())), only_shown=True) == State()
    assert live_from_json(newer(live_to_json(LIVE)), only_shown=True) == LIVE


def test_what_is_deeper_is_left_out_likewise() -> None:
    document = state_to_json(State())
    field = next(name for name, value in document.items() if isinstance(value, dict))
    inner = {**document, field: {}}
    assert state_from_json(inner | {"colour": 1}, only_shown=True) == state_from_json(inner)


def test_what_an_older_version_wrote_is_read_with_the_defaults_of_this_one() -> None:
    assert state_from_json(older(state_to_json(State()))) == State()
