"""What a node does for the engine takes of its processors and memory."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from artesian.model.assignment import Assignment
from artesian.model.node import Node
from artesian.model.resources import Resources, total

_MIB = 1 << 20
# Measured with the embedded engine at rest and busy, and rounded up; more is used while there is more.
AGENT = Resources(0.1, 96 * _MIB)
CLIENT = Resources(0.1, 96 * _MIB)
MANAGER = Resources(0.1, 160 * _MIB)  # with the gateway that it may have
SERVER = Resources(0.2, 128 * _MIB)


def role_needs(assignment: Assignment) -> Mapping[str, Resources]:
    """What each role takes that is assigned to a node; its agent runs in any case."""
    needs = {"agent": AGENT}
    if assignment.manages or assignment.is_gateway:
        needs["manager"] = MANAGER
    if assignment.domains:
        needs["server"] = total([SERVER] * len(assignment.domains))
    if assignment.is_client:
        needs["client"] = CLIENT
    return MappingProxyType(needs)


def too_small(node: Node) -> str | None:
    """Why a node cannot carry storage beside what else runs on it; None if it can, or if nobody knows."""
    if not (node.cpus or node.memory_bytes):
        return None
    needed, has = total([AGENT, CLIENT, SERVER, MANAGER]), Resources(node.cpus, node.memory_bytes)
    if needed.fits_in(has):
        return None
    return f"node {node.name} has {has} to give, and its storage takes {needed}"


def unfit(node: Node) -> str | None:
    """Why a node is not to be begun with, whatever the reason; None if nothing speaks against it."""
    return node.problem or too_small(node)
