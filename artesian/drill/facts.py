"""What drills look at: one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from artesian.model.drill import Drill, SeenFault, SeenWriter
from artesian.model.engine import EngineSeen, SeenServer
from artesian.model.names import server_name
from artesian.model.node import Node, NodeState
from artesian.model.observation import Observation
from artesian.model.spec import Spec
from artesian.model.state import FrameworkState
from artesian.planner.planning import Decision
from artesian.remedy.firing import Firing, Key


@dataclass(frozen=True, slots=True)
class Told:
    """What a node's agent, which is not silent, says of drills."""

    faults: tuple[SeenFault, ...] = ()
    writer: SeenWriter | None = None


class Stall(StrEnum):
    """What became of a question to a provider that is stalled."""

    HANGING = "hanging"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class DrillFacts:
    """One moment. `now_s` is Unix time.

    `scheduler` names this very process. `mounts`: below which folder a node mounts volumes of drills.
    `fill_rates` by pool, bytes a second. `files`: whether the nodes' disks are files. `stall`: of a provider
    that is stalled. `pass_gap_s`: the longest time between two passes since that began.
    """

    spec: Spec
    seen: Observation
    state: FrameworkState
    decision: Decision
    now_s: float
    scheduler: str = ""
    told: Mapping[str, Told] = field(default_factory=lambda: MappingProxyType({}))
    firings: Mapping[Key, Firing] = field(default_factory=lambda: MappingProxyType({}))
    mounts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    fill_rates: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    files: bool = False
    stall: Stall | None = None
    pass_gap_s: float = 0.0

    @property
    def open(self) -> Drill | None:
        """The drill that is under way; there is never a second one."""
        return self.state.open_drill

    def told_by(self, node: str | None) -> Told | None:
        """What a node says now; None if nothing new is heard of it."""
        seen = self.seen.node(node) if node is not None else None
        if node is None or seen is None or seen.state is not NodeState.ALIVE:
            return None
        return self.told.get(node)

    def usable_nodes(self) -> tuple[Node, ...]:
        """Nodes that are in use and report, by name."""
        return tuple(
            node
            for node in sorted(self.seen.nodes, key=lambda one: one.name)
            if node.state is NodeState.ALIVE and self.state.node(node.name).is_usable
        )

    def volumes_on(self, node: str) -> list[str]:
        """Volumes of users that may be written to on a node."""
        drills = {one.volume for one in self.state.drills.values()}
        return sorted(
            name
            for name, wish in self.state.volumes.items()
            if wish.node == node and not wish.deleted and name not in drills
        )

    def servers_of(self, node: str) -> list[SeenServer]:
        """The servers that a node runs."""
        engine = self.seen.engine or EngineSeen("")
        names = {server_name(node, domain) for domain in self.state.node(node).domains}
        return [one for one in engine.servers if one.name in names]
