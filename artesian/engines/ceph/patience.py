"""Questions that may be given up on, while whoever was asked may still answer them.

librados writes the answer of a manager daemon to where it was wanted, also after it has given up waiting,
when that place is something else's. So it is never told to give up: it waits in a thread of its own, for as
long as it takes, and it is we who do not wait for the thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")
_MOST_GIVEN_UP = 8


class GivenUp(Exception):
    """There was no answer in time."""


class Patient:
    """Counts the questions that nobody waits for any more: while there are many, no more are asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given_up = 0

    @property
    def is_owed_answers(self) -> bool:
        """Whether somebody may still answer: what they answer to must be kept."""
        with self._lock:
            return self._given_up > 0

    def ask(self, question: Callable[[], Answer], timeout_s: float) -> Answer:
        """The answer. Raises GivenUp, and whatever the question raises."""
        with self._lock:
            if self._given_up >= _MOST_GIVEN_UP:
                raise GivenUp
        asked = _Asked(question)
        threading.Thread(target=asked.run, name="manager daemon", daemon=True).start()
        if not asked.done.wait(timeout_s):
            with self._lock:
                self._given_up += 1
            threading.Thread(target=self._settle, args=(asked,), name="late answer", daemon=True).start()
            raise GivenUp
        return asked.answer()

    def _settle(self, asked: _Asked[Answer]) -> None:
        asked.done.wait()
        with self._lock:
            self._given_up -= 1


class _Asked(Generic[Answer]):
    def __init__(self, question: Callable[[], Answer]) -> None:
        self._question = question
        self.done = threading.Event()
        self._answers: list[Answer] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._answers.append(self._question())
        except BaseException as error:  # noqa: BLE001  it is raised where the answer is waited for
            self._error = error
        finally:
            self.done.set()

    def answer(self) -> Answer:
        if self._error is not None:
            raise self._error
        return self._answers[0]
