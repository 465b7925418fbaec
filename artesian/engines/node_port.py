"""What an agent asks of a storage engine on its node."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Protocol

from artesian.host.processes import ProcessIdentity
from artesian.model.assignment import Assignment
from artesian.model.errors import ArtesianError
from artesian.model.observation import SeenProcess


class NodeEngineError(ArtesianError):
    """What an engine on its node could not do, or must not; what else was to be done is done."""


class Part(StrEnum):
    """Which of the engine's processes on a node."""

    SERVERS = "servers"
    MANAGER = "manager"
    ALL = "all"


class NodeEngine(Protocol):
    """The node's side of an engine. Every verb may be repeated; processes outlive whoever started them."""

    def ensure(self, assignment: Assignment, held_down: Collection[str] = ()) -> list[str]:
        """Start what is assigned and does not run, end what is not; the names of what was changed.

        What is `held_down`, by name, is not started. Raises NodeEngineError, or OSError.
        """

    def processes(self) -> tuple[SeenProcess, ...]:
        """The engine's processes on this node."""

    def running(self, part: Part) -> Mapping[str, ProcessIdentity]:
        """Those that run now, by name."""

    def volume_address(self, volume_id: str) -> str:
        """Where the node's client offers a volume, as an NBD URI."""

    def certificate(self) -> str | None:
        """The gateway's certificate (PEM), if this node runs one."""

    def stop(self) -> list[str]:
        """End all processes in good order; their names."""
