"""Assignments are made once for each state, and are always those of the state that was asked for."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from artesian.model.observation import SeenAttachment
from artesian.model.report import AgentReport
from artesian.model.state import EngineIdentity, FrameworkState, NodeRecord
from artesian.planner.assigning import assignment_of, generation_of
from artesian.scheduler.assignments import Assignments
from artesian.scheduler.reports import Reports

ENGINE = EngineIdentity("embedded", "feed", "test")


def test_the_same_state_assigns_the_same_object() -> None:
    state, assignments = FrameworkState(engine=ENGINE), Assignments()
    assert assignments.of(state, "n1", "10.0.0.1") is assignments.of(state, "n1", "10.0.0.1")


def test_whatever_is_asked_in_between_each_state_and_address_has_its_own() -> None:
    first = FrameworkState(engine=ENGINE)
    second = replace(first, nodes=MappingProxyType({"n1": NodeRecord(domains=("default",))}))
    assignments = Assignments()
    for state in (first, second, first):
        for node, address in (("n1", "10.0.0.1"), ("n1", "10.0.0.9"), ("n2", "10.0.0.2")):
            wanted = assignment_of(state, node, address)
            assert assignments.of(state, node, address) == (generation_of(wanted), wanted)


def test_a_report_that_says_nothing_new_leaves_the_older_one_in_place() -> None:
    reports = Reports(lambda: 0.0)
    first = AgentReport("n1", problems=("a",))
    assert reports.hear(first)
    assert not reports.hear(AgentReport("n1", problems=("a",)))
    assert reports.all()["n1"].report is first
    assert reports.hear(AgentReport("n1", problems=("b",)))
    assert reports.all()["n1"].report.problems == ("b",)


def test_how_full_a_file_system_is_hurries_nobody() -> None:
    reports = Reports(lambda: 0.0)
    filled = SeenAttachment("v1", "n1", "/dev/loop0", "/data", used_bytes=1, total_bytes=9)
    reports.hear(AgentReport("n1", attachments=(filled,)))
    fuller = AgentReport("n1", attachments=(replace(filled, used_bytes=8),))
    assert not reports.hear(fuller)
    assert reports.all()["n1"].report == fuller
    assert reports.hear(AgentReport("n1", attachments=(replace(filled, used_bytes=9, mounted_at=None),)))
