"""What a node does for the engine takes of its processors and memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from artesian.model.assignment import Assignment
from artesian.model.engine import CephSettings
from artesian.model.node import Node
from artesian.model.resources import Resources, total

_MIB = 1 << 20
AGENT = Resources(0.1, 96 * _MIB)


@dataclass(frozen=True, slots=True)
class EngineNeeds:
    """What the roles of one kind of engine take. `server` is for a domain, `device` for each disk."""

    client: Resources
    manager: Resources
    server: Resources
    device: Resources

    @property
    def at_most(self) -> Resources:
        """What a node with every role and one disk takes."""
        return total([AGENT, self.client, self.manager, self.server, self.device])


# Measured with the embedded engine at rest and busy, and rounded up; more is used while there is more. A
# manager has its gateway in this; a server needs no more with more disks.
EMBEDDED = EngineNeeds(
    Resources(0.1, 96 * _MIB), Resources(0.1, 160 * _MIB), Resources(0.2, 128 * _MIB), Resources()
)


def needs_with(ceph: CephSettings | None) -> EngineNeeds:
    """Those of Ceph with these settings; of the embedded engine without. A manager has a monitor and what
    serves its metrics; each OSD may take the memory that is set for it."""
    if ceph is None:
        return EMBEDDED
    return EngineNeeds(
        Resources(0.1, 128 * _MIB),
        Resources(0.2, 400 * _MIB),
        Resources(0.2, 0),
        Resources(0.0, ceph.osd_memory_bytes),
    )


def role_needs(assignment: Assignment) -> Mapping[str, Resources]:
    """What each role takes that is assigned to a node; its agent runs in any case."""
    engine = needs_with(assignment.ceph)
    needs = {"agent": AGENT}
    if assignment.manages or assignment.is_gateway:
        needs["manager"] = engine.manager
    if assignment.domains:
        devices = max(1, len(assignment.devices))
        needs["server"] = total([engine.server] * len(assignment.domains) + [engine.device] * devices)
    if assignment.is_client:
        needs["client"] = engine.client
    return MappingProxyType(needs)


def too_small(node: Node, ceph: CephSettings | None = None) -> str | None:
    """Why a node cannot carry storage beside what else runs on it; None if it can, or if nobody knows."""
    if not (node.cpus or node.memory_bytes):
        return None
    needed, has = needs_with(ceph).at_most, Resources(node.cpus, node.memory_bytes)
    if needed.fits_in(has):
        return None
    return f"node {node.name} has {has} to give, and its storage takes {needed}"


def unfit(node: Node, ceph: CephSettings | None = None) -> str | None:
    """Why a node is not to be begun with, whatever the reason; None if nothing speaks against it."""
    return node.problem or too_small(node, ceph)
