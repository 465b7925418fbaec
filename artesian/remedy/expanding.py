"""Which disks a pool should get: how many, how large and where, so that all of it can be used.

A pool of two copies can use no more than what lies outside its largest fault unit. So new disks go where
least is, one after the other, and always to two units at least.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from artesian.model.disk import PoolName
from artesian.model.engine import EngineSeen, SeenPool
from artesian.model.names import device_name, server_name
from artesian.remedy.facts import RemedyFacts

FEWEST_DISKS = 2
DEFAULT_TARGET_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Place:
    """A disk that is wanted on a node."""

    node: str
    size_bytes: int


def typical_disk_bytes(engine: EngineSeen, pool: PoolName | None) -> int:
    """The median size of a pool's devices, or of all; 0 if there are none."""
    sizes = sorted(device.size_bytes for device in engine.devices if pool in (None, device.pool))
    return sizes[len(sizes) // 2] if sizes else 0


def disks_needed(pool: SeenPool, disk_bytes: int, target_share: float, growth_bytes: float = 0.0) -> int:
    """How many disks of this size bring a pool down to a share of what it may hold, or give it room for what
    it is to grow by, all copies counted; but for growth alone a pool is not more than doubled at once."""
    usable_share = (100 - pool.spare_percentage) / 100
    held_bytes = pool.used_bytes / target_share / usable_share - pool.size_bytes
    grown_bytes = (pool.used_bytes + growth_bytes) / usable_share - pool.size_bytes
    missing_bytes = max(0.0, held_bytes, min(grown_bytes, pool.size_bytes) if growth_bytes else 0.0)
    return max(FEWEST_DISKS, math.ceil(missing_bytes / disk_bytes))


def places(
    facts: RemedyFacts, pool: PoolName, count: int, disk_bytes: int, without: frozenset[str]
) -> list[Place]:
    """Where `count` disks go, the emptiest fault unit first; fewer if there are not so many nodes.

    Nodes in `without` are left out: there it has been tried in vain.
    """
    units = _units(facts, pool.domain)
    raw_of_unit, raw_of_node = _capacity(facts, pool, units)
    nodes = [node.name for node in facts.usable_nodes() if node.name not in without]
    serving = [name for name in nodes if raw_of_node[name]]
    if len({units[name] for name in serving}) < FEWEST_DISKS:
        serving = nodes  # what is added to one unit alone holds no second copy of anything
    chosen: list[Place] = []
    while serving and len(chosen) < count:
        best = min(serving, key=lambda name: (raw_of_unit[units[name]], raw_of_node[name], name))
        chosen.append(Place(best, disk_bytes))
        raw_of_unit[units[best]] += disk_bytes
        raw_of_node[best] += disk_bytes
    return chosen


def replacements(
    facts: RemedyFacts, node: str, domain: str, disk_bytes: int, without: frozenset[str]
) -> list[Place]:
    """Where a disk for a lost one may go: its own node, its fault unit, anywhere; the best first."""
    units = _units(facts, domain)
    names = [one.name for one in facts.usable_nodes() if one.name not in without]
    own = units.get(node, node)
    order = sorted(names, key=lambda name: (name != node, units[name] != own, name))
    return [Place(name, disk_bytes) for name in order]


def _units(facts: RemedyFacts, domain: str) -> dict[str, str]:
    """The fault set that each node's server is in, or the node itself."""
    servers = {server.name: server for server in facts.seen.engine.servers} if facts.seen.engine else {}
    units = {}
    for node in facts.seen.nodes:
        server = servers.get(server_name(node.name, domain))
        units[node.name] = server.fault_set if server is not None and server.fault_set else node.name
    return units


def _capacity(facts: RemedyFacts, pool: PoolName, units: dict[str, str]) -> tuple[Counter[str], Counter[str]]:
    """Raw bytes of a pool by fault unit and by node: what is in it, and what has been claimed for it."""
    engine = facts.seen.engine
    failed = (
        {device.name for device in engine.devices if device.failed or device.leaving} if engine else set()
    )
    of_unit, of_node = Counter[str](), Counter[str]()
    for claim in facts.state.claims.values():
        if claim.pool == pool and device_name(claim.identity) not in failed:
            of_unit[units.get(claim.node, claim.node)] += claim.size_bytes
            of_node[claim.node] += claim.size_bytes
    return of_unit, of_node
