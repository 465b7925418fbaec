"""Placing slices that hold nothing yet: costs nothing, so it is done outright."""

from __future__ import annotations

from artesian.embedded.healing.view import PoolView
from artesian.embedded.healing.work import Work
from artesian.embedded.placement import PlacementDevice, place
from artesian.embedded.state.model import CopyState


def place_empty(work: Work) -> None:
    """Give an empty pool the placement that its devices ask for, and any slice without copies its devices."""
    view = work.view
    if view.has_volumes:
        if view.without_copies:
            _place(work, _reachable(view), view.without_copies)
        return
    members = _reachable(view) if view.in_maintenance else work.members()
    joining = set(view.joining)
    indices = [index for index in range(len(view.pool.slices)) if index not in joining]
    if not members:  # the last devices leave; those that are only away keep their place
        indices = [index for index in indices if _all_leave(view, index)]
    elif view.in_maintenance:  # only what has to be: balance is for when everybody is back
        indices = [index for index in indices if _lacks_place(view, index)]
    if indices and (view.in_maintenance or not _is_settled(work, members)):
        _place(work, members, indices)


def _all_leave(view: PoolView, index: int) -> bool:
    copies = view.pool.slices[index].copies
    return bool(copies) and all(view.devices[copy.device_id].leaving for copy in copies)


def _lacks_place(view: PoolView, index: int) -> bool:
    devices = [view.devices[copy.device_id] for copy in view.pool.slices[index].copies]
    return not devices or any(device.leaving or device.lost for device in devices)


def _reachable(view: PoolView) -> list[PlacementDevice]:
    return [
        PlacementDevice(device.device_id, device.unit, device.slots)
        for device in view.devices.values()
        if device.usable
    ]


def _is_settled(work: Work, devices: list[PlacementDevice]) -> bool:
    """Whether the empty pool is placed as it should be, told without placing it anew."""
    view = work.view
    wanted = min(2, len({device.fault_unit for device in devices}))
    fair = work.fair()
    if any(device.copies != fair.get(device.device_id, 0) for device in view.devices.values()):
        return False
    for item in view.pool.slices:
        units = {view.devices[copy.device_id].unit for copy in item.copies}
        if len(units) != wanted or len(item.copies) != wanted:
            return False
        if any(copy.state != CopyState.IN_SYNC for copy in item.copies):
            return False
    return True


def _place(work: Work, devices: list[PlacementDevice], indices: list[int]) -> None:
    slices = work.view.pool.slices
    before = [[copy.device_id for copy in item.copies] for item in slices]
    after = place(devices, before)
    placements = {
        str(index): after[index]
        for index in indices
        if after[index] != before[index]
        or any(copy.state != CopyState.IN_SYNC for copy in slices[index].copies)
    }
    if placements:
        work.command("place_slices", {"pool_id": work.view.pool.id, "placements": placements})
        work.explain(f"{len(placements)} slices that hold no data are placed on {len(devices)} devices")
