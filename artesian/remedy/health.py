"""The health of devices, out of what the engine measures and what their disks say of themselves. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from artesian.model.disk import PoolName
from artesian.model.engine import EngineSeen
from artesian.model.names import device_name
from artesian.model.observation import Observation
from artesian.remedy.measuring import Values

FEWEST_PEERS = 3  # with fewer others, nobody can say which of them is the odd one


def device_health(seen: Observation) -> Mapping[str, Values]:
    """What is known, by the engine's names of devices: see `remedy.metrics`, scope device."""
    engine = seen.engine
    if engine is None:
        return {}
    failing = _disks_failing(seen)
    found = _latencies(engine)
    for device in engine.devices:
        says = True if device.media_failing else failing.get(device.name)
        if device.error_count is None and says is None and device.iops is None:
            continue
        values = found.setdefault(device.name, {})
        if device.error_count is not None:
            values["error_count"] = device.error_count
        if device.iops is not None:
            values["iops"] = _rounded(device.iops)
        if says is not None:
            values["smart_failing"] = float(says)
    return found


def _disks_failing(seen: Observation) -> dict[str, bool]:
    return {
        device_name(disk.identity): disk.smart.failing
        for node in seen.nodes
        for disk in node.disks
        if disk.smart is not None and disk.identity is not None
    }


def _latencies(engine: EngineSeen) -> dict[str, dict[str, float]]:
    """Reads are compared with reads and writes with writes; what counts is where a device lags the most."""
    reads: defaultdict[PoolName, list[tuple[str, float]]] = defaultdict(list)
    writes: defaultdict[PoolName, list[tuple[str, float]]] = defaultdict(list)
    for device in engine.devices:
        if device.failed:
            continue
        if device.read_latency_s is not None:
            reads[device.pool].append((device.name, _rounded(device.read_latency_s)))
        if device.write_latency_s is not None:
            writes[device.pool].append((device.name, _rounded(device.write_latency_s)))
    found: dict[str, dict[str, float]] = {}
    for known in (*reads.values(), *writes.values()):
        for name, values in _compared(known):
            before = found.get(name)
            if before is None or _lag(values) > _lag(before):
                found[name] = values
    return found


def _rounded(value: float) -> float:
    """Nobody decides by more than two digits, and devices that are alike are judged but once."""
    return float(f"{value:.1e}")


def _compared(known: list[tuple[str, float]]) -> Iterable[tuple[str, dict[str, float]]]:
    """The devices of a pool with their latencies and, if there are enough, the medians of the others'."""
    ranked = sorted(latency_s for _, latency_s in known)
    for name, latency_s in known:
        if len(ranked) <= FEWEST_PEERS:
            yield name, {"latency_s": latency_s}
        else:
            peers_s = _rounded(_median_without(ranked, latency_s))
            yield name, {"latency_s": latency_s, "peers_latency_s": peers_s}


def _median_without(ranked: list[float], own: float) -> float:
    """The median of sorted numbers without this one of them."""
    middle = len(ranked) // 2
    if len(ranked) % 2 == 0:
        return ranked[middle] if own <= ranked[middle - 1] else ranked[middle - 1]
    below, at, above = ranked[middle - 1 : middle + 2]
    if own == at:
        return (below + above) / 2
    return (at + above) / 2 if own < at else (below + at) / 2


def _lag(values: Mapping[str, float]) -> tuple[float, float]:
    """How many times as long as the others it takes; if that is not known, how long."""
    peers_s = values.get("peers_latency_s")
    return values["latency_s"] / peers_s if peers_s else 0.0, values["latency_s"]
