"""What follows from reports and absences, as commands: pure functions of the state and of what is seen.

Copies and joins are healing's business; this is about devices, servers and volumes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

from artesian.embedded.state.live import Live
from artesian.embedded.state.model import CopyState, Device, Lifecycle, State, Volume

Command = tuple[str, dict[str, Any]]

ABSENT_S = 2.0  # a server that has been away for so long misses writes
ABSENT_AT_MOST_S = 4.0  # so long others are waited for that went away right after it


def commands_for_reports(state: State, live: Live, allocating: Mapping[str, int]) -> list[Command]:
    """What servers have said of their devices and of volumes on them.

    `allocating` tells for each thick volume that is being allocated from which assignment on servers know
    its present size.
    """
    commands: list[Command] = []
    for device in state.devices.values():
        commands += _device_commands(device, live)
    commands += _dropped_volumes(state, live)
    for volume in state.volumes.values():
        version = allocating.get(volume.id) if volume.lifecycle is Lifecycle.ADDING else None
        if version is not None and _is_allocated(state, live, volume, version):
            args = {"volume_id": volume.id, "size_bytes": volume.size_bytes}
            commands.append(("volume_allocated", args))
    return commands


def _device_commands(device: Device, live: Live) -> Iterable[Command]:
    seen = live.devices.get(device.id)
    server = live.servers.get(device.server_id)
    if seen is None or server is None or not server.connected:
        return
    if device.lifecycle is Lifecycle.ADDING:
        if seen.state == "ready" and seen.slot_count > 0:
            args = {"device_id": device.id, "uuid": seen.uuid, "slot_count": seen.slot_count}
            yield "device_formatted", args
        elif seen.state in ("refused", "failed"):
            yield "device_refused", {"device_id": device.id, "error": seen.error or "it was refused"}
    elif seen.state in ("refused", "failed") and device.error is None:
        yield "device_failed", {"device_id": device.id, "error": seen.error or "it failed"}


def _dropped_volumes(state: State, live: Live) -> Iterable[Command]:
    done: dict[str, list[int]] = {}
    for number, waiting in state.deleted_volumes.items():
        for device_id in waiting:
            seen = live.devices.get(device_id)
            if seen is not None and int(number) in seen.dropped_volumes:
                done.setdefault(device_id, []).append(int(number))
    for device_id, numbers in done.items():
        yield "volume_chunks_dropped", {"device_id": device_id, "numbers": numbers}


def _is_allocated(state: State, live: Live, volume: Volume, version: int) -> bool:
    holders = {
        copy.device_id
        for one in state.storage_pools[volume.storage_pool_id].slices
        for copy in one.copies
        if copy.state is CopyState.IN_SYNC
    }
    for device_id in holders:
        server = live.servers.get(state.devices[device_id].server_id)
        seen = live.devices.get(device_id)
        if server is None or seen is None or server.version < version:
            return False
        if volume.number not in seen.allocated_volumes:
            return False
    return bool(holders)


def absent_device_ids(state: State, live: Live) -> list[str]:
    """Devices whose copies are to be marked stale, as their servers have been away too long; or none.

    Only when that changes something, and only while we have led long enough to know. Servers that go away
    together are marked together, so that no copy is given up for one that has gone as well: while a server
    has been away for a moment only, we wait a little to see whether it stays away.
    """
    if not live.settled:
        return []
    away_s = {id: live.now_s - seen.changed_s for id, seen in live.servers.items() if not seen.connected}
    gone = {id for id, seconds in away_s.items() if seconds >= ABSENT_S}
    if not gone:
        return []
    if len(gone) < len(away_s) and max(away_s.values()) < ABSENT_AT_MOST_S:
        return []
    absent = {device.id for device in state.devices.values() if device.server_id in gone}
    return sorted(absent) if marking_changes(state, absent) else []


def disconnected_device_ids(state: State, live: Live) -> set[str]:
    """Devices of all servers that are away at the moment, however shortly; none until we can know."""
    if not live.settled:
        return set()
    away = {id for id, seen in live.servers.items() if not seen.connected}
    return {device.id for device in state.devices.values() if device.server_id in away}


def marking_changes(state: State, device_ids: Set[str], away: Set[str] = frozenset()) -> bool:
    """Whether marking the copies on these devices as stale would change anything.

    Copies on devices that are `away` are no reason to give up another one.
    """
    for pool in state.storage_pools.values():
        for one in pool.slices:
            in_sync = {copy.device_id for copy in one.copies if copy.state is CopyState.IN_SYNC}
            if in_sync & device_ids and in_sync - device_ids - away:
                return True
            join = one.join
            if join is not None and device_ids & {join.source_device_id, join.target_device_id}:
                return True
    return False
