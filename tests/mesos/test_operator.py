"""The operator API of masters that redirect, refuse, and are none."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artesian.mesos.access import MesosAccess
from artesian.mesos.errors import MasterUnreachable, NotAllowed, NotMesos, Refused
from artesian.mesos.operator import Operator
from tests.mesos.standin import Answer, Handler, StandIn, stream, text

_PATH = "/api/v1"
_AGENTS = text(200, json.dumps({"type": "GET_AGENTS", "get_agents": {"agents": [{"active": True}]}}))


@pytest.fixture
def master() -> Iterator[StandIn]:
    with StandIn() as master:
        yield master


def _operator(master: StandIn) -> Operator:
    return Operator(MesosAccess(master.address))


def test_agents_are_those_that_the_master_lists(master: StandIn) -> None:
    master.on(_PATH, _AGENTS, text(200, '{"get_agents": {}}'))
    operator = _operator(master)
    assert operator.agents() == [{"active": True}]
    assert operator.agents() == []
    assert master.bodies(_PATH)[0] == {"type": "GET_AGENTS"}
    operator.close()


def test_a_call_that_is_answered_with_nothing(master: StandIn) -> None:
    master.on(_PATH, text(202, ""))
    _operator(master).mark_agent_gone("a1")
    expected = {"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": {"value": "a1"}}}
    assert master.bodies(_PATH) == [expected]


def test_the_leader_is_remembered_until_it_fails(master: StandIn) -> None:
    with StandIn() as leader:
        leader.on(_PATH, _AGENTS, _AGENTS, text(503, "Master has not finished recovery"))
        master.on(_PATH, text(307, "", Location=f"//{leader.address}/api/v1"), _AGENTS)
        operator = _operator(master)
        operator.agents()
        operator.agents()
        assert (len(master.requests), len(leader.requests)) == (1, 2)
        with pytest.raises(MasterUnreachable, match="has not finished recovery"):
            operator.agents()
        operator.agents()
        assert (len(master.requests), len(leader.requests)) == (2, 3)


def test_of_several_masters_the_next_is_asked_next(master: StandIn) -> None:
    master.on(_PATH, _AGENTS)
    operator = Operator(MesosAccess(f"127.0.0.1:9,{master.address}"))
    with pytest.raises(MasterUnreachable, match=r"127\.0\.0\.1:9"):
        operator.agents()
    assert operator.agents() == [{"active": True}]


def test_masters_that_name_each_other_are_given_up(master: StandIn) -> None:
    master.on(_PATH, text(307, "", Location=f"//{master.address}/api/v1"))
    with pytest.raises(MasterUnreachable, match="each names another"):
        _operator(master).agents()


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (text(401, ""), NotAllowed, "principal and secret"),
        (text(403, ""), Refused, "status 403"),
        (text(400, "No agent\nfound"), Refused, "No agent found"),
        (text(400, "x" * 10_000), Refused, "…"),
        (text(500, ""), MasterUnreachable, "status 500"),
        (text(404, "<html>"), NotMesos, "status 404"),
        (text(200, "<html>"), NotMesos, "not answer in JSON"),
        (text(200, "[]"), NotMesos, "not answer in JSON"),
        (text(200, "{}"), NotMesos, "answers GET_AGENTS as no Mesos master does"),
        (text(307, "", Location="/login"), NotMesos, "redirects to"),
        (stream(then="break"), MasterUnreachable, "cannot be reached"),
    ],
)
def test_an_answer_that_is_none_says_what_is_wrong(
    master: StandIn, answer: Answer, error: type[Exception], says: str
) -> None:
    master.on(_PATH, answer)
    with pytest.raises(error) as raised:
        _operator(master).agents()
    assert says in str(raised.value)
    assert len(str(raised.value)) < 1000


def test_a_master_that_is_away() -> None:
    with pytest.raises(MasterUnreachable, match=r"http://127.0.0.1:9 cannot be reached"):
        Operator(MesosAccess("127.0.0.1:9")).version()


@pytest.mark.parametrize(
    ("version", "fits"), [("1.11.0", True), ("1.9.0-rc1", True), ("2.0.0", True), ("1.8.9", False)]
)
def test_a_mesos_that_is_too_old_is_none(master: StandIn, version: str, fits: bool) -> None:
    master.on(_PATH, text(200, json.dumps({"get_version": {"version_info": {"version": version}}})))
    if fits:
        assert _operator(master).version() == version
    else:
        with pytest.raises(NotMesos, match=r"has version 1.8.9; 1.9 or newer is needed"):
            _operator(master).version()


def test_credentials_are_shown_to_the_master_alone(master: StandIn) -> None:
    headers: list[Any] = []

    def answer(handler: Handler) -> None:
        headers.append(handler.headers["Authorization"])
        _AGENTS(handler)

    access = MesosAccess(master.address, "me", "s3cret")
    master.on(_PATH, answer)
    Operator(access).agents()
    assert headers == ["Basic " + base64.b64encode(b"me:s3cret").decode()]
    assert "s3cret" not in repr(access)


def test_an_authority_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    access = MesosAccess("h1:5050", ca_file=tmp_path / "ca.pem")
    with pytest.raises(NotAllowed, match=r"ca\.pem"):
        Operator(access).agents()
