"""What the framework asks of a storage engine. An adapter is one file, and passes the conformance suite."""

from __future__ import annotations

from typing import Protocol

from artesian.model.changes import EngineChange
from artesian.model.engine import EngineSeen
from artesian.model.errors import ArtesianError


class EngineUnreachable(ArtesianError):
    """The engine does not answer: nothing is known of it now. The same change may be tried again."""


class ChangeRefused(ArtesianError):
    """The engine says no to a change, in words; nothing was changed."""


class NotYet(ArtesianError):
    """The change is under way, or what it needs is not there yet: ask again at the next pass."""


class Engine(Protocol):
    """The scheduler's side of an engine. Every verb may be repeated, and returns within seconds."""

    def observe(self) -> EngineSeen:
        """Everything, at one moment. Raises EngineUnreachable."""

    def carry_out(self, change: EngineChange) -> None:
        """Take one change a step further; returns when it is done.

        Raises NotYet, ChangeRefused or EngineUnreachable. A change that is done already is done.
        """

    def close(self) -> None:
        """Let go of connections."""
