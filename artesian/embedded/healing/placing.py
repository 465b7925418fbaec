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
    joining = set(view.joining)
    if not _is_settled(work):
        indices = [index for index in range(len(view.pool.slices)) if index not in joining]
        _place(work, work.members(), indices)


def _reachable(view: PoolView) -> list[PlacementDevice]:
    return [
        PlacementDevice(device.device_id, device.unit, device.slots)
        for device in view.devices.values()
        if device.usable
    ]


def _is_settled(work: Work) -> bool:
    """Whether the empty pool is placed as it should be, told without placing it anew."""
    view = work.view
    members = {member.device_id for member in work.members()}
    wanted = min(2, len({view.devices[device_id].unit for device_id in members}))
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
