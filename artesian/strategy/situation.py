"""What strategies look at: nodes in a fixed order, verdicts on their disks, and what is there already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter

from artesian.model.disk import Claim, Disk
from artesian.model.node import Node, NodeState
from artesian.model.spec import Spec
from artesian.model.topology import DiskVerdict, VerdictKind, WantedDevice
from artesian.strategy.attributes import NodeAttributes

NOTHING_SAID = NodeAttributes()


@dataclass(frozen=True, slots=True)
class Situation:
    """One moment. `nodes` are in the order of their names, `verdicts` by node and path, the rest by node.

    Nodes whose attributes make no sense are missing from `attributes`. `kept` are the claims of disks that
    are on a node now, or were when they were seen last, by path.
    """

    spec: Spec
    nodes: tuple[Node, ...]
    attributes: Mapping[str, NodeAttributes]
    verdicts: Mapping[tuple[str, str], DiskVerdict]
    kept: Mapping[str, tuple[Claim, ...]]
    managers: tuple[str, ...] = ()  # nodes that have a manager now

    def said_of(self, node: str) -> NodeAttributes:
        """What a node's attributes say; nothing when they make no sense, or the node is not seen."""
        return self.attributes.get(node, NOTHING_SAID)

    def verdict(self, node: Node, disk: Disk) -> DiskVerdict:
        """What may be done with a disk."""
        return self.verdicts[node.name, disk.path]

    def free(self, node: Node) -> list[Disk]:
        """Disks of a node that may be taken, by path."""
        if node.state is not NodeState.ALIVE or node.in_maintenance:
            return []
        return sorted(
            (disk for disk in node.disks if self.verdict(node, disk).kind is VerdictKind.FREE),
            key=attrgetter("path"),
        )

    def kept_device(self, node: Node, claim: Claim) -> WantedDevice:
        """A disk that is in a pool stays there, whatever its name is today."""
        path = claim.path
        for disk in node.disks:
            if disk.identity == claim.identity:
                path = path if disk.is_called(path) else disk.path
                break
        return WantedDevice(
            node.name,
            claim.identity,
            path,
            claim.pool,
            claim.size_bytes,
            f"it was given to pool {claim.pool} before",
        )


def claims_by_node(nodes: Iterable[Node], claims: Iterable[Claim]) -> dict[str, tuple[Claim, ...]]:
    """Each claim at the node that has its disk now, or else at the one that had it."""
    place = {disk.identity: node.name for node in nodes for disk in node.disks if disk.identity is not None}
    found: defaultdict[str, list[Claim]] = defaultdict(list)
    for claim in sorted(claims, key=attrgetter("path", "identity")):
        found[place.get(claim.identity, claim.node)].append(claim)
    return {node: tuple(found[node]) for node in sorted(found)}
