"""A store in memory that can kill the scheduler before or after any commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType

from artesian.model.event import Event
from artesian.model.state import FrameworkState
from artesian.store.codec import state_from_documents
from artesian.store.port import StoreUnusable


class SchedulerKilled(BaseException):
    """The scheduler's process ends here: nothing of it runs any further."""


@dataclass
class CrashingStore:
    """Survives its schedulers. `kill_at` counts commits from 1; `kill_after` says on which side of it."""

    documents: dict[str, str] = field(default_factory=dict)
    log: list[Event] = field(default_factory=list)
    commits: int = 0
    kill_at: int | None = None
    kill_after: bool = False
    unusable: bool = False
    _parsed: tuple[dict[str, str], FrameworkState] | None = None

    def lead(self) -> None:
        """Nobody else ever leads."""

    def confirm(self) -> None:
        """Nobody else ever does."""

    def load(self) -> dict[str, str]:
        """All documents."""
        if self.unusable:
            raise StoreUnusable("the store is away (drawn)")
        return dict(self.documents)

    def commit(self, changes: Mapping[str, str | None], events: Sequence[Event] = ()) -> None:
        """All or nothing, and perhaps the last thing that the scheduler does."""
        if self.unusable:
            raise StoreUnusable("the store is away (drawn)")
        self.commits += 1
        dies = self.commits == self.kill_at
        if dies and not self.kill_after:
            raise SchedulerKilled(f"before commit {self.commits}")
        for key, body in changes.items():
            if body is None:
                self.documents.pop(key, None)
            else:
                self.documents[key] = body
        self.log += [replace(event, number=len(self.log) + at) for at, event in enumerate(events, start=1)]
        if dies:
            raise SchedulerKilled(f"after commit {self.commits}")

    def events(self, after: int, limit: int) -> list[Event]:
        """Events with greater numbers."""
        return [event for event in self.log if event.number > after][:limit]

    def close(self) -> None:
        """Nothing is held."""

    def state(self) -> FrameworkState:
        """What a scheduler that starts now would know."""
        if self._parsed is None:
            self._parsed = dict(self.documents), state_from_documents(self.documents)
        elif self._parsed[0] != self.documents:
            self._parsed = dict(self.documents), _read_further(*self._parsed, self.documents)
        return self._parsed[1]


def _read_further(
    before: Mapping[str, str], state: FrameworkState, documents: Mapping[str, str]
) -> FrameworkState:
    """The state of these documents, of which only those are read that are not as they were."""
    new = {key: body for key, body in documents.items() if before.get(key) != body}
    gone = before.keys() - documents.keys()
    part = state_from_documents(new)
    values: dict[str, object] = {}
    for name in {key.partition("/")[0] for key in (*new, *gone)} & _FIELDS:
        known, read = getattr(state, name), getattr(part, name)
        if isinstance(known, Mapping):
            left = {key: one for key, one in known.items() if f"{name}/{key}" not in gone}
            values[name] = MappingProxyType({**left, **read})
        else:
            values[name] = read
    return replace(state, **values)  # type: ignore[arg-type]


_FIELDS = {one.name for one in fields(FrameworkState)}
