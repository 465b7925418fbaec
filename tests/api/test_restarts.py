"""Rolling restarts over the API, and where they are shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.cli.cluster.tables import status_lines
from artesian.model.engine import EngineSeen, ManagerPlace, SeenManager
from artesian.model.observation import SeenProcess
from artesian.model.restart import RestartPart, RestartState
from artesian.model.state import EngineIdentity
from artesian.model.topology import ManagerRole
from artesian.planner.planning import decide
from artesian.scheduler.restarting import PATIENCE_S, RestartWatch
from artesian.scheduler.verdict import pass_verdict
from tests.api.test_api import Access, api, fresh, scheduler

__all__ = ["api", "fresh", "scheduler"]  # fixtures

NODES = ("n1", "n2", "n3")


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def look(access: Access) -> None:
    """An engine with three managers, two of whose nodes report."""
    assert access.scheduler.verdict is not None
    places = tuple(
        ManagerPlace(name, f"10.0.0.{at}", ManagerRole.TIEBREAKER) for at, name in enumerate(NODES, 1)
    )
    managers = tuple(SeenManager(one.node, one.address, one.role, True, False) for one in places)
    seen = replace(
        access.scheduler.verdict.seen,
        engine=EngineSeen("abc", managers),
        unheard=frozenset(),
        behind=frozenset(),
        processes={"n1": (process(0),), "n2": (process(0),), "n3": (process(0),)},
    )
    decision = decide(access.scheduler.spec, seen, access.scheduler.memory.state)
    access.scheduler.verdict = pass_verdict(seen, decision, [])


def process(number: int) -> SeenProcess:
    return SeenProcess("mdm", True, 17, RestartPart.MANAGERS, number)


@pytest.fixture
def engine(api: Access) -> Access:
    places = tuple(
        ManagerPlace(name, f"10.0.0.{at}", ManagerRole.TIEBREAKER) for at, name in enumerate(NODES, 1)
    )
    api.scheduler.memory.change(
        lambda state: replace(
            state,
            engine=EngineIdentity("embedded", "abc", "artesian", places),
            engine_seen_once=True,
            nodes={name: replace(state.node(name), joined=True) for name in NODES},
        )
    )
    look(api)
    return api


def test_it_is_asked_for_shown_cancelled_and_gone_on_with(engine: Access) -> None:
    assert engine.ask("GET", "/v1/restart").json() is None
    assert engine.ask("GET", "/v1/status").json()["restart"] is None
    begun = engine.ask("POST", "/v1/restart", {"who": "ann"}).json()
    assert (begun["state"], [one["name"] for one in begun["nodes"]]) == ("going", list(NODES))
    look(engine)
    status = engine.ask("GET", "/v1/status").json()
    assert any(
        "restart: 0 of 3 nodes restarted, n1 (managers) is next" in one for one in status_lines(status)
    )
    assert engine.ask("POST", "/v1/restart/cancel", {"who": "bob"}).json()["state"] == "cancelled"
    assert engine.ask("GET", "/v1/status").json()["restart"] is None
    assert engine.ask("POST", "/v1/restart/resume", {}).json()["number"] == begun["number"]
    told = [(one["kind"], one["because"]) for one in engine.ask("GET", "/v1/events").json()]
    assert told == [
        ("restart", "ann has asked for a restart of all nodes"),
        ("restart cancelled", "bob has asked for it"),
        ("restart resumed", "somebody has asked for it"),
    ]


def test_a_dry_run_is_the_plan_and_changes_nothing(engine: Access) -> None:
    plan = engine.ask("POST", "/v1/restart", {"nodes": ["n2"], "dry_run": True}).json()
    (step,) = [one for one in plan["steps"] if one["change"] == "RestartProcesses"]
    assert step["arguments"]["node"] == "n2" and "mdm of node n2 was started before" in step["because"]
    assert engine.scheduler.memory.state.restart is None
    assert engine.ask("GET", "/v1/events").json() == []


def test_what_is_not_possible_is_refused(engine: Access) -> None:
    engine.problem(404, "not-there", "POST", "/v1/restart", {"nodes": ["n9"]})
    engine.problem(409, "conflict", "POST", "/v1/restart/cancel", {})
    engine.problem(409, "conflict", "POST", "/v1/restart/resume", {})
    engine.problem(400, "malformed", "POST", "/v1/restart", {"nodes": "n1"})
    engine.ask("POST", "/v1/restart", {})
    assert "goes on already" in engine.problem(409, "conflict", "POST", "/v1/restart", {})


def test_before_there_is_an_engine_nothing_can_be_restarted(api: Access) -> None:
    assert "no engine yet" in api.problem(422, "not-possible", "POST", "/v1/restart", {})


def test_whoever_does_not_come_back_ends_it_in_the_end(engine: Access) -> None:
    engine.ask("POST", "/v1/restart", {})
    memory, clock = engine.scheduler.memory, Clock()
    restart = memory.state.restart
    assert restart is not None
    memory.change(lambda state: state.with_node("n1", managers_since=restart.number))
    look(engine)
    assert engine.scheduler.verdict is not None
    seen = engine.scheduler.verdict.seen
    watch = RestartWatch(memory, clock)
    for clock.now_s in (0.0, PATIENCE_S - 1):
        watch.look(seen)
        assert memory.state.restart == restart
    clock.now_s = PATIENCE_S + 1
    watch.look(seen)
    assert memory.state.restart is not None and memory.state.restart.state is RestartState.STOPPED
    look(engine)
    (line,) = [one for one in status_lines(engine.ask("GET", "/v1/status").json()) if "restart" in one]
    assert "stopped with 0 of 3 nodes restarted: the managers of node n1 have not come back" in line
    assert engine.ask("GET", "/v1/events").json()[-1]["kind"] == "restart stopped"


def test_nobody_is_late_who_may_not_act(engine: Access) -> None:
    engine.ask("POST", "/v1/restart", {})
    memory, clock = engine.scheduler.memory, Clock()
    restart = memory.state.restart
    assert restart is not None
    memory.change(lambda state: replace(state.with_node("n1", managers_since=restart.number), paused=True))
    look(engine)
    assert engine.scheduler.verdict is not None
    watch = RestartWatch(memory, clock)
    for clock.now_s in (0.0, PATIENCE_S + 1):
        watch.look(engine.scheduler.verdict.seen)
    assert memory.state.restart == restart
