"""Whether devices can be removed: what remains must have room for the data, and keep two copies of it.

Judged by what the state knows, so that every manager comes to the same answer; how full devices are is told
by the command. Slices are taken to be equally full on each device.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Set

from artesian.embedded.state.model import (
    CHUNK_BYTES,
    CopyState,
    Device,
    Lifecycle,
    Slice,
    State,
    StoragePool,
)
from artesian.embedded.state.refusals import NO_ROOM_FOR_DATA, TOO_FEW_COPIES_LEFT, refuse
from artesian.embedded.state.slices import fault_unit


def check_removal(
    state: State, leaving: Collection[str], used_slots: Mapping[str, int], *, force: bool
) -> None:
    """Refuse to remove these devices if that would strand data or leave it one copy (unless `force`).

    `used_slots`: of every device, as last reported; those of others are estimated.
    """
    for pool_id in sorted({state.devices[device_id].storage_pool_id for device_id in leaving}):
        if any(volume.storage_pool_id == pool_id for volume in state.volumes.values()):
            _check_pool(state, state.storage_pools[pool_id], set(leaving), used_slots, force=force)


def _check_pool(
    state: State, pool: StoragePool, leaving: Set[str], used_slots: Mapping[str, int], *, force: bool
) -> None:
    members = [device for device in state.devices.values() if device.storage_pool_id == pool.id]
    staying = {device.id: device for device in members if device.id not in leaving and _stays(state, device)}
    if not any(copy.device_id in leaving for one in pool.slices for copy in one.copies):
        return
    if not staying:
        refuse(NO_ROOM_FOR_DATA, "No device would remain for the data; remove the volumes first")
    units = {device.id: fault_unit(state, device.id) for device in members}
    remaining = {units[device_id] for device_id in staying}
    if len(remaining) < 2 <= len(set(units.values())) and not force:
        refuse(
            TOO_FEW_COPIES_LEFT,
            "Fewer than two fault units would remain: the data could not have two copies",
        )
    per_slice = _slots_per_slice(pool, members, used_slots)
    room: Counter[str] = Counter()
    for device_id, device in staying.items():
        held = sum(copy.device_id == device_id for one in pool.slices for copy in one.copies)
        used = used_slots.get(device_id, math.ceil(held * per_slice[device_id]))
        room[units[device_id]] += max(0, _slots(device) - used)
    needs = _needs(pool, {device_id: units[device_id] for device_id in staying}, per_slice, len(remaining))
    missing = _shortage(needs, room)
    if missing:
        refuse(
            NO_ROOM_FOR_DATA,
            f"The remaining devices lack {missing * CHUNK_BYTES >> 20} MiB for the data of what is removed",
        )


def _stays(state: State, device: Device) -> bool:
    server = state.servers[device.server_id]
    return device.error is None and device.lifecycle is server.lifecycle is Lifecycle.NORMAL


def _slots(device: Device) -> int:
    if device.capacity_limit_bytes:
        return min(device.slot_count, device.capacity_limit_bytes // CHUNK_BYTES)
    return device.slot_count


def _slots_per_slice(
    pool: StoragePool, members: Collection[Device], used_slots: Mapping[str, int]
) -> dict[str, float]:
    """How full a slice is on each device; on those that did not report, as full as on the others."""
    held = Counter(copy.device_id for one in pool.slices for copy in one.copies)
    known = [device.id for device in members if device.id in used_slots and held[device.id]]
    copies = sum(held[device_id] for device_id in known)
    mean = sum(used_slots[device_id] for device_id in known) / copies if copies else 0.0
    exact = {device_id: used_slots[device_id] / held[device_id] for device_id in known}
    return {device.id: exact.get(device.id, mean) for device in members}


def _needs(
    pool: StoragePool, units: Mapping[str, str], per_slice: Mapping[str, float], unit_count: int
) -> dict[str, float]:
    """Chunks of copies that have to be made, by the fault unit that may not take them ("": any may)."""
    chunks: dict[str, float] = {}
    for one in pool.slices:
        taken = {units[copy.device_id] for copy in one.copies if copy.device_id in units}
        lacking = min(2, unit_count) - len(taken)
        if one.copies and lacking > 0:
            unit = next(iter(taken), "")
            chunks[unit] = chunks.get(unit, 0.0) + lacking * _fullness(one, units, per_slice)
    return chunks


def _fullness(one: Slice, staying: Collection[str], per_slice: Mapping[str, float]) -> float:
    """About how many chunks a slice has: as many as its in-sync copy that leaves, or else that stays."""
    good = [copy.device_id for copy in one.copies if copy.state is CopyState.IN_SYNC]
    leaving = [device_id for device_id in good if device_id not in staying]
    return max((per_slice[device_id] for device_id in leaving or good), default=0.0)


def _shortage(needs: Mapping[str, float], room: Mapping[str, int]) -> int:
    """How many chunks of room are missing.

    What must avoid one unit can go to any other, so only the whole and each single unit can be short.
    """
    whole = sum(room.values())
    missing = [needed - (whole - room.get(unit, 0)) for unit, needed in needs.items()]
    return math.ceil(round(max(0.0, sum(needs.values()) - whole, *missing), 6))
