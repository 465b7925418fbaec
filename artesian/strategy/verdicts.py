"""Which disks may be taken: the one place that decides it, from facts alone.

Free is only what nothing speaks against. Whatever is not known for certain speaks against it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from types import MappingProxyType

from artesian.model.disk import Claim, Disk, Tombstone
from artesian.model.node import Node, NodeState
from artesian.model.sizes import format_size
from artesian.model.topology import DiskVerdict, VerdictKind


@dataclass(frozen=True, slots=True)
class Memory:
    """What the framework remembers of disks, by identity."""

    claims: Mapping[str, Claim] = field(default_factory=lambda: MappingProxyType({}))
    tombstones: Mapping[str, Tombstone] = field(default_factory=lambda: MappingProxyType({}))


def judge_disks(
    nodes: Iterable[Node], memory: Memory, *, minimum_bytes: int, system_id: str | None
) -> tuple[DiskVerdict, ...]:
    """A verdict for every disk of every node, by node and path.

    `minimum_bytes`: smaller disks are not taken. `system_id`: the engine's, None as long as there is none.
    """
    ordered = sorted(nodes, key=lambda node: node.name)
    seen = Counter(disk.identity for node in ordered for disk in node.disks if disk.identity is not None)
    judge = _Judge(memory, seen, minimum_bytes, system_id)
    verdicts = []
    for node in ordered:
        for disk in sorted(node.disks, key=attrgetter("path")):
            kind, because = judge.judge(node, disk)
            verdicts.append(DiskVerdict(node.name, disk.path, disk.identity, disk.size_bytes, kind, because))
    return tuple(verdicts)


@dataclass(frozen=True)
class _Judge:
    memory: Memory
    seen: Mapping[str, int]  # how many disks have an identity
    minimum_bytes: int
    system_id: str | None

    @cached_property
    def given(self) -> Mapping[tuple[str, str], Claim]:
        """Claims by node and the name that it had for the disk: needed as soon as any disk is without one."""
        return {(claim.node, claim.path): claim for claim in self.memory.claims.values()}

    def judge(self, node: Node, disk: Disk) -> tuple[VerdictKind, str]:
        """The kind of verdict, and its reason as a sentence."""
        if disk.identity is None:
            return VerdictKind.REFUSED, "nothing but its name identifies it, and names change"
        if self.seen[disk.identity] > 1:
            return VerdictKind.REFUSED, f"{self.seen[disk.identity]} disks claim to be {disk.identity}"
        claim = self.memory.claims.get(disk.identity)
        if claim is not None:
            return _judge_claimed(node, disk, claim, self.system_id)
        tombstone = self.memory.tombstones.get(disk.identity)
        if tombstone is not None:
            return (
                VerdictKind.REFUSED,
                f"it was removed and does not come back by itself: {tombstone.because}",
            )
        if node.state is not NodeState.ALIVE:
            return VerdictKind.REFUSED, f"its node is {node.state}, and what was seen of it is stale"
        obstacle = obstacle_to_taking(disk, self.system_id) or self._name_given_away(node, disk)
        if obstacle is not None:
            return VerdictKind.REFUSED, obstacle
        if disk.size_bytes < self.minimum_bytes:
            size, least = format_size(disk.size_bytes), format_size(self.minimum_bytes)
            return VerdictKind.REFUSED, f"it is too small: {size}, and {least} is the least"
        return VerdictKind.FREE, "it carries no signature, and nobody uses it"

    def _name_given_away(self, node: Node, disk: Disk) -> str | None:
        """A name that was said of one disk is not taken to mean another that has the name today."""
        for name in (disk.path, *disk.other_paths):
            claim = self.given.get((node.name, name))
            if claim is not None:
                return f"its name {name} was given to pool {claim.pool} when {claim.identity} had it"
        return None


def obstacle_to_taking(disk: Disk, system_id: str | None, *, claimed: bool = False) -> str | None:
    """What on the disk itself speaks against writing to it; None when nothing does.

    `claimed`: it was given to the engine, whose label belongs there then.
    """
    if disk.unreadable:
        return f"not everything about it could be found out: {disk.unreadable}"
    if disk.is_system:
        return "its node runs on it"
    if disk.mounted_at:
        return f"it is mounted at {', '.join(disk.mounted_at)}"
    if disk.holders:
        return f"it is held by {', '.join(disk.holders)}"
    if disk.partitions:
        return f"it has partitions: {', '.join(disk.partitions)}"
    if disk.signatures:
        return f"it carries a signature: {', '.join(disk.signatures)}"
    if disk.label is not None and disk.label.system_id != system_id:
        return f"it belongs to another engine, {disk.label.system_id}"
    if disk.label is not None and not claimed:
        return "it belongs to this engine, but to no pool that is known here"
    if disk.read_only:
        return "it is read-only"
    return None


def _judge_claimed(node: Node, disk: Disk, claim: Claim, system_id: str | None) -> tuple[VerdictKind, str]:
    obstacle = obstacle_to_taking(disk, system_id, claimed=True)
    if obstacle is not None:
        return VerdictKind.REFUSED, f"it was given to pool {claim.pool}, but now {obstacle}"
    sentence = f"it was given to pool {claim.pool}"
    if claim.node != node.name:
        sentence += f" on node {claim.node}, and is on {node.name} now"
    elif not disk.is_called(claim.path):
        sentence += f" as {claim.path}, and is called {disk.path} now"
    return VerdictKind.CLAIMED, sentence
