"""Two rules with the same remedy for the same thing: one asks early, one acts late."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.model.remedy import RemedyState
from artesian.model.rule import Approval
from artesian.remedy.lifecycle import CHECKING_S, moved
from tests.remedy.cases import EXPAND, POOL_NAME, RULES, Clinic

EARLY = replace(EXPAND, name="early", approval=Approval.ASK)


@pytest.fixture
def clinic() -> Clinic:
    made = Clinic(rules=(EARLY, *RULES))
    made.fire(EARLY, POOL_NAME)
    made.look()
    assert made.remedy.state is RemedyState.ASKING
    return made


def test_the_one_that_acts_by_itself_needs_no_answer_to_what_the_other_asks(clinic: Clinic) -> None:
    clinic.fire(EXPAND, POOL_NAME)
    clinic.look()
    assert clinic.remedy.state is RemedyState.ACTING
    assert clinic.remedy.approved_by == "rule expand"
    assert "rule expand needs nobody's agreement" in clinic.remedy.because


def test_another_one_that_asks_changes_nothing() -> None:
    clinic = Clinic(rules=(EARLY, replace(EXPAND, approval=Approval.ASK)))
    clinic.fire(EARLY, POOL_NAME)
    clinic.look()
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(3)
    assert clinic.remedy.state is RemedyState.ASKING


def test_what_somebody_has_rejected_early_is_done_when_it_has_to_be(clinic: Clinic) -> None:
    rejected = moved(clinic.remedy, RemedyState.REJECTED, clinic.now_s, "by somebody")
    clinic.world.state = clinic.world.state.with_remedy(rejected)
    clinic.now_s += EXPAND.cooldown_s + 1
    clinic.look()
    assert [one.rule for one in clinic.remedies] == ["early"]
    clinic.fire(EXPAND, POOL_NAME)
    clinic.look()
    assert [(one.rule, one.state) for one in clinic.remedies][1:] == [("expand", RemedyState.ACTING)]


def test_after_one_that_did_not_help_neither_acts_by_itself() -> None:
    clinic = Clinic(rules=(EARLY, *RULES))
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(6)
    clinic.pass_(CHECKING_S + 1)
    assert clinic.remedy.state is RemedyState.FAILED
    clinic.fire(EARLY, POOL_NAME)
    clinic.pass_(EXPAND.cooldown_s + EARLY.cooldown_s + 1)
    clinic.passes(3)
    assert clinic.remedies[-1].state is RemedyState.ASKING
