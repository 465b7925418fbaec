"""What an executor has to say again until it is acknowledged."""

from __future__ import annotations

import threading
from typing import Any

Json = dict[str, Any]


class Unacknowledged:
    """Tasks and status updates in the order in which they came. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: dict[str, Json] = {}
        self._updates: dict[str, Json] = {}
        self._sent: set[str] = set()

    @property
    def is_empty(self) -> bool:
        """Whether every update was acknowledged."""
        with self._lock:
            return not self._updates

    def launched(self, task: Json) -> None:
        """A task has come. It is to be told of until one of its updates is acknowledged."""
        with self._lock:
            self._tasks[task["task_id"]["value"]] = task

    def add(self, status: Json) -> None:
        """A status update that is to be sent."""
        with self._lock:
            self._updates[status["uuid"]] = {"status": status}

    def drop(self, uuid: str) -> None:
        """An update that can never be sent."""
        with self._lock:
            self._updates.pop(uuid, None)
            self._sent.discard(uuid)

    def acknowledged(self, task_id: str, uuid: str) -> None:
        """The framework has taken this update in."""
        self.drop(uuid)
        with self._lock:
            self._tasks.pop(task_id, None)

    def subscription(self) -> Json:
        """What a SUBSCRIBE has to tell the agent."""
        with self._lock:
            return {
                "unacknowledged_tasks": list(self._tasks.values()),
                "unacknowledged_updates": list(self._updates.values()),
            }

    def next_unsent(self) -> Json | None:
        """The first update that the agent was not told of."""
        with self._lock:
            return next((update for uuid, update in self._updates.items() if uuid not in self._sent), None)

    def sent(self, *updates: Json) -> None:
        """The agent was told of these."""
        with self._lock:
            self._sent.update(uuid for u in updates if (uuid := u["status"]["uuid"]) in self._updates)
