"""Capacity and healing in PowerFlex' names: pure functions of the state and the leader's observations.

All figures are raw, both copies counted, in KB of 1,024 bytes, unless a name says `net`. The identity
`unused = limit - spare - in use` holds exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from artesian.embedded.state.live import DeviceLive, Live
from artesian.embedded.state.model import CHUNK_BYTES, CopyState, Device, Slice, State, StoragePool

CHUNK_KB = CHUNK_BYTES // 1024
ALLOCATION_GRAIN_KB = 1 << 20  # volumes come in whole GiB
_NOTHING = DeviceLive("opening")


@dataclass(frozen=True, slots=True)
class SliceHealth:
    """How many slices are in which condition."""

    protected: int = 0
    degraded: int = 0  # one in-sync copy, nothing under way
    healing: int = 0  # one in-sync copy, another being made
    unavailable: int = 0  # no in-sync copy on a device that answers


def device_slots(live: Live) -> dict[str, int]:
    """Used slots of every device that reports."""
    return {id: device.used_slots for id, device in live.devices.items()}


def _answers(state: State, live: Live, device_id: str) -> bool:
    device = state.devices.get(device_id)
    if device is None or device.error is not None:
        return False
    server = live.servers.get(device.server_id)
    return server is not None and server.connected


def slice_health(state: State, live: Live, pool: StoragePool) -> SliceHealth:
    """The pool's slices by condition."""
    counts = {"protected": 0, "degraded": 0, "healing": 0, "unavailable": 0}
    for one in pool.slices:
        counts[condition(state, live, one)] += 1
    return SliceHealth(**counts)


def condition(state: State, live: Live, one: Slice) -> str:
    """ "protected" | "degraded" | "healing" | "unavailable"."""
    in_sync = [copy.device_id for copy in one.copies if copy.state is CopyState.IN_SYNC]
    answering = [id for id in in_sync if _answers(state, live, id)]
    if in_sync and not answering:
        return "unavailable"
    if len(in_sync) >= 2:
        return "protected" if len(answering) >= 2 else "degraded"
    return "healing" if one.join is not None else "degraded"


def available_bytes(state: State, live: Live, pool_id: str) -> int:
    """Raw bytes that a thick volume could take in this pool now."""
    figures = pool_statistics(state, live, pool_id)
    reserve = sum(
        2 * volume.size_bytes
        for volume in state.volumes.values()
        if volume.storage_pool_id == pool_id and not volume.thin and volume.lifecycle.value == "adding"
    )
    return max(0, int(figures["unusedCapacityInKb"]) * 1024 - reserve)


def pool_statistics(state: State, live: Live, pool_id: str) -> dict[str, Any]:
    """A pool's statistics."""
    return _statistics(
        state,
        live,
        [state.storage_pools[pool_id]],
        [device for device in state.devices.values() if device.storage_pool_id == pool_id],
        share=False,
    )


def device_statistics(state: State, live: Live, device_id: str) -> dict[str, Any]:
    """A device's statistics."""
    device = state.devices[device_id]
    return _statistics(state, live, [state.storage_pools[device.storage_pool_id]], [device], share=True)


def server_statistics(state: State, live: Live, server_id: str) -> dict[str, Any]:
    """A server's statistics."""
    devices = [device for device in state.devices.values() if device.server_id == server_id]
    pools = [state.storage_pools[id] for id in sorted({device.storage_pool_id for device in devices})]
    return _statistics(state, live, pools, devices, share=True) | {"numOfSds": 1}


def fault_set_statistics(state: State, live: Live, fault_set_id: str) -> dict[str, Any]:
    """The statistics of all servers of a fault set together."""
    servers = {id for id, server in state.servers.items() if server.fault_set_id == fault_set_id}
    devices = [device for device in state.devices.values() if device.server_id in servers]
    pools = [state.storage_pools[id] for id in sorted({device.storage_pool_id for device in devices})]
    return _statistics(state, live, pools, devices, share=True) | {"numOfSds": len(servers)}


def domain_statistics(state: State, live: Live, domain_id: str) -> dict[str, Any]:
    """A protection domain's statistics."""
    pools = [pool for pool in state.storage_pools.values() if pool.protection_domain_id == domain_id]
    ids = {pool.id for pool in pools}
    devices = [device for device in state.devices.values() if device.storage_pool_id in ids]
    figures = _statistics(state, live, pools, devices, share=False)
    servers = [one for one in state.servers.values() if one.protection_domain_id == domain_id]
    return figures | {"numOfStoragePools": len(pools), "numOfSds": len(servers)}


def system_statistics(state: State, live: Live) -> dict[str, Any]:
    """The whole engine's statistics."""
    figures = _statistics(
        state, live, list(state.storage_pools.values()), list(state.devices.values()), share=False
    )
    return figures | {
        "numOfProtectionDomains": len(state.protection_domains),
        "numOfStoragePools": len(state.storage_pools),
        "numOfSds": len(state.servers),
        "numOfSdc": len(state.clients),
        "numOfFaultSets": len(state.fault_sets),
    }


def _statistics(
    state: State, live: Live, pools: list[StoragePool], devices: list[Device], *, share: bool
) -> dict[str, Any]:
    ids = {device.id for device in devices}
    pool_ids = {pool.id for pool in pools}
    volumes = [volume for volume in state.volumes.values() if volume.storage_pool_id in pool_ids]
    figures: dict[str, Any] = dict(_sizes(state, live, devices))
    figures |= _volume_figures(live, devices, volumes, share=share)
    figures |= _protection(state, live, pools, ids, share=share)
    figures |= _healing(state, live, pools, ids, share=share)
    figures |= _traffic(live, devices)
    available = figures["unusedCapacityInKb"] // 2 // ALLOCATION_GRAIN_KB * ALLOCATION_GRAIN_KB
    figures |= {
        "capacityAvailableForVolumeAllocationInKb": available,
        "volumeAllocationLimitInKb": available,
        "netUnusedCapacityInKb": figures["unusedCapacityInKb"] // 2,
        "netCapacityInUseInKb": figures["capacityInUseInKb"] // 2,
        "netUserDataCapacityInKb": figures["capacityInUseInKb"] // 2,
        "numOfDevices": len(devices),
        "deviceIds": sorted(ids),
        "numOfVolumes": len(volumes),
        "volumeIds": sorted(volume.id for volume in volumes),
        "numOfVtrees": len({volume.vtree_id for volume in volumes}),
        "numOfThinBaseVolumes": sum(volume.thin for volume in volumes),
        "numOfThickBaseVolumes": sum(not volume.thin for volume in volumes),
        "numOfUnmappedVolumes": sum(not volume.mappings for volume in volumes),
        "numOfSnapshots": 0,
    }
    return figures


def _sizes(state: State, live: Live, devices: list[Device]) -> dict[str, int]:
    maximum = spare = used = unreachable = 0
    for device in devices:
        slots = device.slot_count
        percentage = state.storage_pools[device.storage_pool_id].spare_percentage
        own_spare = slots - slots * (100 - percentage) // 100
        own_used = live.devices.get(device.id, _NOTHING).used_slots
        maximum += slots
        spare += own_spare
        used += own_used
        if not _answers(state, live, device.id):
            unreachable += max(0, slots - own_spare - own_used)
    limit_kb, spare_kb, used_kb = maximum * CHUNK_KB, spare * CHUNK_KB, used * CHUNK_KB
    return {
        "maxCapacityInKb": limit_kb,
        "capacityLimitInKb": limit_kb,
        "spareCapacityInKb": spare_kb,
        "capacityInUseInKb": used_kb,
        "unusedCapacityInKb": limit_kb - spare_kb - used_kb,
        "unreachableUnusedCapacityInKb": unreachable * CHUNK_KB,
    }


def _volume_figures(live: Live, devices: list[Device], volumes: list[Any], *, share: bool) -> dict[str, int]:
    slots: dict[str, int] = {}
    for device in devices:
        for number, count in live.devices.get(device.id, _NOTHING).volume_slots.items():
            slots[number] = slots.get(number, 0) + count
    thick = sum(slots.get(str(volume.number), 0) for volume in volumes if not volume.thin)
    thin = sum(slots.get(str(volume.number), 0) for volume in volumes if volume.thin)
    allocated = 0 if share else sum(2 * volume.size_bytes // 1024 for volume in volumes if volume.thin)
    address_space = 0 if share else sum(2 * volume.size_bytes // 1024 for volume in volumes)
    return {
        "thickCapacityInUseInKb": thick * CHUNK_KB,
        "thinCapacityInUseInKb": thin * CHUNK_KB,
        "thinCapacityAllocatedInKb": allocated,
        "thinCapacityAllocatedInKm": allocated,
        "inUseVacInKb": address_space,
        "primaryVacInKb": address_space // 2,
        "secondaryVacInKb": address_space // 2,
        "snapCapacityInUseInKb": 0,
        "snapshotCapacityInKb": 0,
        "snapCapacityInUseOccupiedInKb": 0,
    }


def _used_per_slice_kb(state: State, live: Live, pool: StoragePool) -> dict[str, float]:
    """What one slice takes on each device, if its data were spread evenly over its slices."""
    held: dict[str, int] = {}
    for one in pool.slices:
        for copy in one.copies:
            held[copy.device_id] = held.get(copy.device_id, 0) + 1
    return {
        id: live.devices.get(id, _NOTHING).used_slots * CHUNK_KB / count
        for id, count in held.items()
        if count
    }


def _protection(
    state: State, live: Live, pools: list[StoragePool], ids: set[str], *, share: bool
) -> dict[str, int]:
    totals = {"protected": 0.0, "degraded": 0.0, "healing": 0.0, "unavailable": 0.0}
    for pool in pools:
        per_slice = _used_per_slice_kb(state, live, pool)
        for one in pool.slices:
            copies = [copy for copy in one.copies if not share or copy.device_id in ids]
            good = [copy for copy in copies if copy.state is CopyState.IN_SYNC]
            size = sum(per_slice.get(copy.device_id, 0.0) for copy in good)
            totals[condition(state, live, one)] += size
    return {
        "protectedCapacityInKb": round(totals["protected"]),
        "degradedHealthyCapacityInKb": round(totals["degraded"]),
        "degradedFailedCapacityInKb": round(totals["degraded"]),
        "semiProtectedCapacityInKb": round(totals["healing"]),
        "failedCapacityInKb": round(totals["unavailable"]),
    }


def _healing(
    state: State, live: Live, pools: list[StoragePool], ids: set[str], *, share: bool
) -> dict[str, Any]:
    """Joins in PowerFlex' kinds: forward = to another device, backward = to the one that was away."""
    kinds = {
        "resync": "BckRebuild",
        "rebuild": "FwdRebuild",
        "rebalance": "Rebalance",
        "evacuate": "Rebalance",
    }
    active = {"BckRebuild": 0, "FwdRebuild": 0, "NormRebuild": 0, "Rebalance": 0}
    rates = dict.fromkeys(active, 0.0)
    jobs = dict.fromkeys(active, 0)
    waiting = 0.0
    for pool in pools:
        per_slice = _used_per_slice_kb(state, live, pool)
        for one in pool.slices:
            join = one.join
            if share and not ids & {copy.device_id for copy in one.copies}:
                continue
            if join is not None:
                kind = kinds[join.reason]
                seen = live.joins.get(join.job_id)
                jobs[kind] += 1
                if seen is not None:
                    active[kind] += max(0, seen.total_bytes - seen.copied_bytes) // 1024
                    rates[kind] += seen.rate_bytes_per_s
            elif condition(state, live, one) == "degraded":
                waiting += max((per_slice.get(copy.device_id, 0.0) for copy in one.copies), default=0.0)
    figures: dict[str, Any] = {}
    for kind, size in active.items():
        lower = kind[0].lower() + kind[1:]
        pending = round(waiting) if kind == "FwdRebuild" else 0
        figures[f"{lower}CapacityInKb"] = size + pending
        figures[f"active{kind}CapacityInKb"] = size
        figures[f"pending{kind}CapacityInKb"] = pending
        figures[f"{lower}ReadBwc"] = figures[f"{lower}WriteBwc"] = bandwidth(rates[kind], jobs[kind])
    moving = sum(active.values())
    figures |= {
        "movingCapacityInKb": moving + round(waiting),
        "activeMovingCapacityInKb": moving,
        "pendingMovingCapacityInKb": round(waiting),
        "activeMovingInFwdRebuildJobs": jobs["FwdRebuild"],
        "activeMovingInBckRebuildJobs": jobs["BckRebuild"],
        "activeMovingInNormRebuildJobs": 0,
        "activeMovingRebalanceJobs": jobs["Rebalance"],
    }
    return figures


def bandwidth(bytes_per_s: float, operations_per_s: float = 0) -> dict[str, int]:
    """PowerFlex' way of saying a rate."""
    return {
        "numSeconds": 5,
        "totalWeightInKb": round(bytes_per_s * 5 / 1024),
        "numOccured": round(operations_per_s * 5),
    }


def _traffic(live: Live, devices: Iterable[Device]) -> dict[str, int]:
    """Totals since the servers started; whoever wants rates takes differences."""
    reports = [live.devices.get(device.id, _NOTHING) for device in devices]
    return {
        "totalReadBytes": sum(report.read_bytes for report in reports),
        "totalReadCount": sum(report.read_count for report in reports),
        "totalWriteBytes": sum(report.write_bytes for report in reports),
        "totalWriteCount": sum(report.write_count for report in reports),
    }
