"""Somebody's word on remedies: given, and taken back."""

from __future__ import annotations

import pytest

from artesian.model.errors import Conflict, NotThere
from artesian.model.remedy import RemedyState
from artesian.scheduler.remedy_requests import approve_remedy, reject_remedy, unreject_remedy
from tests.remedy.cases import POOL_NAME, RULES, Clinic
from tests.remedy.test_two_rules import EARLY


@pytest.fixture
def clinic() -> Clinic:
    """With a remedy that asks."""
    made = Clinic(rules=(EARLY, *RULES))
    made.fire(EARLY, POOL_NAME)
    made.look()
    return made


def reject(clinic: Clinic) -> None:
    clinic.world.state = reject_remedy(clinic.world.state, clinic.remedy.id, "ann", clinic.now_s)


def test_what_is_rejected_is_not_proposed_again_for_a_day(clinic: Clinic) -> None:
    reject(clinic)
    clinic.now_s += 86_000
    clinic.look()
    assert clinic.remedy.state is RemedyState.REJECTED


def test_a_rejection_that_is_taken_back_lets_it_be_proposed_again(clinic: Clinic) -> None:
    reject(clinic)
    clinic.now_s += 3600
    clinic.world.state = unreject_remedy(clinic.world.state, clinic.remedy.id, "bob")
    assert clinic.remedy.state is RemedyState.NOT_NEEDED
    assert clinic.remedy.detail == "rejected by ann, which bob has taken back"
    clinic.look()
    assert [one.state for one in clinic.remedies] == [RemedyState.NOT_NEEDED, RemedyState.ASKING]


def test_nothing_comes_of_it_once_all_is_well(clinic: Clinic) -> None:
    reject(clinic)
    clinic.calm()
    clinic.now_s += 3600
    clinic.world.state = unreject_remedy(clinic.world.state, clinic.remedy.id, "bob")
    clinic.look()
    assert len(clinic.remedies) == 1


def test_only_a_rejection_is_taken_back(clinic: Clinic) -> None:
    with pytest.raises(Conflict, match="has not been rejected: it is asking"):
        unreject_remedy(clinic.world.state, clinic.remedy.id, "bob")
    with pytest.raises(NotThere):
        unreject_remedy(clinic.world.state, "zz", "bob")
    state = approve_remedy(clinic.world.state, clinic.remedy.id, "ann")
    with pytest.raises(Conflict):
        unreject_remedy(state, clinic.remedy.id, "bob")
