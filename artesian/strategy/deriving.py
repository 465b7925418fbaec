"""The whole wanted topology out of the spec and what is seen: explicit beats derived, node by node.

A node whose attributes name disks is taken at its word and nothing else of it is touched. Of the other nodes,
the pools of the declarative spec choose first, in their order; what is left goes into the global pool, if
there is one. The same input gives the same topology: nothing here knows of time, chance or order of arrival.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from operator import attrgetter

from artesian.model.disk import PoolName
from artesian.model.errors import SpecError
from artesian.model.node import Node, NodeState
from artesian.model.spec import DEFAULT_POOL, Spec, Taking
from artesian.model.topology import (
    Topology,
    VerdictKind,
    WantedClient,
    WantedDevice,
    WantedPool,
    WantedServer,
)
from artesian.strategy.attributes import read_attributes
from artesian.strategy.declarative import declarative_devices
from artesian.strategy.fault_sets import fault_sets_of, fault_units
from artesian.strategy.global_pool import global_devices
from artesian.strategy.imperative import imperative_devices
from artesian.strategy.managers import wanted_managers
from artesian.strategy.situation import Situation, claims_by_node
from artesian.strategy.verdicts import Memory, judge_disks

Given = Counter[tuple[str, PoolName]]  # how many disks a node gives to a pool


def derive(
    spec: Spec,
    nodes: Iterable[Node],
    memory: Memory,
    *,
    system_id: str | None = None,
    managers: tuple[str, ...] = (),
    leaving: Collection[str] = (),
) -> Topology:
    """What is wanted now.

    `system_id` is the engine's, None as long as there is none; `managers` are the nodes that have one now.
    Nothing is wanted of nodes that are `leaving`; their disks are judged all the same.
    What cannot be met is said in `shortfalls`, and the rest is wanted all the same.
    """
    shortfalls: list[str] = []
    situation = _situate(spec, nodes, memory, system_id, managers, leaving, shortfalls)
    devices = _devices(situation, shortfalls)
    given: Given = Counter(map(attrgetter("node", "pool"), devices))
    shortfalls += _single_copies(given)
    if not devices and spec.engine is None:
        shortfalls += _nothing_to_take(situation, memory)
    wanted, missing = wanted_managers(situation) if spec.engine is None else ([], [])
    shortfalls += missing
    servers, missing = _servers(situation, given)
    shortfalls += missing
    return Topology(
        managers=tuple(wanted),
        pools=_pools(given),
        servers=servers,
        devices=devices,
        clients=_clients(situation, given),
        verdicts=tuple(situation.verdicts.values()),
        shortfalls=tuple(shortfalls),
    )


def _situate(
    spec: Spec,
    nodes: Iterable[Node],
    memory: Memory,
    system_id: str | None,
    managers: tuple[str, ...],
    leaving: Collection[str],
    shortfalls: list[str],
) -> Situation:
    nodes = list(nodes)
    usable = [
        node
        for node in nodes
        if node.name not in leaving and (node.joined or spec.new_nodes is not Taking.NEVER)
    ]
    ordered = tuple(sorted(usable, key=lambda node: node.name))
    attributes = {}
    for node in ordered:
        try:
            attributes[node.name] = read_attributes(node.name, node.attributes, spec.fault_set_attribute)
        except SpecError as error:
            shortfalls.append(f"{error}; until that is mended, its disks stay as they are")
    verdicts = judge_disks(nodes, memory, minimum_bytes=spec.minimum_disk_bytes, system_id=system_id)
    return Situation(
        spec,
        ordered,
        attributes,
        {(verdict.node, verdict.path): verdict for verdict in verdicts},
        claims_by_node(ordered, memory.claims.values()),
        managers,
    )


def _devices(situation: Situation, shortfalls: list[str]) -> tuple[WantedDevice, ...]:
    """All devices, by node and path."""
    devices = {device.identity: device for device in _undecided(situation)}
    decided = [node for node in situation.nodes if node.name in situation.attributes]
    derived = [node for node in decided if situation.attributes[node.name].serves is None]
    for node in decided:
        if situation.attributes[node.name].serves is not None:
            found, missing = imperative_devices(situation, node)
            devices |= {device.identity: device for device in found}
            shortfalls += missing
    unit_of = fault_units(situation)
    for pool in situation.spec.pools:
        givers = [node for node in derived if pool.nodes.selects(node)]
        found, missing = declarative_devices(situation, pool, givers, set(devices), unit_of)
        devices |= {device.identity: device for device in found}
        shortfalls += missing
    global_pool = situation.spec.global_pool
    for node in derived:
        if global_pool is not None and not any(pool.nodes.selects(node) for pool in situation.spec.pools):
            found = global_devices(situation, node, global_pool)
            devices |= {device.identity: device for device in found}
    for node in decided:  # what was got for a pool is its, whoever else chooses disks there
        for claim in situation.kept.get(node.name, ()):
            if claim.identity not in devices:
                devices[claim.identity] = situation.kept_device(node, claim)
    return tuple(sorted(devices.values(), key=attrgetter("node", "path", "identity")))


def _undecided(situation: Situation) -> list[WantedDevice]:
    """The disks in use of nodes that are not seen, or whose attributes make no sense: they stay."""
    nodes = {node.name: node for node in situation.nodes}
    found = []
    for name, claims in situation.kept.items():
        if name in situation.attributes:
            continue
        for claim in claims:
            if name in nodes:
                found.append(situation.kept_device(nodes[name], claim))
            else:
                because = f"it is in use, and its node is not seen: {claim.because}"
                found.append(
                    WantedDevice(name, claim.identity, claim.path, claim.pool, claim.size_bytes, because)
                )
    return found


def _servers(situation: Situation, given: Given) -> tuple[tuple[WantedServer, ...], list[str]]:
    """A server for each node and domain to which it gives disks."""
    counts = Counter[tuple[str, str]]()
    for (node, pool), count in given.items():
        counts[node, pool.domain] += count
    fault_sets, shortfalls = fault_sets_of(situation, counts)
    servers = []
    for (node, domain), count in sorted(counts.items()):
        disks = f"{count} disk" + ("s" if count > 1 else "")
        servers.append(
            WantedServer(
                node, domain, fault_sets.get((node, domain)), f"node {node} gives {disks} to domain {domain}"
            )
        )
    return tuple(servers), shortfalls


def _clients(situation: Situation, given: Given) -> tuple[WantedClient, ...]:
    """Every node uses volumes: of the pools that its attributes name, that it serves, or of the default."""
    serves: dict[str, list[PoolName]] = {}
    for node_name, pool in given:
        serves.setdefault(node_name, []).append(pool)
    pools = sorted({pool for _, pool in given})
    default = situation.spec.global_pool or (pools[0] if pools else DEFAULT_POOL)
    clients = []
    for node in situation.nodes:
        if node.state is NodeState.GONE:
            continue
        uses = situation.said_of(node.name).uses
        if uses is not None:
            because = f"the attributes of node {node.name} name what it uses"
        elif node.name in serves:
            uses = tuple(sorted(serves[node.name]))
            because = f"node {node.name} uses the pools that it gives disks to"
        else:
            uses = (default,)
            because = f"nothing is said of node {node.name}, and every node can use volumes"
        clients.append(WantedClient(node.name, uses, because))
    return tuple(clients)


def _nothing_to_take(situation: Situation, memory: Memory) -> list[str]:
    """An engine of ours without a disk holds nothing. What somebody has taken out is not missed."""
    alive = {node.name for node in situation.nodes if node.state is NodeState.ALIVE}
    reasons = [
        verdict.because
        for verdict in situation.verdicts.values()
        if verdict.node in alive and verdict.identity not in memory.tombstones
    ]
    if not reasons or any(one.kind is not VerdictKind.REFUSED for one in situation.verdicts.values()):
        return []
    because, count = Counter(reasons).most_common(1)[0]
    share = f"{count} of {len(reasons)}"
    return [f"no disk may be taken, so there is no pool: {because} ({share}: artesian disk list)"]


def _single_copies(given: Given) -> list[str]:
    """Pools that have no second place for anything."""
    nodes: dict[PoolName, list[str]] = {}
    for node, pool in given:
        nodes.setdefault(pool, []).append(node)
    return [
        f"all disks of pool {pool} are on node {names[0]}: there is one copy only, and what a disk or "
        "the node loses is lost"
        for pool, names in sorted(nodes.items())
        if len(names) == 1
    ]


def _pools(given: Given) -> tuple[WantedPool, ...]:
    """The pools that have disks. One that is only used is none: nothing could be put into it."""
    counts = Counter[PoolName]()
    for (_, pool), count in given.items():
        counts[pool] += count
    return tuple(
        WantedPool(name, f"{count} disk{'s' if count > 1 else ''} on the nodes are for it")
        for name, count in sorted(counts.items())
    )
