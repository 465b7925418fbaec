"""Moving copies of a healthy pool so that every device has its fair share."""

from __future__ import annotations

from artesian.embedded.healing.view import PoolView
from artesian.embedded.healing.work import Work
from artesian.embedded.placement import next_moves
from artesian.embedded.state.model import CopyState

MOVES_LOOKED_AT = 16  # at least; twice the number of devices if that is more


def rebalance(work: Work) -> None:
    """Begin moves towards the fair shares.

    It starts when some device is off its share by more than a fiftieth (and more than one slice), and then
    goes on until all are exact; each move brings the counts closer, so that it ends and stays ended.
    """
    view = work.view
    if not may_rebalance(view):
        return
    left = moves_left(work)
    if not left:
        return
    fair = work.fair()
    lacking = [device for device in work.targets if device.copies_to_be < fair.get(device.device_id, 0)]
    if not any(work.is_free(device, "rebalance", 0) for device in lacking):
        return
    members = work.members()
    begun = 0
    for index, leaving, arriving in next_moves(
        members, _holders(view), max(MOVES_LOOKED_AT, 2 * len(members)), set(view.joining)
    ):
        item = view.pool.slices[index]
        source = work.choose_source(item, "rebalance")
        target = view.devices[arriving]
        if source is None or not work.is_free(target, "rebalance", source.slots_per_slice):
            continue
        if not target.usable or target.room(view.pool.spare_percentage) < source.slots_per_slice:
            continue
        work.begin(index, source, target, leaving, "rebalance")
        begun += 1
    if begun:
        work.explain(f"{begun} of {left} slices begin to move so that every device has its share")


def may_rebalance(view: PoolView) -> bool:
    """Not while something is broken, nor while a server is in maintenance: it neither gets nor gives."""
    return view.pool.rebalance_enabled and not view.in_maintenance and is_healthy(view)


def moves_left(work: Work) -> int:
    """How many copies are to move for balance, besides those under way; 0 when it is good enough."""
    view = work.view
    fair = work.fair()
    off = [
        (device.copies_to_be - fair.get(device.device_id, 0), fair.get(device.device_id, 0))
        for device in view.devices.values()
    ]
    moving = any(_is_rebalance(view, index) for index in view.joining)
    if any(off_by and (moving or abs(off_by) > max(1, share // 50)) for off_by, share in off):
        return sum(max(0, off_by) for off_by, _ in off)
    return 0


def is_healthy(view: PoolView) -> bool:
    """Whether every slice has all the copies it can have, where they should be and within reach."""
    if not view.unsound:
        return True
    if len({device.unit for device in view.devices.values() if device.copies or device.usable}) != 1:
        return False
    return all(
        len(item.copies) == 1
        and item.copies[0].state == CopyState.IN_SYNC
        and view.devices[item.copies[0].device_id].up
        and not view.devices[item.copies[0].device_id].leaving
        for item in view.pool.slices
    )


def _is_rebalance(view: PoolView, index: int) -> bool:
    join = view.pool.slices[index].join
    return join is not None and join.reason == "rebalance"


def _holders(view: PoolView) -> list[list[str]]:
    """The devices of each slice when what is under way is done."""
    holders = []
    for item in view.pool.slices:
        join = item.join
        ids = [copy.device_id for copy in item.copies]
        if join is not None and join.replaces in ids:
            ids[ids.index(join.replaces)] = join.target_device_id
        holders.append(ids)
    return holders
