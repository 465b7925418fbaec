"""Agents of another version are renewed one node at a time, and only for that."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from artesian.clusters.mesos.infos import AgentProgram, executor_info
from artesian.clusters.mesos.matching import NodeWant, Situation, Status, decide, waiting_for_offers
from artesian.clusters.mesos.offers import Reserver
from artesian.clusters.mesos.records import NodeRecord
from artesian.clusters.mesos.renewing import is_outdated, to_renew
from artesian.model.mesos_agent import AGENT_ROLE
from artesian.model.resources import Resources
from artesian.model.standing import NodeStanding

OLD = AgentProgram("http://s:1/v1/agent", "a" * 64, "3.11", "/usr/bin/python3", "/var/lib/artesian")
NEW = replace(OLD, sha256="b" * 64)
RESERVER = Reserver("f", "role", "label")
WANT = NodeWant(
    MappingProxyType({AGENT_ROLE: Resources(0.1, 1 << 27), "server": Resources(0.1, 1 << 27)}), {}
)
WELL, QUIET = NodeStanding(True, False, "", heard_s=50.0), NodeStanding(False, False, "", heard_s=10.0)
AWAY = NodeStanding(False, True, "")
NAMES = ("n1", "n2", "n3")


def record(node: str, program: AgentProgram = OLD) -> NodeRecord:
    tasks = {AGENT_ROLE: f"artesian.{node}.agent.1", "server": f"artesian.{node}.server.1"}
    executor = executor_info(node, program, RESERVER)
    return NodeRecord(node, f"id-{node}", "10.0.0.1", tasks=MappingProxyType(tasks), executor=executor)


@pytest.fixture
def situation() -> Situation:
    """Three nodes with old agents that are all well; the scheduler is a new one."""
    records = {name: record(name) for name in NAMES}
    running = {task: Status("TASK_RUNNING") for one in records.values() for task in one.tasks.values()}
    return Situation(
        RESERVER, NEW, 100.0, dict.fromkeys(NAMES, WANT), records=records, statuses=running,
        standings=dict.fromkeys(NAMES, WELL),
    )  # fmt: skip


def having(situation: Situation, node: str, standing: NodeStanding) -> Situation:
    return replace(situation, standings={**situation.standings, node: standing})


def being(situation: Situation, node: str, state: str, at_s: float = 0.0) -> Situation:
    """The node's agent is in this state."""
    statuses = {**situation.statuses, f"artesian.{node}.agent.1": Status(state, at_s=at_s)}
    return replace(situation, statuses=statuses)


def renewed(situation: Situation, node: str) -> Situation:
    records = {**situation.records, node: record(node, NEW)}
    return replace(situation, records=records)


def test_the_first_is_ended_and_no_other(situation: Situation) -> None:
    assert to_renew(situation) == "n1"
    asked = decide(situation)
    assert asked.killed == ("artesian.n1.agent.1",)
    ((kind, body),) = asked.calls
    assert kind == "KILL" and body is not None
    assert body["kill_policy"] == {"grace_period": {"nanoseconds": 0}}  # its volumes stay attached


def test_the_next_waits_until_the_first_reports_again(situation: Situation) -> None:
    ended = being(situation, "n1", "TASK_KILLED")
    assert to_renew(ended) is None
    starting = having(being(renewed(ended, "n1"), "n1", "TASK_STAGING"), "n1", QUIET)
    assert to_renew(starting) is None
    running = being(starting, "n1", "TASK_RUNNING", at_s=60.0)
    assert to_renew(running) is None
    assert to_renew(having(running, "n1", WELL)) is None  # the one before it has said that
    assert to_renew(having(running, "n1", replace(WELL, heard_s=61.0))) == "n2"


def test_when_all_are_renewed_nothing_is_left_to_do(situation: Situation) -> None:
    for name in NAMES:
        situation = renewed(situation, name)
    assert to_renew(situation) is None
    assert decide(situation).calls == ()


def test_another_address_of_the_scheduler_renews_nobody(situation: Situation) -> None:
    elsewhere = replace(OLD, url="http://t:2/v1/agent", python="/opt/python3", folder="/srv", user="storage")
    assert to_renew(replace(situation, program=elsewhere)) is None
    assert is_outdated(record("n1"), NEW) and not is_outdated(record("n1"), elsewhere)


def test_nobody_is_renewed_before_anything_is_known(situation: Situation) -> None:
    assert to_renew(replace(situation, standings={})) is None


def test_an_old_agent_that_does_not_report_is_renewed_last(situation: Situation) -> None:
    """It keeps nobody from being renewed: that may well mend it."""
    quiet = having(situation, "n1", QUIET)
    assert to_renew(quiet) == "n2"
    assert to_renew(renewed(renewed(quiet, "n2"), "n3")) == "n1"


@pytest.mark.parametrize("how", ["away", "drained", "stopping", "unreachable"])
def test_nodes_that_cannot_be_renewed_are_not_waited_for(situation: Situation, how: str) -> None:
    changed = {
        "away": having(situation, "n1", AWAY),
        "drained": replace(situation, drained=frozenset({"n1"})),
        "stopping": replace(situation, stopping=frozenset({"n1"})),
        "unreachable": being(situation, "n1", "TASK_UNREACHABLE"),
    }[how]
    assert to_renew(changed) == "n2"


def test_nothing_is_begun_or_wanted_for_a_node_that_is_drained(situation: Situation) -> None:
    ended = replace(situation, statuses=dict.fromkeys(situation.statuses, Status("TASK_KILLED")))
    assert waiting_for_offers(ended)
    assert not waiting_for_offers(replace(ended, drained=frozenset(NAMES)))
