"""The global-pool strategy: every free disk of every node into one pool."""

from __future__ import annotations

from artesian.model.disk import PoolName
from artesian.model.node import Node
from artesian.model.spec import Taking
from artesian.model.topology import WantedDevice
from artesian.strategy.situation import Situation


def global_devices(situation: Situation, node: Node, pool: PoolName) -> list[WantedDevice]:
    """The devices of a node of which nothing else is said: those that it has, and what is free."""
    wanted = [situation.kept_device(node, claim) for claim in situation.kept.get(node.name, ())]
    if situation.spec.new_disks is Taking.NEVER:
        return wanted
    for disk in situation.free(node):
        assert disk.identity is not None  # a disk without one is never free
        because = f"it is free, and all free disks go into pool {pool}"
        wanted.append(WantedDevice(node.name, disk.identity, disk.path, pool, disk.size_bytes, because))
    return wanted
