"""A rolling restart: every process of the engine is started anew, one node at a time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RestartPart(StrEnum):
    """Which processes of a node are ended and started together. Whoever uses volumes is in none of them."""

    MANAGERS = "managers"  # and what belongs to them: gateways, manager daemons
    SERVERS = "servers"


class RestartState(StrEnum):
    """How far a restart is."""

    GOING = "going"
    DONE = "done"
    CANCELLED = "cancelled"  # somebody has asked for it to end
    STOPPED = "stopped"  # what was restarted has not come back


@dataclass(frozen=True, slots=True)
class Restart:
    """What was asked for last.

    A process that was started under this `number`, or a greater one, counts as restarted. The number is the
    Unix time of asking: it grows even if everything that was stored is lost. `because`: why it was stopped.
    """

    number: int
    nodes: tuple[str, ...]
    state: RestartState = RestartState.GOING
    who: str = ""
    because: str = ""

    @property
    def is_going(self) -> bool:
        """Whether nodes are still begun with."""
        return self.state is RestartState.GOING
