"""Assignments as documents: agents and schedulers need not be of the same age."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from artesian.model.assignment import AssignedVolume, Assignment, assignment_from_json
from artesian.model.engine import ManagerPlace
from artesian.model.topology import ManagerRole

ASSIGNED = Assignment(
    "n1",
    "10.0.0.1",
    "embedded",
    "abc",
    managers=(ManagerPlace("n1", "10.0.0.1", ManagerRole.TIEBREAKER),),
    manager_addresses=("10.0.0.1:6611",),
    domains=("default",),
    volumes=(AssignedVolume("v1", "data", 7, "/data"),),
)


def test_an_assignment_comes_through_as_it_was() -> None:
    assert assignment_from_json(json.loads(json.dumps(asdict(ASSIGNED)))) == ASSIGNED


def test_what_a_newer_scheduler_says_besides_is_left_out() -> None:
    document = asdict(ASSIGNED) | {"colour": "green"}
    document["volumes"] = [one | {"smell": "of roses"} for one in document["volumes"]]
    assert assignment_from_json(document) == ASSIGNED


def test_what_an_older_scheduler_does_not_say_is_as_it_was_then() -> None:
    document = {"node": "n1", "address": "10.0.0.1", "volumes": []}
    assert assignment_from_json(document) == Assignment("n1", "10.0.0.1")


@pytest.mark.parametrize("document", [{}, {"node": "n1", "volumes": []}, {"volumes": [3]}])
def test_what_is_no_assignment_is_refused(document: dict[str, object]) -> None:
    with pytest.raises((TypeError, KeyError, ValueError)):
        assignment_from_json(document)
