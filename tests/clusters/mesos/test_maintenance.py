"""Which machines a schedule is about to take away, and what is answered when Mesos asks for an agent."""

from __future__ import annotations

from typing import Any

import pytest

from artesian.clusters.mesos.maintenance import (
    AHEAD_S,
    InverseOffer,
    Machine,
    answers,
    machines_to_leave,
    read_inverse_offer,
)
from artesian.clusters.mesos.records import NodeRecord
from artesian.model.standing import NodeStanding

NOW_S = 1_000_000.0
EMPTY, NEEDED = NodeStanding(True, False, ""), NodeStanding(True, False, "volume data is to be on it")


def window(start_s: float, duration_s: float | None = None) -> dict[str, Any]:
    """One of machine h1."""
    unavailability: dict[str, Any] = {"start": {"nanoseconds": int(start_s * 1e9)}}
    if duration_s is not None:
        unavailability["duration"] = {"nanoseconds": int(duration_s * 1e9)}
    return {"machine_ids": [{"hostname": "H1", "ip": "10.0.0.1"}], "unavailability": unavailability}


@pytest.mark.parametrize(
    ("start_s", "duration_s", "leaves"),
    [
        (NOW_S, None, True),
        (NOW_S - 10, 20, True),
        (NOW_S - 30, 20, False),
        (NOW_S + AHEAD_S - 1, 20, True),
        (NOW_S + AHEAD_S + 1, 20, False),
    ],
)
def test_a_node_is_emptied_shortly_before_its_maintenance_and_during_it(
    start_s: float, duration_s: float | None, leaves: bool
) -> None:
    expected = (Machine("h1", "10.0.0.1"),) if leaves else ()
    assert machines_to_leave([window(start_s, duration_s)], NOW_S) == expected


def test_an_empty_schedule_takes_nothing_away() -> None:
    assert machines_to_leave([], NOW_S) == ()
    assert machines_to_leave([{"unavailability": {"start": {"nanoseconds": 0}}}], NOW_S) == ()


@pytest.mark.parametrize(
    ("machine", "meant"),
    [
        (Machine("h1", "10.0.0.1"), True),
        (Machine("h1", ""), True),
        (Machine("", "10.0.0.1"), True),
        (Machine("", ""), False),
        (Machine("h2", "10.0.0.1"), False),
        (Machine("h1", "10.0.0.2"), False),
    ],
)
def test_a_machine_is_known_by_its_name_and_address_as_far_as_they_are_given(
    machine: Machine, meant: bool
) -> None:
    assert machine.is_meant("H1", "10.0.0.1") is meant


def answer(standing: NodeStanding | None, *, known: bool = True) -> str:
    """The call that answers for node h1."""
    records = {"h1": NodeRecord("h1", "agent-1", "10.0.0.1")} if known else {}
    offer = read_inverse_offer({"id": {"value": "io-1"}, "agent_id": {"value": "agent-1"}})
    assert offer == InverseOffer("io-1", "agent-1")
    ((kind, body),) = answers([offer], records, {"h1": standing} if standing is not None else {})
    assert body is not None and body["inverse_offer_ids"] == [{"value": "io-1"}]
    assert body["filters"]["refuse_seconds"] > 0  # the next one does not come at once
    return kind


def test_a_node_may_go_when_nothing_of_it_is_needed() -> None:
    assert answer(EMPTY) == "ACCEPT_INVERSE_OFFERS"
    assert answer(NEEDED) == "DECLINE_INVERSE_OFFERS"


def test_a_node_of_which_nothing_is_known_yet_stays() -> None:
    assert answer(None) == "DECLINE_INVERSE_OFFERS"


def test_an_agent_that_runs_nothing_of_ours_may_go() -> None:
    assert answer(None, known=False) == "ACCEPT_INVERSE_OFFERS"
