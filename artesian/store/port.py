"""What the scheduler asks of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from artesian.model.errors import ArtesianError
from artesian.model.event import Event

KEPT_EVENTS = 100_000


class StoreUnusable(ArtesianError):
    """The store cannot be read or written: nothing may be done that it would have to remember.

    After a commit that ended so, what it was to store may be stored all the same: `load` tells.
    """


class NotLeading(ArtesianError):
    """Another scheduler leads this store's cluster. `leader_url`: where it is asked, if that is known."""

    def __init__(self, message: str, leader_url: str = "") -> None:
        super().__init__(message)
        self.leader_url = leader_url


class Store(Protocol):
    """Documents by key, and events. Every verb raises StoreUnusable when it cannot do what it says."""

    def lead(self) -> None:
        """Become the one scheduler that may write, until `close` or the loss of it. Raises NotLeading."""

    def confirm(self) -> None:
        """Asked before each effect on the world: nobody else can lead yet. Asks nobody, so it takes no time.

        Raises NotLeading when the lead is lost, StoreUnusable while that is in doubt.
        """

    def load(self) -> dict[str, str]:
        """All documents."""

    def commit(self, changes: Mapping[str, str | None], events: Sequence[Event] = ()) -> None:
        """Store documents (None: remove) and events, all or nothing, on stable storage. Raises NotLeading,
        and then nothing was stored: no commit of one that has lost the lead ever arrives."""

    def events(self, after: int, limit: int) -> list[Event]:
        """Events with greater numbers, the oldest first."""

    def close(self) -> None:
        """Let go of the store, and of the leadership."""
