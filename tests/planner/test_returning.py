"""A disk that a drill had taken away is used again, and no other is."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from artesian.drill.facts import DrillFacts
from artesian.model.changes import ReturnDevice
from artesian.model.disk import Tombstone
from artesian.model.drill import DrillKind, DrillState
from artesian.model.engine import EngineSeen
from artesian.model.plan import Step
from artesian.model.topology import Topology
from artesian.planner.facts import Facts, Steps
from artesian.planner.recording import complete
from artesian.planner.returning import plan_returns
from tests.drill.cases import NAMES, a_drill, device, engine, facts, identity, node, seen, state, with_drills

TAKEN = a_drill(DrillKind.FAIL_DISK, target=identity("n2"), state=DrillState.UNDOING)
FAILED = engine(devices=tuple(device(one, failed=one == "n2") for one in NAMES))


def changes(made: DrillFacts) -> list[object]:
    seen_engine = made.seen.engine or EngineSeen("")
    steps = Steps()
    nodes = {one.name: one for one in made.seen.nodes}
    plan_returns(Facts(made.spec, Topology(), made.seen, made.state, seen_engine, nodes), steps)
    return [step.change for step in steps.plan().steps]


def test_it_is_used_again_once_it_is_back() -> None:
    made = facts(state=with_drills(state(), TAKEN), seen=seen(engine=FAILED))
    assert changes(made) == [ReturnDevice("n2", identity("n2"))]


@pytest.mark.parametrize(
    "made",
    [
        facts(
            state=with_drills(state(), a_drill(DrillKind.FAIL_DISK, target=identity("n2"))),
            seen=seen(engine=FAILED),
        ),
        facts(state=state(), seen=seen(engine=FAILED)),
        facts(state=with_drills(state(), TAKEN)),
        facts(
            state=with_drills(state(), TAKEN),
            seen=seen(engine=FAILED, nodes=tuple(node(one, disks=()) for one in NAMES)),
        ),
        facts(
            state=with_drills(
                state(tombstones=MappingProxyType({identity("n2"): Tombstone(identity("n2"), "replaced")})),
                TAKEN,
            ),
            seen=seen(engine=FAILED),
        ),
    ],
    ids=["it is still away", "no drill", "it is well", "it is not there yet", "it was replaced"],
)
def test_and_else_it_is_not(made: DrillFacts) -> None:
    assert changes(made) == []


def wanted(made: DrillFacts, *, try_again: bool) -> DrillFacts:
    claim = replace(made.state.claims[identity("n2")], try_again=try_again)
    claims = MappingProxyType({**made.state.claims, claim.identity: claim})
    return replace(made, state=replace(made.state, claims=claims))


def test_somebody_may_want_a_disk_to_be_used_again() -> None:
    made = facts(state=state(), seen=seen(engine=FAILED))
    assert changes(wanted(made, try_again=True)) == [ReturnDevice("n2", identity("n2"))]
    assert changes(wanted(made, try_again=False)) == []
    well = facts(state=state())
    assert changes(wanted(well, try_again=True)) == []


def test_that_is_wanted_once() -> None:
    made = wanted(facts(state=state(), seen=seen(engine=FAILED)), try_again=True)
    after = complete(made.state, [Step(ReturnDevice("n2", identity("n2")), "somebody wants it")])
    assert not after.claims[identity("n2")].try_again
