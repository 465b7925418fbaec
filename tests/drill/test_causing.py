"""Whoever is told of a remedy is told whether a drill is behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from artesian.drill.causing import drill_behind
from artesian.model.disk import Claim
from artesian.model.drill import Drill, DrillKind, DrillState
from artesian.model.names import device_name
from artesian.model.remedy import Remedy, RemedyState
from artesian.model.rule import RemedyKind
from artesian.model.state import FrameworkState
from tests.drill.cases import NOW_S, POOL

HIT = Claim("serial:hit", "n2", "/dev/sdb", POOL, 1 << 30, "it was free")


def drill(kind: DrillKind = DrillKind.FAIL_DISK, **values: Any) -> Drill:
    made = Drill(
        "k1", kind, DrillState.WATCHING, NOW_S, NOW_S, "disk", node="n2", target="serial:hit", pool=POOL
    )
    return replace(made, **values)


def remedy(thing: str, **values: Any) -> Remedy:
    made = Remedy(
        "r1", "rule", RemedyKind.REPLACE_DEVICE, thing, "it failed", RemedyState.ASKING, NOW_S + 5, NOW_S + 5
    )
    return replace(made, **values)


def behind(one: Remedy, of: Drill) -> bool:
    state = FrameworkState(drills={of.id: of}, claims={HIT.identity: HIT})
    return drill_behind(one, state) is of


@pytest.mark.parametrize(
    ("kind", "pool", "thing"),
    [
        (DrillKind.FAIL_DISK, None, device_name("serial:hit")),
        (DrillKind.FAIL_DISK, POOL, str(POOL)),
        (DrillKind.KILL_SERVER, None, device_name("serial:hit")),
        (DrillKind.CUT_OFF_NODE, None, "n2"),
        (DrillKind.KILL_MANAGER, None, "n2"),
        (DrillKind.FILL_POOL, POOL, str(POOL)),
        (DrillKind.FILL_POOL, POOL, "drill-k1"),
        (DrillKind.KILL_SERVER, None, "cluster"),
    ],
)
def test_what_is_wrong_with_what_it_has_hit_is_its_own(kind: DrillKind, pool: Any, thing: str) -> None:
    assert behind(remedy(thing), drill(kind, pool=pool))


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        (DrillKind.FAIL_DISK, device_name("serial:other")),
        (DrillKind.CUT_OFF_NODE, "n3"),
        (DrillKind.FILL_POOL, "default/other"),
        (DrillKind.FILL_POOL, "n2"),
        (DrillKind.STALL_PROVIDER, "n2"),
    ],
)
def test_what_is_wrong_elsewhere_is_meant_in_earnest(kind: DrillKind, thing: str) -> None:
    assert not behind(remedy(thing), drill(kind))


def test_what_was_wrong_before_it_began_is_meant_in_earnest() -> None:
    assert not behind(remedy("n2", created_s=NOW_S - 1), drill())


def test_after_it_is_over_what_it_has_raised_is_still_its_own() -> None:
    over = drill(state=DrillState.PASSED, remedies=("r1",))
    assert behind(remedy("n2", state=RemedyState.FAILED), over)
    assert not behind(remedy("n2", id="r2"), over)
