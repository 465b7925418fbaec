"""What became of tasks that nobody has spoken of: when to ask about which, and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from artesian.mesos import calls
from artesian.mesos.calls import Call

_AGAIN_S = (1.0, 2.0, 5.0, 10.0, 30.0)  # an agent that has not come back to a new master is not spoken of
_ALL_AGAIN_S = 300.0
_QUIET_S = 1.0  # after the last answer


class Reconciliation:
    """All times on one clock. Mesos' answers are many at once: they are counted."""

    def __init__(self) -> None:
        self._unanswered: dict[str, str | None] = {}  # tasks that were asked about: id → agent's
        self._next_question_s, self._questions = 0.0, 0
        self._answered: set[str] = set()
        self._answered_s = 0.0

    def begin(self, tasks: Mapping[str, str | None]) -> None:
        """Each of these is asked about until something is said of it: id → its agent's, if known."""
        self._unanswered = dict(tasks)
        self._next_question_s, self._questions = 0.0, 0

    def heard(self, task_id: str) -> None:
        """Something was said of a task, for whatever reason."""
        self._unanswered.pop(task_id, None)

    def answered(self, task_id: str, now_s: float) -> None:
        """That was because we have asked."""
        self._answered.add(task_id)
        self._answered_s = now_s

    def questions(self, now_s: float) -> list[Call]:
        """What to ask now, as a rule nothing; it counts as asked then."""
        if now_s < self._next_question_s:
            return []
        asked = []
        if self._questions == 0 or not self._unanswered:
            asked.append(calls.reconcile([]))
        if self._unanswered:
            asked.append(calls.reconcile(sorted(self._unanswered.items())))
            wait_s = _AGAIN_S[min(self._questions, len(_AGAIN_S) - 1)]
        else:
            wait_s = _ALL_AGAIN_S
        self._questions += 1
        self._next_question_s = now_s + wait_s
        return asked

    def outcome(self, now_s: float) -> tuple[int, int] | None:
        """Of how many tasks Mesos has said something, and of how many not yet; once, when no more is said."""
        if not self._answered or now_s - self._answered_s < _QUIET_S:
            return None
        count = len(self._answered)
        self._answered.clear()
        return count, len(self._unanswered)
