"""Whether what has to move fits on what may take it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping

from artesian.embedded.healing.policy import HealingPolicy, human_bytes
from artesian.embedded.healing.view import DeviceView, PoolView, view_pools
from artesian.embedded.state.live import Live
from artesian.embedded.state.model import CHUNK_BYTES, CopyState, Slice, State


def shortage(needs: Mapping[str, int], room: Mapping[str, int]) -> int:
    """How many chunks of room are missing.

    `needs` are chunks by the fault unit that may *not* take them ("" for none), `room` is by fault unit.
    What must avoid one unit can go to any other, so that only the whole and each single unit can be short.
    """
    whole = sum(room.values())
    missing = [needed - (whole - room.get(unit, 0)) for unit, needed in needs.items()]
    return max(0, sum(needs.values()) - whole, *missing) if missing else 0


def room_by_unit(view: PoolView, without: Collection[str] = ()) -> Counter[str]:
    """Free chunks of the devices that may receive copies, by fault unit."""
    room: Counter[str] = Counter()
    for device in view.devices.values():
        if _may_take(device, without):
            room[device.unit] += max(0, device.room())
    return room


def _may_take(device: DeviceView, without: Collection[str]) -> bool:
    return device.usable and device.device_id not in without


def average_slots(view: PoolView, item: Slice) -> float:
    """About how many chunks a slice has: by the fuller of its in-sync copies' devices."""
    found = 0.0
    for copy in item.copies:
        device = view.devices[copy.device_id]
        if copy.state == CopyState.IN_SYNC and device.copies:
            found = max(found, device.used / device.copies)
    return found


def obstacle_to_removal(
    state: State, live: Live, policy: HealingPolicy, device_ids: Collection[str]
) -> str | None:
    """Why the data of these devices cannot be moved away now, in one sentence; None: it can.

    To be asked before a device or a server is removed.
    """
    for view in view_pools(state, live, policy):
        held = [
            item for item in view.pool.slices if any(copy.device_id in device_ids for copy in item.copies)
        ]
        if not held or not view.has_volumes:
            continue
        chunks: dict[str, float] = {}
        for item in held:
            leaving = [copy.device_id for copy in item.copies if copy.device_id in device_ids]
            staying = [copy.device_id for copy in item.copies if copy.device_id not in device_ids]
            unit = view.devices[staying[0]].unit if staying else ""
            chunks[unit] = chunks.get(unit, 0.0) + average_slots(view, item) * len(leaving)
        needs = {unit: math.ceil(amount) for unit, amount in chunks.items()}
        reason = _obstacle(view, needs, device_ids, held)
        if reason is not None:
            return f"{view.label} {reason}."
    return None


def _obstacle(
    view: PoolView, needs: Mapping[str, int], device_ids: Collection[str], held: Collection[Slice]
) -> str | None:
    for item in held:
        good = [copy.device_id for copy in item.copies if copy.state == CopyState.IN_SYNC]
        if not any(view.devices[device_id].up for device_id in good):
            return "has data on these devices of which no good copy can be reached now"
    units = {device.unit for device in view.devices.values() if _may_take(device, device_ids)}
    for item in held:
        staying = [copy.device_id for copy in item.copies if copy.device_id not in device_ids]
        taken = {view.devices[device_id].unit for device_id in staying}
        if len(units | taken) < len(item.copies) or not units - taken:
            return "has no other fault set or server that could take the copies on these devices"
    missing = shortage(needs, room_by_unit(view, device_ids))
    if missing:
        return f"lacks {human_bytes(missing * CHUNK_BYTES)} of room for the data on these devices"
    return None
