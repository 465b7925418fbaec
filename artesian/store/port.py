"""What the scheduler asks of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from artesian.model.errors import ArtesianError
from artesian.model.event import Event


class StoreUnusable(ArtesianError):
    """The store cannot be read or written: nothing may be done that it would have to remember."""


class NotLeading(ArtesianError):
    """Another scheduler leads this store's cluster."""


class Store(Protocol):
    """Documents by key, and events. Every verb raises StoreUnusable when it cannot do what it says."""

    def lead(self) -> None:
        """Become the one scheduler that may write, until `close`. Raises NotLeading."""

    def load(self) -> dict[str, str]:
        """All documents."""

    def commit(self, changes: Mapping[str, str | None], events: Sequence[Event] = ()) -> None:
        """Store documents (None: remove) and events, all or nothing, on stable storage."""

    def events(self, after: int, limit: int) -> list[Event]:
        """Events with greater numbers, the oldest first."""

    def close(self) -> None:
        """Let go of the store, and of the leadership."""
