"""What the parts of the planner look at, and the list of steps that they add to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from artesian.model.changes import AddPool, Change
from artesian.model.disk import PoolName
from artesian.model.engine import EngineSeen
from artesian.model.names import client_guid
from artesian.model.node import Node, NodeState
from artesian.model.observation import Observation
from artesian.model.plan import Consent, Plan, Step, step_id
from artesian.model.spec import Spec
from artesian.model.state import FrameworkState
from artesian.model.topology import Topology


@dataclass(frozen=True, slots=True)
class Facts:
    """One moment. `engine` is an empty one as long as there has never been one."""

    spec: Spec
    topology: Topology
    seen: Observation
    state: FrameworkState
    engine: EngineSeen
    nodes: Mapping[str, Node]  # as seen, by name

    def alive(self, name: str) -> Node | None:
        """The node, if its agent reports."""
        node = self.nodes.get(name)
        return node if node is not None and node.state is NodeState.ALIVE else None

    def guid(self, node: str) -> str:
        """The guid of a node's client."""
        return self.state.guid_of(node) or client_guid(self.engine.system_id, node)


@dataclass(slots=True)
class Steps:
    """Steps in the order in which they are added; a change is added once."""

    _steps: dict[str, Step] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        change: Change,
        because: str,
        *after: Change | None,
        destructive: bool = False,
        consent: Consent = Consent.NONE,
    ) -> None:
        """Add a step that comes after those of the `after` changes that are in the plan."""
        ids = [step_id(earlier) for earlier in after if earlier is not None]
        there = tuple(one for one in ids if one in self._steps)
        step = Step(change, because, there, destructive, consent)
        self._steps.setdefault(step.id, step)

    def making_pool(self, pool: PoolName) -> AddPool | None:
        """The change that makes a pool, if that is in the plan."""
        changes = (step.change for step in self._steps.values())
        return next((one for one in changes if isinstance(one, AddPool) and one.pool == pool), None)

    def note(self, text: str) -> None:
        """Say what cannot be met, or is left alone."""
        if text not in self.notes:
            self.notes.append(text)

    def plan(self) -> Plan:
        """What was added."""
        return Plan(tuple(self._steps.values()), tuple(self.notes))
