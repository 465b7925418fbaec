"""Steps that bring what is missing: nodes, the engine, domains, pools, servers, devices, clients."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter

from artesian.model.changes import (
    AddClient,
    AddDevice,
    AddDomain,
    AddFaultSet,
    AddPool,
    AddServer,
    AdoptEngine,
    CreateEngine,
    JoinNode,
    SetHealing,
    SetSpare,
)
from artesian.model.disk import PoolName
from artesian.model.engine import ExistingEngine, ManagerPlace, SeenPool
from artesian.model.names import device_name, server_name
from artesian.model.node import Node, NodeState
from artesian.model.plan import Consent
from artesian.model.spec import Taking
from artesian.model.topology import WantedDevice, WantedServer
from artesian.planner.facts import Facts, Steps
from artesian.planner.welcoming import Welcomed
from artesian.strategy.capacity import spare_percentage

DEFAULT_SPARE_PERCENTAGE = 10
NewEngine = CreateEngine | AdoptEngine


def plan_joining(facts: Facts, steps: Steps) -> None:
    """Nodes that are there and are not used yet."""
    ask = facts.spec.new_nodes is Taking.ASK
    welcomed = Welcomed(facts.state)
    for node in sorted(facts.seen.nodes, key=lambda one: one.name):
        if _is_new(facts, node):
            consent = Consent.NEEDED if ask and not welcomed.joins(node.name) else Consent.NONE
            steps.add(JoinNode(node.name), f"node {node.name} is there, and is not used yet", consent=consent)


def _is_new(facts: Facts, node: Node) -> bool:
    record = facts.state.node(node.name)
    return (
        node.state is NodeState.ALIVE
        and not record.joined
        and not record.leaving
        and facts.spec.new_nodes is not Taking.NEVER
    )


def plan_engine(facts: Facts, steps: Steps) -> NewEngine | None:
    """The step that makes or adopts the engine, if it has never answered as ours; None if it has."""
    if facts.state.engine_seen_once:
        return None
    if facts.spec.engine is not None:
        return _adopt_engine(facts, facts.spec.engine, steps)
    if facts.state.engine is not None:
        change = CreateEngine(facts.state.engine.managers)
        steps.add(change, "its managers have been started, and do not answer yet")
        return change
    if not facts.topology.managers:
        steps.note("there is no node on which a manager can run, so there is no engine")
        return None
    places = []
    for manager in facts.topology.managers:
        node = facts.nodes.get(manager.node)
        places.append(ManagerPlace(manager.node, node.address if node is not None else "", manager.role))
    reasons = "; ".join(f"{manager.node}: {manager.because}" for manager in facts.topology.managers)
    change = CreateEngine(tuple(places))
    kind = "ceph" if facts.spec.ceph is not None else "embedded"
    because = f"there is no engine yet, and {kind} is wanted ({reasons})"
    steps.add(change, because, *(JoinNode(place.node) for place in places))
    return change


def _adopt_engine(facts: Facts, existing: ExistingEngine, steps: Steps) -> AdoptEngine | None:
    engine = facts.seen.engine
    if engine is None:
        steps.note(f"the engine that the spec names cannot be adopted yet: {facts.seen.engine_problem}")
        return None
    change = AdoptEngine(engine.system_id, existing)
    steps.add(
        change,
        f"the spec names an engine that is there: {engine.system_id} with {len(engine.managers)} managers, "
        f"{len(engine.servers)} servers and {len(engine.volumes)} volumes, which stay as they are",
        consent=Consent.NONE if facts.spec.new_nodes is Taking.TAKE else Consent.NEEDED,
    )
    return change


def plan_structure(facts: Facts, steps: Steps, created: NewEngine | None) -> None:
    """Domains, fault sets and pools."""
    for domain in sorted({server.domain for server in facts.topology.servers}):
        if domain not in facts.engine.domains:
            steps.add(AddDomain(domain), f"nodes serve domain {domain}, which is not there", created)
    for server in facts.topology.servers:
        pair = (server.domain, server.fault_set or "")
        if server.fault_set is not None and pair not in facts.engine.fault_sets:
            change = AddFaultSet(server.domain, server.fault_set)
            because = f"nodes of domain {server.domain} are in fault set {server.fault_set}"
            steps.add(change, because, created, AddDomain(server.domain))
    spares = _spare_percentages(facts)
    for pool in facts.topology.pools:
        seen = facts.engine.pool(pool.name)
        spare = spares[pool.name]
        if seen is None:
            steps.add(AddPool(pool.name, spare), pool.because, created, AddDomain(pool.name.domain))
        elif _should_change_spare(seen, spare) and _is_as_wanted(facts, pool.name):
            because = f"{spare} % are what the largest part of pool {pool.name} that may fail holds"
            steps.add(SetSpare(pool.name, spare), because)
        if seen is not None and facts.spec.healing not in (None, seen.healing):
            because = f"the spec says {facts.spec.healing} of healing, and pool {pool.name} has "
            steps.add(SetHealing(pool.name, facts.spec.healing), because + (seen.healing or "something else"))


def _spare_percentages(facts: Facts) -> dict[PoolName, int]:
    """By pool: enough to remake what its largest node or fault set holds, where there is elsewhere for it."""
    asked = {one.name: one.spare_percentage for one in facts.spec.pools}
    fault_sets = {(server.node, server.domain): server.fault_set for server in facts.topology.servers}
    sizes: dict[PoolName, dict[str, int]] = {}
    for (node, pool), devices in groupby(facts.topology.devices, attrgetter("node", "pool")):
        unit = fault_sets.get((node, pool.domain)) or f"node {node}"
        of_pool = sizes.setdefault(pool, {})
        of_pool[unit] = of_pool.get(unit, 0) + sum(device.size_bytes for device in devices)
    found = {}
    for pool, units in sizes.items():
        found[pool] = spare_percentage(asked.get(pool, DEFAULT_SPARE_PERCENTAGE), units)
    return found


def _is_as_wanted(facts: Facts, pool: PoolName) -> bool:
    """Whether a pool has just the devices that it should have."""
    there = {device.name for device in facts.engine.devices if device.pool == pool}
    return there == {device_name(one.identity) for one in facts.topology.devices if one.pool == pool}


def _should_change_spare(seen: SeenPool, spare: int) -> bool:
    """Only while nothing moves, and never at the price of space that is in use."""
    if spare == seen.spare_percentage or not seen.is_settled:
        return False
    more_bytes = (spare - seen.spare_percentage) * seen.size_bytes // 200  # of one copy
    return more_bytes <= seen.free_bytes


def plan_servers(facts: Facts, steps: Steps, created: NewEngine | None) -> None:
    """Nodes that give disks."""
    servers = {server.name: server for server in facts.engine.servers}
    for wanted in facts.topology.servers:
        seen = servers.get(server_name(wanted.node, wanted.domain))
        if seen is not None and seen.fault_set != wanted.fault_set:
            steps.note(
                f"node {wanted.node} serves in fault set {seen.fault_set or 'none'}, not "
                f"{wanted.fault_set or 'none'}: remove the node and let it join again to move it"
            )
        known = wanted.domain in facts.state.node(wanted.node).domains
        if seen is None or not known:
            change = _server_change(facts, wanted)
            if change is not None:
                steps.add(change, wanted.because, created, *_server_needs(change))


def _server_change(facts: Facts, wanted: WantedServer) -> AddServer | None:
    node = facts.nodes.get(wanted.node)
    address = node.address if node is not None else facts.state.node(wanted.node).address
    if not address:
        return None
    return AddServer(wanted.node, address, wanted.domain, wanted.fault_set)


def _server_needs(change: AddServer) -> list[JoinNode | AddDomain | AddFaultSet]:
    needs: list[JoinNode | AddDomain | AddFaultSet] = [JoinNode(change.node), AddDomain(change.domain)]
    if change.fault_set is not None:
        needs.append(AddFaultSet(change.domain, change.fault_set))
    return needs


def plan_devices(facts: Facts, steps: Steps) -> None:
    """Disks for pools. A disk that was never claimed is asked for, unless the policy takes all."""
    known = {device.name for device in facts.engine.devices}
    missing = [one for one in facts.topology.devices if device_name(one.identity) not in known]
    servers = {(server.node, server.domain): server for server in facts.topology.servers}
    spares = _spare_percentages(facts) if missing else {}
    welcomed = Welcomed(facts.state)
    for device in missing:
        claimed = device.identity in facts.state.claims
        if not claimed and facts.spec.new_disks is Taking.NEVER:
            steps.note(f"disk {device.path} of node {device.node} is free, and new disks are never taken")
            continue
        change = _device_change(facts, device)
        wanted_server = servers.get((device.node, device.pool.domain))
        server = _server_change(facts, wanted_server) if wanted_server is not None else None
        ask = facts.spec.new_disks is Taking.ASK and not claimed and not welcomed.gives(device)
        steps.add(
            change,
            device.because,
            JoinNode(device.node),
            AddPool(device.pool, spares[device.pool]),
            server,
            destructive=True,
            consent=Consent.NEEDED if ask else Consent.NONE,
        )


def _device_change(facts: Facts, device: WantedDevice) -> AddDevice:
    node = facts.nodes.get(device.node)
    disks = node.disks if node is not None else ()
    disk = next((one for one in disks if one.identity == device.identity), None)
    name = disk.stable_path or disk.path if disk is not None else device.path
    return AddDevice(device.node, device.identity, device.path, device.pool, device.size_bytes, name)


def plan_clients(facts: Facts, steps: Steps, created: NewEngine | None) -> None:
    """Nodes that use volumes."""
    known = {client.guid for client in facts.engine.clients}
    for wanted in facts.topology.clients:
        if facts.alive(wanted.node) is None:
            continue
        if facts.guid(wanted.node) not in known or not facts.state.node(wanted.node).is_client:
            steps.add(AddClient(wanted.node), wanted.because, created, JoinNode(wanted.node))
