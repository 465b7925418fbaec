"""The declarative strategy: pools by what they have to hold and to survive; the disks are chosen here.

A pool of two copies can hold half of its disks' capacity, without the spare share; and no more than what
lies outside its largest fault unit, because a unit never holds both copies. So disks are chosen where least
is so far, which keeps units alike and wastes nothing, and no more of them than the pool needs. Disks that are
in use stay: a pool is never made of other disks because they would fit better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from artesian.model.disk import Disk
from artesian.model.node import Node
from artesian.model.sizes import format_size
from artesian.model.spec import PoolSpec, Survives, Taking
from artesian.model.topology import WantedDevice
from artesian.strategy.capacity import spare_percentage, usable_bytes
from artesian.strategy.situation import Situation

UNITS_NEEDED = {Survives.DISK: 2, Survives.NODE: 2, Survives.FAULT_SET: 3}
UNIT_WORD = {Survives.DISK: "nodes", Survives.NODE: "nodes", Survives.FAULT_SET: "fault sets"}


def declarative_devices(
    situation: Situation, pool: PoolSpec, nodes: list[Node], taken: set[str], unit_of: Mapping[str, str]
) -> tuple[list[WantedDevice], list[str]]:
    """The devices of one pool, and what is missing for it.

    `nodes` are those that may give disks, `taken` the identities that other pools have, `unit_of` the fault
    unit of each node: its fault set, or itself.
    """
    chosen = [
        situation.kept_device(node, claim)
        for node in nodes
        for claim in situation.kept.get(node.name, ())
        if claim.pool == pool.name
    ]
    raw, of_node = Counter[str](), Counter[str]()
    for device in chosen:
        raw[unit_of[device.node]] += device.size_bytes
        of_node[device.node] += device.size_bytes
    left = _candidates(situation, pool, nodes, taken | {device.identity for device in chosen})
    while left and not _is_enough(pool, raw):
        best = min(
            left,
            key=lambda one: (
                raw[unit_of[one.node]], of_node[one.node], -one.size_bytes, one.node, one.path,
            ),
        )  # fmt: skip
        left.remove(best)
        raw[unit_of[best.node]] += best.size_bytes
        of_node[best.node] += best.size_bytes
        chosen.append(_device(pool, best, unit_of[best.node]))
    return chosen, _missing(pool, raw)


@dataclass(frozen=True, slots=True)
class _Candidate:
    node: str
    path: str
    identity: str
    size_bytes: int


def _candidates(situation: Situation, pool: PoolSpec, nodes: list[Node], taken: set[str]) -> list[_Candidate]:
    if situation.spec.new_disks is Taking.NEVER:
        return []
    found: list[_Candidate] = []
    for node in nodes:
        for disk in situation.free(node):
            if pool.disks.selects(disk) and disk.identity is not None and disk.identity not in taken:
                found.append(_candidate(node, disk, disk.identity))
    return found


def _candidate(node: Node, disk: Disk, identity: str) -> _Candidate:
    return _Candidate(node.name, disk.path, identity, disk.size_bytes)


def _is_enough(pool: PoolSpec, raw: Counter[str]) -> bool:
    if pool.usable_bytes is None or len(raw) < UNITS_NEEDED[pool.survives]:
        return False
    return usable_bytes(raw, pool.spare_percentage) >= pool.usable_bytes


def _device(pool: PoolSpec, disk: _Candidate, unit: str) -> WantedDevice:
    if pool.usable_bytes is None:
        because = f"it is free, and pool {pool.name} takes every disk that fits its selectors"
    else:
        where = f"on node {disk.node}" if unit == disk.node else f"in fault set {unit}"
        because = (
            f"pool {pool.name} is to hold {format_size(pool.usable_bytes)}, and least of it is {where} so far"
        )
    return WantedDevice(disk.node, disk.identity, disk.path, pool.name, disk.size_bytes, because)


def _missing(pool: PoolSpec, raw: Counter[str]) -> list[str]:
    units, needed = len(raw), UNITS_NEEDED[pool.survives]
    word = UNIT_WORD[pool.survives]
    if units < needed:
        return [
            f"pool {pool.name} is to survive the loss of a {pool.survives}, for which it needs free disks "
            f"in {needed} {word}; there are {units}"
        ]
    usable = usable_bytes(raw, pool.spare_percentage)
    if pool.usable_bytes is None or usable >= pool.usable_bytes:
        return []
    spare = spare_percentage(pool.spare_percentage, raw)
    lacking = (pool.usable_bytes - usable) * 2 * 100 // (100 - spare)
    return [
        f"pool {pool.name} is to hold {format_size(pool.usable_bytes)}, and all disks that fit its selectors "
        f"hold {format_size(usable)}: about {format_size(lacking)} of raw disks are missing, "
        f"in at least 2 {word}"
    ]
