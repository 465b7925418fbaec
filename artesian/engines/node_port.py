"""What an agent asks of a storage engine on its node."""

from __future__ import annotations

from typing import Protocol

from artesian.model.assignment import Assignment
from artesian.model.observation import SeenProcess


class NodeEngine(Protocol):
    """The node's side of an engine. Every verb may be repeated; processes outlive whoever started them."""

    def ensure(self, assignment: Assignment) -> list[str]:
        """Start what is assigned and does not run, end what is not; the names of what was changed."""

    def processes(self) -> tuple[SeenProcess, ...]:
        """The engine's processes on this node."""

    def volume_address(self, volume_id: str) -> str:
        """Where the node's client offers a volume, as an NBD URI."""

    def certificate(self) -> str | None:
        """The gateway's certificate (PEM), if this node runs one."""

    def stop(self) -> list[str]:
        """End all processes in good order; their names."""
