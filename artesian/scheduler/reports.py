"""What agents have said last, and when."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from artesian.model.report import AgentReport

SILENT_AFTER_S = 12.0  # three heartbeats


@dataclass(frozen=True, slots=True)
class Heard:
    """A report and when it came (the scheduler's own clock)."""

    report: AgentReport
    at_s: float


def _without_fill(report: AgentReport) -> AgentReport:
    attachments = (replace(one, used_bytes=None, total_bytes=None) for one in report.attachments)
    return replace(report, attachments=tuple(attachments))


class Reports:
    """The newest report of each node. Only what was heard by this scheduler counts: nothing is kept."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._heard: dict[str, Heard] = {}

    def hear(self, report: AgentReport) -> bool:
        """Take a report; whether it says something new. How full file systems are can wait for the next
        pass."""
        with self._lock:
            before = self._heard.get(report.node)
            if before is not None and before.report == report:
                report = before.report  # what stays the same object is soon compared
            self._heard[report.node] = Heard(report, self._clock())
        silent = before is not None and self._clock() - before.at_s > SILENT_AFTER_S
        if before is None or silent:
            return True
        return before.report is not report and _without_fill(before.report) != _without_fill(report)

    def all(self) -> dict[str, Heard]:
        """By node."""
        with self._lock:
            return dict(self._heard)

    def is_silent(self, heard: Heard) -> bool:
        """Whether nothing was heard since for too long."""
        return self._clock() - heard.at_s > SILENT_AFTER_S
