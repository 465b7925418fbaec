"""Pools as documents, and as people read them: how full, and when there is no room left."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from artesian.api.pool_views import pool_view, pools_view
from artesian.cli.cluster.tables import pool_text
from artesian.model.errors import NotThere
from artesian.model.observation import Observation
from artesian.model.plan import GuardedPlan, Plan
from artesian.model.spec import Spec
from artesian.model.topology import Topology
from artesian.planner.planning import Decision
from artesian.remedy.looking import Look, look
from artesian.scheduler.verdict import Verdict, pass_verdict
from tests.remedy.observed import GIB, MIB, engine, pool, seen, state

DECISION = Decision(Topology(), GuardedPlan(Plan(())))


def verdict_of(observation: Observation) -> Verdict:
    return pass_verdict(observation, DECISION, [])


def looked(*, grows_bytes: int, looks: int = 60) -> tuple[Verdict, Look]:
    """After ten minutes in which a pool grew so much every ten seconds."""
    last, now = Look(), seen()
    for at in range(looks):
        now = seen(engine=engine(pools=(pool(used_bytes=9 * GIB + grows_bytes * at),)))
        last = look(last, Spec(), now, state(), 1_700_000_000.0 + 10.0 * at)
    return verdict_of(now), last


def test_a_pool_that_grows_says_when_it_is_full() -> None:
    verdict, last = looked(grows_bytes=20 * MIB)
    (document,) = pools_view(verdict, last)
    assert document["used_share"] == pytest.approx(document["used_bytes"] / document["capacity_bytes"])
    forecast = document["forecast"]
    room = document["capacity_bytes"] - document["used_bytes"]
    assert forecast["time_to_full_s"] == pytest.approx(room / (2 * MIB), rel=0.01)
    assert forecast["low_s"] <= forecast["time_to_full_s"] <= forecast["high_s"]
    said = pool_text(document)
    assert "at 2.0 MiB/s" in said and "no provider can give any" in said


def test_a_pool_that_does_not_grow_has_no_end_that_json_cannot_hold() -> None:
    document = pool_view(*looked(grows_bytes=0), "default")
    assert document["forecast"]["time_to_full_s"] is None
    json.dumps(document, allow_nan=False)
    assert "full in: -" in pool_text(document)


def test_before_anything_was_seen_nothing_is_said() -> None:
    document = pool_view(verdict_of(seen()), Look(), "default/default")
    assert not document["forecast"]["known"] and document["used_share"] is None
    assert "full in: ?" in pool_text(document)


def test_a_pool_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(NotThere, match="no pool gold; there are default/default"):
        pool_view(verdict_of(seen()), Look(), "gold")


def test_without_an_engine_there_are_no_pools() -> None:
    assert pools_view(verdict_of(replace(seen(), engine=None)), Look()) == []
