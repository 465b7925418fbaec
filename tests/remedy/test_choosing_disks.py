"""Where the disks of a remedy are to come from, when providers refuse or do not answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.model.provided import DiskRequest, Quote
from artesian.model.remedy import Remedy
from artesian.remedy.parts import PROVIDER_AWAY_S, Choice, choose
from tests.remedy.cases import EXPAND, POOL_NAME, Clinic

AWAY = "it does not answer"


@pytest.fixture
def clinic() -> Clinic:
    made = Clinic()
    made.fill(0.95)
    made.fire(EXPAND, str(POOL_NAME))
    made.look()
    return made


def expanding(clinic: Clinic) -> Remedy:
    return replace(clinic.remedy, disks=2, changed_s=clinic.now_s)


def chosen(clinic: Clinic, quote: Quote, after_s: float = 0.0) -> Choice:
    remedy = expanding(clinic)
    clinic.now_s += after_s
    return choose(remedy, clinic.facts, lambda _name, _request: quote)


def test_what_a_provider_refuses_is_final(clinic: Clinic) -> None:
    choice = chosen(clinic, Quote(refused="the quota is used up"))
    assert choice.final and "the quota is used up" in choice.detail


def test_a_provider_that_does_not_answer_is_asked_again(clinic: Clinic) -> None:
    choice = chosen(clinic, Quote(refused=AWAY, for_now=True))
    assert not choice.final and not choice.parts and AWAY in choice.detail


def test_but_not_for_ever(clinic: Clinic) -> None:
    choice = chosen(clinic, Quote(refused=AWAY, for_now=True), PROVIDER_AWAY_S)
    assert choice.final and AWAY in choice.detail


def test_one_that_refuses_for_some_nodes_and_is_away_for_others_is_asked_again(clinic: Clinic) -> None:
    asked: list[str] = []

    def quote(_name: str, request: DiskRequest) -> Quote:
        asked.append(request.node)
        return Quote(refused="no slot is free") if len(asked) == 1 else Quote(refused=AWAY, for_now=True)

    choice = choose(expanding(clinic), clinic.facts, quote)
    assert len(asked) > 1 and not choice.final
