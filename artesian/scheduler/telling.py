"""Whom remedies concern hears of them: once each time, whoever was killed, and not only when they ask."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from artesian.model.event import Event
from artesian.model.remedy import Remedy, RemedyState
from artesian.model.rule import RemedyKind
from artesian.model.spec import Spec
from artesian.remedy.holding import is_quiet
from artesian.scheduler.memory import Memory
from artesian.scheduler.notifying import Notifier, is_for_somebody, meant

HELD_LONG_S = 900.0  # a remedy that may act by itself and does not: somebody should know
FAILED_LATELY_S = 600.0  # before the scheduler was started


class Teller:
    """Tells of remedies as they are stored. What was stored and not told before a crash is told after it."""

    def __init__(
        self, memory: Memory, clock: Callable[[], float] = time.time, notifier: Notifier | None = None
    ) -> None:
        self._memory = memory
        self._clock = clock
        self._notifier = notifier or Notifier()
        self._caught_up = False
        self._told_of_waiting: set[str] = set()

    def close(self) -> None:
        """Wait for nobody."""
        self._notifier.close()

    def tell(self, spec: Spec, events: Iterable[Event]) -> None:
        """What has become of remedies in a pass: of each the last of these events, as it is now."""
        for event in {event.subject: event for event in events}.values():
            remedy = self._memory.state.remedies.get(event.subject)
            if remedy is not None and is_for_somebody(remedy):
                self._tell(spec, remedy, event.because)

    def catch_up(self, spec: Spec) -> None:
        """Before the first pass: nobody knows what the scheduler before this one still had to tell."""
        if self._caught_up:
            return
        self._caught_up = True
        for _, remedy in sorted(self._memory.state.remedies.items()):
            if self._may_be_untold(remedy):
                because = f"{remedy.kind} of {remedy.shown} is {remedy.state}: {remedy.because}"
                self._tell(spec, remedy, because)

    def _may_be_untold(self, remedy: Remedy) -> bool:
        if not is_for_somebody(remedy) or (remedy.state is RemedyState.ASKING and remedy.approved_by):
            return False
        return remedy.state is not RemedyState.FAILED or self._clock() - remedy.changed_s < FAILED_LATELY_S

    def tell_of_waiting(self, spec: Spec) -> None:
        """Of remedies that may begin and have not for long: what holds them back may never end by itself."""
        for key, remedy in sorted(self._memory.state.remedies.items()):
            if remedy.state is not RemedyState.HELD or key in self._told_of_waiting:
                continue
            rule = next((one for one in spec.rules if one.name == remedy.rule), None)
            if remedy.kind is RemedyKind.NOTIFY or is_quiet(rule, self._clock()):
                continue
            if self._clock() - remedy.changed_s > HELD_LONG_S:
                self._told_of_waiting.add(key)
                because = f"{remedy.kind} of {remedy.shown} still waits ({remedy.detail}): {remedy.because}"
                self._tell(spec, remedy, because)

    def _tell(self, spec: Spec, remedy: Remedy, because: str) -> None:
        self._notifier.tell(spec.notify, remedy, because, *meant(remedy, spec, self._memory.state))
