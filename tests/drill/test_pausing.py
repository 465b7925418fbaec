"""No drill while something is paused that it needs."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from artesian.drill.choosing import choose
from artesian.drill.facts import DrillFacts
from artesian.drill.health import trouble
from artesian.model.drill import DrillKind, DrillWish
from artesian.model.errors import Conflict
from artesian.model.pause import Pause
from tests.drill.cases import NAMES, facts, state


def while_paused(*scopes: str) -> DrillFacts:
    return facts(state=state(pauses=MappingProxyType({one: Pause(one) for one in scopes})))


@pytest.mark.parametrize(
    ("kind", "scope", "words"),
    [
        (DrillKind.KILL_SERVER, "pool:default/default", "pool default/default is paused"),
        (DrillKind.FILL_POOL, "pool:default/default", "pool default/default is paused"),
        (DrillKind.FAIL_DISK, "remedies", "all remedies are paused"),
        (DrillKind.FAIL_DISK, "rule:replace", "rule replace is paused"),
        (DrillKind.FAIL_DISK, "remedy:replace-device", "remedies of kind replace-device are paused"),
        (DrillKind.FILL_POOL, "rule:expand", "rule expand is paused"),
    ],
)
def test_what_a_drill_needs_is_not_paused(kind: DrillKind, scope: str, words: str) -> None:
    with pytest.raises(Conflict, match=f"paused that it needs: {words}"):
        choose(DrillWish(kind), while_paused(scope))


def test_neither_the_node_that_is_hit_nor_the_one_that_writes_is_paused() -> None:
    drill = choose(DrillWish(DrillKind.KILL_SERVER), facts())
    for node in (drill.node, drill.writer_node):
        with pytest.raises(Conflict, match=f"node {node} is paused"):
            choose(DrillWish(DrillKind.KILL_SERVER), while_paused(f"node:{node}"))


@pytest.mark.parametrize(
    ("kind", "scope"),
    [
        (DrillKind.KILL_SERVER, "remedies"),
        (DrillKind.KILL_SERVER, "pool:default/other"),
        (DrillKind.FAIL_DISK, "rule:expand"),
    ],
)
def test_what_a_drill_does_not_need_may_be_paused(kind: DrillKind, scope: str) -> None:
    assert choose(DrillWish(kind), while_paused(scope)).kind is kind


def test_a_drill_under_way_ends_when_what_it_needs_is_paused() -> None:
    drill = choose(DrillWish(DrillKind.FAIL_DISK), facts())
    others = set(NAMES) - {drill.node, drill.writer_node}
    assert len(others) == 2
    assert trouble(drill, while_paused(*(f"node:{one}" for one in others))) is None
    assert trouble(drill, while_paused("rule:replace")) == "rule replace is paused"
