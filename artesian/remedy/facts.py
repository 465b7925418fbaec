"""What remedies look at: one moment, and the rules that fire at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from artesian.model.disk import Claim
from artesian.model.names import device_name
from artesian.model.node import Node, NodeState
from artesian.model.observation import Observation
from artesian.model.rule import Rule
from artesian.model.spec import Spec
from artesian.model.state import FrameworkState
from artesian.model.topology import Topology
from artesian.remedy.firing import Firing, FiringMemory, Key


@dataclass(frozen=True, slots=True)
class RemedyFacts:
    """One moment. `firings` by rule and thing; `now_s` is Unix time."""

    spec: Spec
    seen: Observation
    state: FrameworkState
    topology: Topology
    firings: Mapping[Key, Firing]
    memory: FiringMemory
    now_s: float

    def rule(self, name: str) -> Rule | None:
        """The rule of this name; None if the spec has it no longer."""
        return next((rule for rule in self.spec.rules if rule.name == name), None)

    def claim_of(self, device: str) -> Claim | None:
        """The claim of the disk that a device, by its name, is made of."""
        return claim_of_device(self.state, device)

    def usable_nodes(self) -> tuple[Node, ...]:
        """Nodes on which something new may be put, by name."""
        return tuple(
            node
            for node in sorted(self.seen.nodes, key=lambda one: one.name)
            if node.state is NodeState.ALIVE
            and self.state.node(node.name).is_usable
            and node.name not in self.seen.unheard
        )


def claim_of_device(state: FrameworkState, device: str) -> Claim | None:
    """The claim of the disk that a device, by its name, is made of."""
    return next((one for one in state.claims.values() if device_name(one.identity) == device), None)
