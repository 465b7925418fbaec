"""What is seen at one moment, however long that takes."""

from __future__ import annotations

from collections.abc import Callable

from artesian.engines.port import EngineUnreachable
from artesian.model.changes import EngineChange
from artesian.model.engine import EngineSeen
from artesian.model.node import NodeState
from artesian.model.report import AgentReport
from artesian.scheduler.observing import observe
from artesian.scheduler.reports import Reports
from tests.scheduler.cases import FakeSubstrate


class HangingEngine:
    """Answers only after something has happened, or not at all."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self.meanwhile = meanwhile

    def observe(self) -> EngineSeen:
        self.meanwhile()
        raise EngineUnreachable("it hangs")

    def carry_out(self, change: EngineChange) -> None:
        raise EngineUnreachable("it hangs")

    def close(self) -> None:
        pass


def test_what_is_heard_while_the_engine_hangs_counts() -> None:
    now_s = 100.0
    reports = Reports(lambda: now_s)
    reports.hear(AgentReport("n1", generation="old"))
    reports.hear(AgentReport("n2", generation="old"))

    def meanwhile() -> None:
        nonlocal now_s
        now_s += 30.0
        reports.hear(AgentReport("n1", generation="new"))
        reports.hear(AgentReport("n3", generation="new"))

    nodes = FakeSubstrate("n1", "n2", "n3").nodes()
    seen = observe(nodes, reports, HangingEngine(meanwhile), lambda _: "new")
    states = {node.name: node.state for node in seen.nodes}
    assert states == {"n1": NodeState.ALIVE, "n2": NodeState.SILENT, "n3": NodeState.ALIVE}
    assert (seen.engine, seen.engine_problem) == (None, "it hangs")
    assert seen.unheard == frozenset()
    assert seen.behind == {"n2"}
