"""Remedies and pauses: which ones wait, and that those that are at work wait without failing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.model.names import device_name
from artesian.model.pause import Pause
from artesian.model.remedy import RemedyState
from artesian.model.rule import Approval, Rule
from artesian.model.state import with_item
from artesian.model.wishes import VolumeWish
from tests.planner.situations import POOL
from tests.remedy.cases import EXPAND, GIB, GROW, MANAGER, MOVE, POOL_NAME, REMOVE, REPLACE, TELL, Clinic

DEVICE = device_name("serial:1-sdb")


def pause_this(clinic: Clinic, scope: str) -> None:
    state = clinic.world.state
    clinic.world.state = replace(state, pauses=with_item(state.pauses, scope, Pause(scope)))


def resume_all(clinic: Clinic) -> None:
    clinic.world.state = replace(clinic.world.state, pauses={})


def a_clinic() -> Clinic:
    """With a volume on the first node."""
    clinic = Clinic(4)
    clinic.world.state = clinic.world.state.with_volume(VolumeWish("data", POOL, GIB, node="node-1"))
    clinic.world.converge()
    return clinic


@pytest.mark.parametrize(
    ("rule", "thing", "scope"),
    [
        (EXPAND, POOL_NAME, "remedies"),
        (EXPAND, POOL_NAME, "remedy:expand-pool"),
        (EXPAND, POOL_NAME, "rule:expand"),
        (EXPAND, POOL_NAME, f"pool:{POOL_NAME}"),
        (REPLACE, DEVICE, f"pool:{POOL_NAME}"),
        (REPLACE, DEVICE, "node:node-1"),
        (MANAGER, "node-1", "node:node-1"),
        (REMOVE, "node-1", "node:node-1"),
        (MOVE, "node-1", "node:node-1"),
        (GROW, "data", f"pool:{POOL_NAME}"),
        (TELL, POOL_NAME, "rule:tell"),
        (TELL, POOL_NAME, "remedy:notify"),
    ],
)
def test_a_remedy_waits_for_what_pauses_it(rule: Rule, thing: str, scope: str) -> None:
    clinic = a_clinic()
    pause_this(clinic, scope)
    clinic.fire(rule, thing)
    clinic.passes(2)
    assert clinic.remedy.state is RemedyState.HELD
    assert "paused" in clinic.remedy.detail
    resume_all(clinic)
    clinic.pass_()
    assert "paused" not in clinic.remedy.detail


@pytest.mark.parametrize(
    ("rule", "thing", "scope"),
    [
        (EXPAND, POOL_NAME, "remedy:replace-device"),
        (EXPAND, POOL_NAME, "rule:replace"),
        (EXPAND, POOL_NAME, "pool:default/other"),
        (REPLACE, DEVICE, "node:node-2"),
        (MOVE, "node-1", "node:node-2"),
        (TELL, POOL_NAME, "remedies"),  # to tell somebody does no harm
        (TELL, POOL_NAME, f"pool:{POOL_NAME}"),
    ],
)
def test_a_remedy_does_not_wait_for_what_is_none_of_its_own(rule: Rule, thing: str, scope: str) -> None:
    clinic = a_clinic()
    pause_this(clinic, scope)
    clinic.fire(rule, thing)
    clinic.passes(2)
    assert clinic.remedy.state in (RemedyState.ACTING, RemedyState.CHECKING, RemedyState.HELPED)


def test_somebody_who_agrees_does_not_end_a_pause() -> None:
    clinic = a_clinic()
    pause_this(clinic, "remedies")
    clinic.fire(EXPAND, POOL_NAME)
    clinic.pass_()
    (key,) = clinic.world.state.remedies
    agreed = replace(clinic.remedy, approved_by="ann")
    clinic.world.state = replace(clinic.world.state, remedies={key: agreed})
    clinic.pass_()
    assert (clinic.remedy.state, clinic.remedy.detail) == (RemedyState.HELD, "all remedies are paused")


def test_a_paused_rule_does_not_agree_to_what_another_asks() -> None:
    asking = replace(EXPAND, name="asking", approval=Approval.ASK)
    clinic = Clinic(rules=(asking, EXPAND))
    clinic.fire(asking, POOL_NAME)
    clinic.pass_()
    pause_this(clinic, "rule:expand")
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(2)
    assert clinic.remedy.state is RemedyState.ASKING
    resume_all(clinic)
    clinic.passes(2)
    assert clinic.remedy.approved_by == "rule expand"


def test_a_remedy_at_work_does_not_stall_while_it_is_paused() -> None:
    clinic = a_clinic()
    clinic.refused = lambda _request: "not now"
    clinic.fire(EXPAND, POOL_NAME)
    clinic.look()
    clinic.look()
    assert clinic.remedy.state is RemedyState.ACTING
    pause_this(clinic, "remedy:expand-pool")
    for _ in range(10):
        clinic.now_s += 1_000.0
        clinic.look()
    assert clinic.remedy.state is RemedyState.ACTING
    resume_all(clinic)
    for _ in range(10):
        clinic.now_s += 1_000.0
        clinic.look()
    assert clinic.remedies[0].state is RemedyState.FAILED
