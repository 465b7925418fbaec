"""How a pass ended, in one sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.model.changes import AddDomain, AddPool, JoinNode
from artesian.model.disk import PoolName
from artesian.model.engine import EngineSeen, SeenDevice, SeenManager, SeenPool, SeenServer
from artesian.model.node import Node, NodeState
from artesian.model.observation import Observation
from artesian.model.plan import GuardedPlan, HeldStep, Plan, Step
from artesian.model.topology import ManagerRole, Topology
from artesian.planner.planning import Decision
from artesian.scheduler.acting import Outcome, Taken
from artesian.scheduler.verdict import pass_verdict

POOL = PoolName("default", "default")
JOIN = Step(JoinNode("n1"), "it is there")
DOMAIN = Step(AddDomain("d"), "it is wanted")
ADD_POOL = Step(AddPool(POOL, 10), "it is wanted")
ENGINE = EngineSeen("abc", pools=(SeenPool("p", POOL),))
SEEN = Observation(nodes=(Node("n1", "10.0.0.1"), Node("n2", "10.0.0.2")), engine=ENGINE)

AWAY = SeenServer("s", "n1.default", "default", None, connected=False)

DEGRADED = "Pool default/default is degraded."
FULL = "Pool default/default is full."


def decided(
    *, held: tuple[HeldStep, ...] = (), waiting: tuple[HeldStep, ...] = (), note: str = ""
) -> Decision:
    steps = tuple(one.step for one in (*held, *waiting))
    return Decision(Topology(), GuardedPlan(Plan(steps, (note,) if note else ()), waiting=waiting, held=held))


def test_nothing_to_do_is_healthy() -> None:
    verdict = pass_verdict(SEEN, decided(), [])
    assert verdict.sentence == "All is as it should be: 2 nodes, 1 pool."
    assert verdict.healthy


def test_there_may_be_no_pool_at_all() -> None:
    verdict = pass_verdict(Observation(), decided(), [])
    assert verdict.sentence == "All is as it should be: 0 nodes, 0 pools."


def test_a_note_is_told_when_there_is_nothing_else_to_tell() -> None:
    verdict = pass_verdict(SEEN, decided(note="pool x cannot survive a node"), [])
    assert verdict.sentence == "Nothing to do: pool x cannot survive a node."


def test_without_an_engine_it_is_not_said_that_there_is_nothing_to_do() -> None:
    verdict = pass_verdict(replace(SEEN, engine=None), decided(note="the engine cannot be adopted yet"), [])
    assert verdict.sentence == "The engine cannot be adopted yet."
    assert not verdict.healthy


def test_every_outcome_is_counted_and_the_first_is_explained() -> None:
    taken = [
        Taken(JOIN, Outcome.DONE),
        Taken(DOMAIN, Outcome.DONE),
        Taken(ADD_POOL, Outcome.UNDER_WAY, "the engine is being made"),
        Taken(replace(JOIN, change=JoinNode("n2")), Outcome.REFUSED, "no"),
    ]
    held = (HeldStep(JOIN, "somebody has to agree to it"), HeldStep(DOMAIN, "too"))
    waiting = (HeldStep(ADD_POOL, "it comes after AddDomain"),)
    verdict = pass_verdict(SEEN, decided(held=held, waiting=waiting), taken)
    assert verdict.sentence == (
        "2 steps done; 1 step under way (the engine is being made); 1 step to follow; 1 step refused (no); "
        "2 steps held back (somebody has to agree to it)."
    )
    assert not verdict.healthy
    assert verdict.held == held


@pytest.mark.parametrize("state", [NodeState.SILENT, NodeState.GONE])
def test_a_node_that_does_not_report_is_trouble(state: NodeState) -> None:
    verdict = pass_verdict(Observation((Node("n1", "10.0.0.1", state),), ENGINE), decided(), [])
    assert verdict.sentence == f"Node n1 is {state}."
    assert not verdict.healthy


@pytest.mark.parametrize(
    ("engine", "sentence"),
    [
        (replace(ENGINE, pools=(SeenPool("p", POOL, degraded_bytes=1),)), DEGRADED),
        (replace(ENGINE, pools=(SeenPool("p", POOL, failed_bytes=1),)), DEGRADED),
        (replace(ENGINE, pools=(SeenPool("p", POOL, 100, 88, spare_percentage=10),)), FULL),
        (replace(ENGINE, pools=(SeenPool("p", POOL, 100, is_full=True),)), FULL),
        (
            replace(ENGINE, devices=(SeenDevice("1", "d", "n1.default", "/dev/sdb", POOL, 1, failed=True),)),
            "Device /dev/sdb of n1.default has failed.",
        ),
        (
            replace(ENGINE, devices=(SeenDevice("1", "d", "n1.default", "/dev/sdb", POOL, 1, away=True),)),
            "Device /dev/sdb of n1.default is away.",
        ),
        (replace(ENGINE, servers=(AWAY,)), "Server n1.default is away."),
        (
            replace(ENGINE, managers=(SeenManager("mdm-n1", "10.0.0.1", ManagerRole.MANAGER, False, False),)),
            "Manager mdm-n1 is away.",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_engine_is_trouble(engine: EngineSeen, sentence: str) -> None:
    verdict = pass_verdict(replace(SEEN, engine=engine), decided(), [])
    assert verdict.sentence == sentence
    assert not verdict.healthy


def test_a_server_in_maintenance_may_be_away() -> None:
    engine = replace(ENGINE, servers=(replace(AWAY, in_maintenance=True),))
    assert pass_verdict(replace(SEEN, engine=engine), decided(), []).healthy


def test_of_a_node_that_does_not_report_it_is_not_said_that_its_server_is_away() -> None:
    node, engine = Node("n1", "10.0.0.1", NodeState.SILENT), replace(ENGINE, servers=(AWAY,))
    assert pass_verdict(Observation((node,), engine), decided(), []).sentence == "Node n1 is silent."


def test_data_that_moves_is_no_trouble() -> None:
    moving = replace(ENGINE, pools=(SeenPool("p", POOL, moving_bytes=1),))
    assert pass_verdict(replace(SEEN, engine=moving), decided(), []).healthy
