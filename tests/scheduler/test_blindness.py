"""While the substrate does not answer, people are told so, and nothing is done."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from artesian.api.remedy_views import why_view
from artesian.api.views import status_view
from artesian.clusters.port import SubstrateNode, SubstrateUnusable
from artesian.model.node import NodeState
from artesian.model.observation import Observation
from artesian.model.report import AgentReport
from artesian.model.spec import Spec, Taking
from artesian.planner.planning import decide
from artesian.scheduler.blindness import Blindness, blind_verdict, still
from artesian.scheduler.loop import Scheduler
from tests.planner.situations import World, nodes
from tests.scheduler.cases import FakeSubstrate, MemoryStore, disk

AWAY = "the Mesos master at http://m:5050 cannot be reached: refused"


class Blinking(FakeSubstrate):
    """A substrate that answers, or does not."""

    away = ""

    def nodes(self) -> tuple[SubstrateNode, ...]:
        if self.away:
            raise SubstrateUnusable(self.away)
        return super().nodes()


@pytest.fixture
def substrate() -> Blinking:
    return Blinking("n1", "n2", "n3")


@pytest.fixture
def scheduler(substrate: Blinking, tmp_path: Path) -> Scheduler:
    made = Scheduler(MemoryStore(), substrate, tmp_path, "http://127.0.0.1:9")
    for name in ("n1", "n2", "n3"):
        made.hear(AgentReport(name, "", "", (disk(name, "sdb"),)))
    return made


def test_since_when_and_why_is_said(scheduler: Scheduler, substrate: Blinking) -> None:
    scheduler.one_pass()
    substrate.away = AWAY
    before = time.time()
    verdict = scheduler.one_pass()
    assert verdict.sentence.startswith("Since ") and f"as {AWAY};" in verdict.sentence
    assert "everything goes on as it is" in verdict.sentence
    assert not verdict.healthy
    assert scheduler.blindness is not None and scheduler.blindness.since_s >= before


def test_it_goes_on_being_since_then(scheduler: Scheduler, substrate: Blinking) -> None:
    scheduler.one_pass()
    substrate.away = AWAY
    first = scheduler.one_pass()
    assert scheduler.one_pass().sentence == first.sentence
    told = [event.kind for event in scheduler.memory.last_events(100)]
    assert told.count("unseen") == 1
    substrate.away = ""
    assert "Since" not in scheduler.one_pass().sentence
    assert scheduler.blindness is None
    assert [event.kind for event in scheduler.memory.last_events(100)][-1] == "seen again"


def test_nothing_is_done_meanwhile(scheduler: Scheduler, substrate: Blinking) -> None:
    scheduler.one_pass()
    state, credentials = scheduler.memory.state, dict(substrate.credentials)
    substrate.away = AWAY
    verdict = scheduler.one_pass()
    assert verdict.taken == () and verdict.decision.guarded.ready == ()
    assert verdict.decision.plan.steps  # there would be something to do
    assert scheduler.memory.state == state and substrate.credentials == credentials


def test_what_agents_say_is_seen_meanwhile(scheduler: Scheduler, substrate: Blinking) -> None:
    scheduler.one_pass()
    substrate.away = AWAY
    scheduler.hear(AgentReport("n2", "", "", (disk("n2", "sdb"), disk("n2", "sdc"))))
    seen = scheduler.one_pass().seen
    node = seen.node("n2")
    assert node is not None and len(node.disks) == 2 and node.state is NodeState.ALIVE


def test_status_and_why_tell_of_it(scheduler: Scheduler, substrate: Blinking) -> None:
    verdict = scheduler.one_pass()
    assert status_view(scheduler, verdict)["substrate"] == {"answers": True, "since_s": None, "because": ""}
    substrate.away = AWAY
    verdict = scheduler.one_pass()
    shown = status_view(scheduler, verdict)
    assert not shown["healthy"] and AWAY in shown["verdict"]
    assert (shown["substrate"]["answers"], shown["substrate"]["because"]) == (False, AWAY)
    reason = why_view(scheduler, verdict, "n1")["reasons"][0]
    assert reason["from"] == "nodes" and AWAY in reason["because"]


def test_a_substrate_that_never_answered_gives_no_verdict(scheduler: Scheduler, substrate: Blinking) -> None:
    substrate.away = AWAY
    with pytest.raises(SubstrateUnusable):
        scheduler.one_pass()


def test_what_could_be_done_now_is_held() -> None:
    world = World(nodes(3), Spec(new_disks=Taking.TAKE, new_nodes=Taking.TAKE))
    decision = world.decide()
    assert decision.guarded.ready
    verdict = blind_verdict(world.observation, decision, Blindness(0.0, AWAY))
    assert verdict.decision.guarded.ready == ()
    assert {one.step.id for one in verdict.held} >= {one.id for one in decision.guarded.ready}
    assert "1970-01-01 00:00:00 UTC" in verdict.sentence


def test_a_clock_that_was_set_back_does_not_shorten_it() -> None:
    assert still(Blindness(100.0, "x"), "y", 200.0) == Blindness(100.0, "y")
    assert still(Blindness(100.0, "x"), "y", 50.0) == Blindness(50.0, "y")


def test_an_empty_cluster_is_blind_too() -> None:
    empty = Observation()
    decision = decide(Spec(), empty, World(()).state)
    assert not blind_verdict(empty, decision, Blindness(0.0, AWAY)).healthy
