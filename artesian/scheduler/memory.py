"""The framework's state while a scheduler runs: always as it is in the store."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from artesian.model.event import Event
from artesian.model.state import FrameworkState
from artesian.store.codec import changed_documents, state_from_documents
from artesian.store.port import Store, StoreUnusable

Change = Callable[[FrameworkState], FrameworkState]
_EVENTS_AT_ONCE = 10_000
_SECRETS = ("engine_secret", "engine_password", "agents_key", "api_token")


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made once, kept in the store, never shown."""

    engine_secret: str
    engine_password: str
    agents_key: str
    api_token: str


class Memory:
    """The state. A change counts when it is stored; then everybody is told."""

    def __init__(self, store: Store) -> None:
        """Raises NotLeading, StoreUnusable."""
        store.lead()
        self._store = store
        self._lock = threading.RLock()
        self._in_doubt = False  # whether what is stored is what we know
        documents = store.load()
        self._state = state_from_documents(documents)
        self._listeners: list[Callable[[], None]] = []
        self.secrets = self._secrets(documents)

    def _secrets(self, documents: dict[str, str]) -> Secrets:
        values = {name: documents.get(f"secrets/{name}") or secrets.token_hex(24) for name in _SECRETS}
        self._store.commit(
            {f"secrets/{name}": value for name, value in values.items() if f"secrets/{name}" not in documents}
        )
        return Secrets(**values)

    def confirm(self) -> None:
        """Asked before each effect: we lead for certain, and know what is stored.

        Raises NotLeading, StoreUnusable.
        """
        self._store.confirm()
        if self._in_doubt:
            with self._lock:
                self._look_again()
            self._tell_listeners()

    def _look_again(self) -> None:
        if self._in_doubt:
            self._state = state_from_documents(self._store.load())
            self._in_doubt = False

    @property
    def state(self) -> FrameworkState:
        """As it is stored now."""
        return self._state

    def listen(self, listener: Callable[[], None]) -> None:
        """Be called after each change, by whoever made it."""
        self._listeners.append(listener)

    def change(self, change: Change, events: Iterable[Event] = ()) -> FrameworkState:
        """Store a changed state. Whatever `change` raises changes nothing."""
        with self._lock:
            self._look_again()
            after = change(self._state)
            documents = changed_documents(self._state, after)
            try:
                self._store.commit(documents, [replace(event, at_s=time.time()) for event in events])
            except StoreUnusable:
                self._in_doubt = True  # it may have been stored all the same
                with contextlib.suppress(StoreUnusable):  # then the next one who needs to know asks again
                    self._look_again()
                raise
            self._state = after
        if documents:
            self._tell_listeners()
        return after

    def _tell_listeners(self) -> None:
        for listener in self._listeners:
            listener()

    def tell(self, kind: str, subject: str, because: str) -> None:
        """Keep an event."""
        self._store.commit({}, [Event(kind, subject, because, time.time())])

    def events(self, after: int, limit: int) -> list[Event]:
        """Events with greater numbers, the oldest first."""
        return self._store.events(after, limit)

    def last_events(self, limit: int) -> list[Event]:
        """The newest events, the oldest of them first."""
        found: list[Event] = []
        while more := self._store.events(found[-1].number if found else 0, _EVENTS_AT_ONCE):
            found = [*found, *more][-limit:]
        return found
