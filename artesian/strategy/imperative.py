"""The imperative strategy: a node's attributes say which of its disks are in which pools."""

from __future__ import annotations

from artesian.model.disk import PoolName
from artesian.model.node import Node
from artesian.model.topology import VerdictKind, WantedDevice
from artesian.strategy.situation import Situation


def imperative_devices(situation: Situation, node: Node) -> tuple[list[WantedDevice], list[str]]:
    """The devices of a node whose attributes name disks, and what is missing of them."""
    serves = situation.attributes[node.name].serves
    assert serves is not None
    kept = situation.kept.get(node.name, ())
    wanted: list[WantedDevice] = []
    shortfalls: list[str] = []
    for pool, paths in serves:
        for path in paths:
            claim = next((claim for claim in kept if claim.pool == pool and claim.path == path), None)
            if claim is not None:
                wanted.append(situation.kept_device(node, claim))
                continue
            found = _named(situation, node, pool, path)
            if isinstance(found, WantedDevice):
                wanted.append(found)
            else:
                shortfalls.append(found)
    return wanted, shortfalls


def _named(situation: Situation, node: Node, pool: PoolName, path: str) -> WantedDevice | str:
    """The disk of this name, or why it cannot be in the pool."""
    disk = next((disk for disk in node.disks if disk.is_called(path)), None)
    if disk is None:
        return f"pool {pool} wants {path} of node {node.name}, which has no such disk"
    verdict = situation.verdict(node, disk)
    if verdict.kind is not VerdictKind.FREE or disk.identity is None:
        return f"pool {pool} wants {path} of node {node.name}, but {verdict.because}"
    because = f"the attributes of node {node.name} put {path} into pool {pool}"
    return WantedDevice(node.name, disk.identity, path, pool, disk.size_bytes, because)
