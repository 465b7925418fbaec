"""Drills over the API: what is refused, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType

import pytest
from fastapi.testclient import TestClient

from artesian.api.application import make_application
from artesian.model.drill import DrillKind, DrillState
from artesian.model.report import AgentReport
from artesian.scheduler.loop import Scheduler
from tests.api.test_api import Access, explained
from tests.drill.cases import a_drill, engine
from tests.scheduler.cases import FakeSubstrate, MemoryStore, disk

KINDS = {str(kind) for kind in DrillKind}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Access]:
    scheduler = Scheduler(MemoryStore(), FakeSubstrate("n1", "n2"), tmp_path, "http://127.0.0.1:9")
    with TestClient(make_application(scheduler), raise_server_exceptions=False) as client:
        made = Access(scheduler, client)
        for node in ("n1", "n2"):
            assert made.report(node, disks=(disk(node, "sdb"),)).status_code == 204
        scheduler.verdict = scheduler.one_pass()
        yield made


def remember(api: Access, state: DrillState) -> None:
    drill = replace(a_drill(), state=state, node="n1", writer_node="n2", times={})
    api.scheduler.memory.change(lambda before: replace(before, drills=MappingProxyType({drill.id: drill})))


def test_a_cluster_without_an_engine_can_do_none_and_says_why(api: Access) -> None:
    document = api.ask("GET", "/v1/drills").json()
    assert {one["name"] for one in document["kinds"]} == KINDS
    assert all("no engine" in one["not_possible"] for one in document["kinds"])
    assert document["refused"] and document["drills"] == []


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_drill_is_refused_while_something_is_wrong(api: Access, dry_run: bool) -> None:
    body = {"kind": "kill-server", "dry_run": dry_run}
    said = api.problem(409, "conflict", "POST", "/v1/drills", body)
    assert "no drill while something is wrong" in said
    assert not api.scheduler.memory.state.drills


@pytest.mark.parametrize("body", [{}, {"kind": "explode"}, {"kind": "kill-server", "force": True}])
def test_what_makes_no_sense_is_malformed(api: Access, body: dict[str, object]) -> None:
    api.problem(400, "malformed", "POST", "/v1/drills", body)


def test_times_have_bounds(api: Access) -> None:
    body = {"kind": "kill-server", "hold_s": 1e6}
    assert "held for" in api.problem(422, "not-possible", "POST", "/v1/drills", body)


def test_a_drill_is_found_by_the_beginning_of_its_id(api: Access) -> None:
    assert "no drill yet" in api.problem(404, "not-there", "GET", "/v1/drills/last")
    remember(api, DrillState.PASSED)
    for name in ("last", "d1", "d"):
        document = api.ask("GET", f"/v1/drills/{name}").json()
        assert (document["id"], document["state"], document["open"]) == ("d1", "passed", False)
    assert "there are d1" in api.problem(404, "not-there", "GET", "/v1/drills/x")


def test_the_one_under_way_is_ended(api: Access) -> None:
    assert "no drill is under way" in api.problem(409, "conflict", "POST", "/v1/drills/abort", {})
    remember(api, DrillState.WATCHING)
    assert api.agent("n1", "GET", "assignment").json()["assignment"]["faults"] == []  # there is no engine
    assert api.ask("POST", "/v1/drills/abort", {"who": "me"}).json() == {"id": "d1"}
    drill = api.scheduler.memory.state.drills["d1"]
    assert (drill.state, drill.ending) == (DrillState.UNDOING, DrillState.ABORTED)
    assert "me ends kill-server" in api.ask("GET", "/v1/events").json()[-1]["because"]
    assert "undone already" in api.problem(409, "conflict", "POST", "/v1/drills/abort", {})


def test_users_need_the_token(api: Access) -> None:
    explained(api.ask("GET", "/v1/drills", token="wrong"), 401, "unauthorized")
    explained(api.ask("POST", "/v1/drills/abort", {}, token="wrong"), 401, "unauthorized")


def test_what_agents_say_of_drills_is_kept(api: Access) -> None:
    document = asdict(AgentReport("n1"))
    document |= {
        "faults": [{"id": "d1"}],
        "drill_writer": {"drill": "d1", "running": True, "acknowledged": 7},
    }
    assert api.agent("n1", "PUT", "report", document).status_code == 204
    told = api.scheduler.reports.all()["n1"].report
    assert told.faults[0].id == "d1" and told.drill_writer is not None
    assert told.drill_writer.acknowledged == 7
    del document["faults"], document["drill_writer"]  # as an agent of before
    assert api.agent("n1", "PUT", "report", document).status_code == 204


def test_the_cases_are_as_an_engine_is_seen() -> None:
    assert engine().pools[0].is_settled
