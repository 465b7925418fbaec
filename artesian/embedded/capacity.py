"""Capacity and healing in PowerFlex' names: pure functions of the state and the leader's observations.

All figures are raw, both copies counted, in KB of 1,024 bytes, unless a name says `net`. The identity
`unused = limit - spare - in use` holds exactly, unless a device holds more than its limit allows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from artesian.embedded.protection import CHUNK_KB, healing_figures, protection_figures
from artesian.embedded.provisioning import allocatable_slots, answers, available_bytes, usable_slots
from artesian.embedded.state.live import DeviceLive, Live
from artesian.embedded.state.model import Device, State, StoragePool, Volume

__all__ = [
    "CHUNK_KB",
    "answering_devices",
    "available_bytes",
    "connected_servers",
    "device_problems",
    "device_room",
    "device_slots",
    "device_statistics",
    "domain_statistics",
    "fault_set_statistics",
    "pool_statistics",
    "server_statistics",
    "system_statistics",
]

ALLOCATION_GRAIN_KB = 1 << 20  # volumes come in whole GiB
_NOTHING = DeviceLive("opening")


def device_slots(live: Live) -> dict[str, int]:
    """Used slots of every device of which they are known."""
    return {id: report.used_slots for id, report in live.devices.items() if report.slot_count}


def connected_servers(live: Live) -> list[str]:
    """The servers that are there."""
    return sorted(id for id, seen in live.servers.items() if seen.connected)


def answering_devices(state: State, live: Live) -> list[str]:
    """The devices that can be read and written now."""
    return sorted(id for id in state.devices if answers(state, live, id))


def device_problems(state: State, live: Live) -> dict[str, str]:
    """Why devices cannot be read and written now, whatever the managers have held against them before."""
    problems = {}
    for device in state.devices.values():
        server, report = live.servers.get(device.server_id), live.devices.get(device.id)
        if server is None or not server.connected or report is None:
            problems[device.id] = "its server does not answer"
        elif report.state != "ready":
            problems[device.id] = report.error or f"it is {report.state}"
    return problems


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
    figures |= protection_figures(state, live, pools, ids)
    figures |= healing_figures(state, live, pools, ids)
    figures |= _traffic(live, devices)
    free_kb = [figures["unusedCapacityInKb"]]
    if not share:
        free_kb = [available_bytes(state, live, pool.id) // 1024 for pool in pools]
    available = sum(free // 2 // ALLOCATION_GRAIN_KB for free in free_kb) * ALLOCATION_GRAIN_KB
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
    """What healing has taken of the spare share is in use, and no longer spare."""
    maximum = limit = spare = used = unused = unreachable = in_maintenance = 0
    for device in devices:
        own_limit = usable_slots(device)
        own_used, own_spare, own_unused = _slots_of(state, live, device)
        maximum += device.slot_count
        limit += own_limit
        spare += own_spare
        used += own_used
        unused += own_unused
        if not answers(state, live, device.id):
            unreachable += own_unused
        if state.servers[device.server_id].in_maintenance:
            in_maintenance += own_used
    return {
        "maxCapacityInKb": maximum * CHUNK_KB,
        "capacityLimitInKb": limit * CHUNK_KB,
        "spareCapacityInKb": spare * CHUNK_KB,
        "capacityInUseInKb": used * CHUNK_KB,
        "unusedCapacityInKb": unused * CHUNK_KB,
        "unreachableUnusedCapacityInKb": unreachable * CHUNK_KB,
        "inMaintenanceCapacityInKb": in_maintenance * CHUNK_KB,
    }


def _slots_of(state: State, live: Live, device: Device) -> tuple[int, int, int]:
    """A device's slots: in use, spare, and what applications may still write to."""
    limit, used = usable_slots(device), live.devices.get(device.id, _NOTHING).used_slots
    pool = state.storage_pools[device.storage_pool_id]
    spare = max(0, min(limit - allocatable_slots(device, pool), limit - used))
    return used, spare, max(0, limit - spare - used)


def device_room(state: State, live: Live, device_id: str) -> dict[str, int]:
    """How full a device is: the two of its statistics that are asked for often, of all devices."""
    used, _, unused = _slots_of(state, live, state.devices[device_id])
    return {"capacityInUseInKb": used * CHUNK_KB, "unusedCapacityInKb": unused * CHUNK_KB}


def _volume_figures(
    live: Live, devices: list[Device], volumes: list[Volume], *, share: bool
) -> dict[str, int]:
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


def _traffic(live: Live, devices: Iterable[Device]) -> dict[str, int]:
    """Totals since the servers started; whoever wants rates takes differences."""
    reports = [live.devices.get(device.id, _NOTHING) for device in devices]
    return {
        "totalReadBytes": sum(report.read_bytes for report in reports),
        "totalReadCount": sum(report.read_count for report in reports),
        "totalWriteBytes": sum(report.write_bytes for report in reports),
        "totalWriteCount": sum(report.write_count for report in reports),
    }
