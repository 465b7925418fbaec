"""Measuring everything once a pass: what is seen and remembered, as numbers by the names of the catalogue."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from statistics import median
from types import MappingProxyType

from artesian.model.disk import PoolName
from artesian.model.engine import NO_LIMITS, EngineSeen, SeenManager, SeenVolume
from artesian.model.names import device_name, server_name
from artesian.model.node import Node, NodeState
from artesian.model.observation import Observation
from artesian.model.rule import Scope
from artesian.model.spec import DEFAULT_POOL
from artesian.model.state import FrameworkState
from artesian.model.topology import DiskVerdict, VerdictKind
from artesian.remedy.capacity import capacities, used_share
from artesian.remedy.forecast import Forecast
from artesian.remedy.stopwatch import Stopwatch

CLUSTER = "cluster"  # the one thing of this scope
CLOCK_SKEW = "MON_CLOCK_SKEW"  # as Ceph calls it
Values = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Measured:
    """A thing and its metrics; those that are not known are not there.

    `thing` is what remedies call it: the name of a pool (`domain/pool`), node or volume, the engine's name of
    a device, the node of a manager of ours and the engine's name of another one. `title` is for people.
    `other_names` are further ones by which rules may select it.
    """

    scope: Scope
    thing: str
    values: Values
    title: str = ""
    other_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Absences:
    """How long nodes have been silent or gone, and managers unhealthy; only those that are."""

    nodes: Mapping[str, Stopwatch] = field(default_factory=lambda: MappingProxyType({}))
    managers: Mapping[str, Stopwatch] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Known:
    """What measuring needs beyond one look.

    `expansion_lead_s`: how long new disks take; None if there are none to be had. `device_health`: what is
    known of devices by their names (`error_count`, `latency_s`, `peers_latency_s`, `iops`, `smart_failing`).
    `verdicts`: of the wanted topology; None if it is not known. `capacity`: what each pool can hold, in
    bytes, if it has been worked out already.
    """

    forecasts: Mapping[PoolName, Forecast] = field(default_factory=lambda: MappingProxyType({}))
    absences: Absences = Absences()
    expansion_lead_s: float | None = None
    device_health: Mapping[str, Values] = field(default_factory=lambda: MappingProxyType({}))
    verdicts: tuple[DiskVerdict, ...] | None = None
    capacity: Mapping[PoolName, int] | None = None


def note_absences(before: Absences, seen: Observation, state: FrameworkState, now_s: float) -> Absences:
    """Who is away, and how long by now. While the engine does not answer, nobody knows of its managers."""
    nodes = {name: before.nodes.get(name, Stopwatch()).still(now_s) for name in _away(seen, state)}
    if seen.engine is None:
        managers = {name: watch.unknown() for name, watch in before.managers.items()}
    else:
        managers = {
            one.name: before.managers.get(one.name, Stopwatch()).still(now_s)
            for one in seen.engine.managers
            if not one.healthy
        }
    return Absences(MappingProxyType(nodes), MappingProxyType(managers))


def _away(seen: Observation, state: FrameworkState) -> list[str]:
    """Nodes that are silent or gone, or that nobody mentions although they are used."""
    there = {node.name for node in seen.nodes}
    away = [node.name for node in seen.nodes if node.state is not NodeState.ALIVE]
    return away + [name for name, record in state.nodes.items() if record.joined and name not in there]


def measure(seen: Observation, state: FrameworkState, known: Known) -> tuple[Measured, ...]:
    """Everything: the cluster first, then nodes, and what the engine knows of if it answers; by name."""
    found = [Measured(Scope.CLUSTER, CLUSTER, MappingProxyType(_cluster(seen)), "the cluster")]
    found += _nodes(seen, state, known)
    engine = seen.engine
    if engine is not None:
        found += _pools(engine, known)
        found += _devices(engine, state, known)
        found += _managers(engine, state, known)
        found += _volumes(engine, state, seen)
    return tuple(found)


def _cluster(seen: Observation) -> dict[str, float]:
    values: dict[str, float] = {
        "nodes": len(seen.nodes),
        "nodes_away": sum(node.state is not NodeState.ALIVE for node in seen.nodes),
        "engine_up": float(seen.engine is not None),
    }
    engine = seen.engine
    if engine is None:
        return values
    return values | {
        "managers": len(engine.managers),
        "managers_healthy": sum(manager.healthy for manager in engine.managers),
        "degraded_bytes": sum(pool.degraded_bytes for pool in engine.pools),
        "failed_bytes": sum(pool.failed_bytes for pool in engine.pools),
        "moving_bytes": sum(pool.moving_bytes for pool in engine.pools),
        "devices_failed": sum(device.failed for device in engine.devices),
        "warnings": len(engine.warnings),
        "clock_skew": float(any(one.code == CLOCK_SKEW for one in engine.warnings)),
    }


# --- nodes


def _nodes(seen: Observation, state: FrameworkState, known: Known) -> Iterator[Measured]:
    there = {node.name: node for node in seen.nodes}
    used = {name for name, record in state.nodes.items() if record.joined}
    managers = {place.node for place in state.engine.managers} if state.engine is not None else set()
    volumes = _volumes_on(seen, state)
    free = _free_disks(known.verdicts)
    for name in sorted(there.keys() | used):
        record, node = state.node(name), there.get(name)
        watch = known.absences.nodes.get(name)
        values: dict[str, float] = {
            "silent": float(node is None or node.state is NodeState.SILENT),
            "gone": float(node is not None and node.state is NodeState.GONE),
            "unreachable": float(node is not None and node.unreachable),
            "away_s": watch.total_s if watch is not None else 0.0,
            "in_use": float(bool(record.domains) or record.is_client or name in managers),
            "in_maintenance": float(record.in_maintenance),
            "leaving": float(record.leaving),
            "drained": float(node is not None and node.leaving),
            "volumes": volumes[name],
        }
        if free is not None and _is_alive(node):
            values["free_disks"] = free[name]
        yield Measured(Scope.NODE, name, MappingProxyType(values), f"node {name}")


def _volumes_on(seen: Observation, state: FrameworkState) -> Counter[str | None]:
    """How many volumes each node has: those that are wished there, and those that it has not let go of."""
    names = {state.guid_of(name): name for name in state.nodes}
    volumes = seen.engine.volumes if seen.engine is not None else ()
    mapped = {one.id: {names[guid] for guid in one.mapped_to if guid in names} for one in volumes}
    found: Counter[str | None] = Counter()
    for wish in state.volumes.values():
        there: set[str | None] = {*mapped.get(wish.engine_id or "", ())}
        if not wish.deleted:
            there.add(wish.node)
        found.update(there)
    return found


def _is_alive(node: Node | None) -> bool:
    return node is not None and node.state is NodeState.ALIVE


def _free_disks(verdicts: Iterable[DiskVerdict] | None) -> Counter[str] | None:
    if verdicts is None:
        return None
    return Counter(verdict.node for verdict in verdicts if verdict.kind is VerdictKind.FREE)


# --- what the engine knows


def _pools(engine: EngineSeen, known: Known) -> Iterator[Measured]:
    devices = Counter(device.pool for device in engine.devices)
    latencies = _latencies(engine, known)
    room = known.capacity if known.capacity is not None else capacities(engine)
    for pool in sorted(engine.pools, key=lambda one: one.name):
        values: dict[str, float] = {
            "size_bytes": pool.size_bytes,
            "used_bytes": pool.used_bytes,
            "free_bytes": pool.free_bytes,
            "capacity_bytes": room[pool.name],
            "degraded_bytes": pool.degraded_bytes,
            "failed_bytes": pool.failed_bytes,
            "moving_bytes": pool.moving_bytes,
            "device_count": devices[pool.name],
        }
        if pool.iops is not None:
            values["iops"] = pool.iops
        if pool.name in latencies:
            values["latency_s"] = median(latencies[pool.name])
        share, forecast = used_share(pool, room[pool.name]), known.forecasts.get(pool.name)
        if share is not None:
            values["used_share"] = share
        if known.expansion_lead_s is not None:
            values["expansion_lead_s"] = known.expansion_lead_s
        if forecast is not None and forecast.is_known:
            values["time_to_full_s"] = forecast.time_to_full_s
            values["fill_rate"] = forecast.bytes_per_s
            values["forecast_sure"] = forecast.sure
        names = (pool.name.pool,) if pool.name.domain == DEFAULT_POOL.domain else ()
        yield Measured(Scope.POOL, str(pool.name), MappingProxyType(values), f"pool {pool.name}", names)


def _latencies(engine: EngineSeen, known: Known) -> Mapping[PoolName, list[float]]:
    """What the devices of each pool take for a request, as far as that is known."""
    found: defaultdict[PoolName, list[float]] = defaultdict(list)
    for device in engine.devices:
        health = known.device_health.get(device.name)
        if health is not None and "latency_s" in health:
            found[device.pool].append(health["latency_s"])
    return found


def _devices(engine: EngineSeen, state: FrameworkState, known: Known) -> Iterator[Measured]:
    nodes = {
        server_name(name, domain): name for name, record in state.nodes.items() for domain in record.domains
    }
    identities = {device_name(identity): identity for identity in state.claims}
    once = {id(device.pool): device.pool for device in engine.devices}  # most devices share a few
    pools = {key: str(pool) for key, pool in once.items()}
    for device in sorted(engine.devices, key=attrgetter("name")):
        measured = _device(
            device.name,
            device.path,
            device.server,
            pools[id(device.pool)],
            device.size_bytes,
            device.failed,
            device.leaving,
            identities.get(device.name),
            nodes.get(device.server),
        )
        health = known.device_health.get(device.name)
        if health:
            measured = replace(measured, values=MappingProxyType({**health, **measured.values}))
        yield measured


@functools.lru_cache(maxsize=1 << 18)
def _device(
    name: str,
    path: str,
    server: str,
    pool: str,
    size_bytes: int,
    failed: bool,
    leaving: bool,
    identity: str | None,
    node: str | None,
) -> Measured:
    """Of a hundred thousand devices, few have changed since the last look, but for their latencies."""
    where = f"node {node}" if node is not None else f"server {server}"
    names = (identity, node, f"{node or server}:{path}", pool)
    return Measured(
        Scope.DEVICE,
        name,
        _device_values(failed, leaving, identity is not None, size_bytes),
        f"device {path} of {where}",
        tuple(name for name in names if name is not None),
    )


@functools.lru_cache(maxsize=4096)
def _device_values(failed: bool, leaving: bool, ours: bool, size_bytes: int) -> Values:
    """One mapping for all devices that are alike: rules then judge them but once."""
    return MappingProxyType(
        {"failed": float(failed), "leaving": float(leaving), "ours": float(ours), "size_bytes": size_bytes}
    )


def _managers(engine: EngineSeen, state: FrameworkState, known: Known) -> Iterator[Measured]:
    places = state.engine.managers if state.engine is not None else ()
    node_at = {place.address: place.node for place in places}

    def thing(manager: SeenManager) -> str:
        return node_at.get(manager.host, manager.name)

    for manager in sorted(engine.managers, key=thing):
        node, watch = node_at.get(manager.host), known.absences.managers.get(manager.name)
        values: dict[str, float] = {
            "healthy": float(manager.healthy),
            "away_s": watch.total_s if watch is not None else 0.0,
            "ours": float(node is not None),
            "in_maintenance": float(node is not None and state.node(node).in_maintenance),
        }
        title = f"the manager on node {node}" if node is not None else f"manager {manager.name}"
        yield Measured(
            Scope.MANAGER, thing(manager), MappingProxyType(values), title, (manager.name, manager.host)
        )


def _volumes(engine: EngineSeen, state: FrameworkState, seen: Observation) -> Iterator[Measured]:
    filled = _filled_shares(seen)
    ours = {wish.engine_id: wish.name for wish in state.volumes.values() if wish.engine_id is not None}
    named = {volume.id: ours.get(volume.id, volume.name) for volume in engine.volumes}
    of_drills = {drill.volume for drill in state.drills.values()}  # they go again: nothing is wrong with them
    for volume in sorted(engine.volumes, key=lambda one: (named[one.id], one.id)):
        if named[volume.id] in of_drills:
            continue
        values: dict[str, float] = {
            "size_bytes": volume.size_bytes,
            "attached": float(bool(volume.mapped_to or volume.mapped_read_only)),
            "ours": float(volume.id in ours),
        }
        if volume.id in filled:
            values["used_share"] = filled[volume.id]
        values |= _work(volume)
        name = named[volume.id]
        yield Measured(Scope.VOLUME, name, MappingProxyType(values), f"volume {name}", (str(volume.pool),))


def _work(volume: SeenVolume) -> dict[str, float]:
    """What a volume does now, and how much of its limits that is."""
    iops, bandwidth = volume.iops, volume.bandwidth_bytes_per_s
    values = {name: one for name, one in (("iops", iops), ("bandwidth", bandwidth)) if one is not None}
    limits = volume.limits_of(volume.mapped_to[0]) if volume.mapped_to and volume.limits else NO_LIMITS
    if limits.iops:
        values["limit_iops"] = limits.iops
    shares = [
        done / most
        for done, most in ((iops, limits.iops), (bandwidth, limits.bandwidth_bytes_per_s))
        if most and done is not None
    ]
    if shares:
        values["limited_share"] = min(1.0, max(shares))
    return values


def _filled_shares(seen: Observation) -> dict[str, float]:
    """How full the file systems of volumes are that are mounted on a node which reports, by volume id."""
    alive = {node.name for node in seen.nodes if node.state is NodeState.ALIVE}
    return {
        one.volume_id: min(1.0, one.used_bytes / one.total_bytes)
        for one in seen.attachments
        if one.node in alive and one.mounted_at is not None and one.used_bytes is not None and one.total_bytes
    }
