"""`up` is done when the plan of all nodes is, also of those that were silent for a moment."""

from __future__ import annotations

from typing import Any, cast

import pytest

from artesian.cli.cluster.access import Api
from artesian.cli.cluster.agents import unseen
from artesian.cli.cluster.lifecycle import _are_all_served


class Scheduler:
    """Nothing is left of its plan; `states` are those in which its node is seen, one after the other."""

    def __init__(self, *states: str, answers: bool = True) -> None:
        self._states = list(states)
        self._substrate = {"answers": answers, "because": "no master leads"}

    def get(self, path: str) -> Any:
        if path == "/plan":
            return {"steps": []}
        if path == "/status":
            return {"substrate": self._substrate}
        assert path == "/nodes"
        return [{"name": "n1", "state": self._states.pop(0), "unreachable": False, "problem": ""}]

    def post(self, path: str) -> None:
        assert path == "/passes"


def test_a_plan_that_was_made_while_nobody_knew_the_nodes_is_none() -> None:
    api = Scheduler("alive", "alive", answers=False)
    assert _are_all_served(cast(Api, api), 1.0, lambda _: None) is False
    assert unseen(cast(Api, api)) == "no master leads"


@pytest.mark.parametrize(
    ("before", "after", "served"),
    [
        ("alive", "alive", True),
        ("silent", "alive", False),  # nothing was planned for it yet
        ("alive", "silent", False),
        ("gone", "gone", True),
    ],
)
def test_a_plan_that_was_made_without_a_silent_node_is_not_all(before: str, after: str, served: bool) -> None:
    assert _are_all_served(cast(Api, Scheduler(before, after)), 1.0, lambda _: None) is served
