"""Joins under way: commit those that are done, give up those that cannot or need not go on."""

from __future__ import annotations

from artesian.embedded.healing.policy import Decision, HealingPolicy, counted
from artesian.embedded.healing.view import DeviceView, PoolView
from artesian.embedded.state.live import JoinLive, Live
from artesian.embedded.state.model import CopyState, Join, Slice

Job = list[str | int]  # [pool id, slice, job id], as the commands want it


def settle_joins(views: list[PoolView], live: Live, policy: HealingPolicy, decision: Decision) -> None:
    """Commit and give up joins, of all pools together."""
    finished: list[Job] = []
    aborted: list[Job] = []
    for view in views:
        for index in view.joining:
            item = view.pool.slices[index]
            join = item.join
            assert join is not None
            seen = live.joins.get(join.job_id)
            reason = why_not(view, item, join, seen, live, policy)
            if reason is not None:
                aborted.append([view.pool.id, index, join.job_id])
                decision.because.append(f"{view.label}: the join of slice {index} is given up: {reason}.")
            elif seen is not None and seen.state == "mirrored" and view.devices[join.source_device_id].up:
                finished.append([view.pool.id, index, join.job_id])
    if finished:
        decision.commands.append(("finish_joins", {"jobs": finished}))
        decision.because.append(f"{counted(len(finished), 'copy')} are complete and become members.")
    if aborted:
        decision.commands.append(("abort_joins", {"jobs": aborted}))


def why_not(
    view: PoolView, item: Slice, join: Join, seen: JoinLive | None, live: Live, policy: HealingPolicy
) -> str | None:
    """Why a join cannot or need not go on; None: it may."""
    source, target = view.devices[join.source_device_id], view.devices[join.target_device_id]
    if seen is not None and seen.state == "failed":
        return seen.error or "it failed"
    if not view.has_volumes:
        return "the pool holds no data"
    if seen is not None and seen.state == "mirrored" and not target.up:
        # Clients' writes on this slice wait until it is known whether the target counts.
        return f"{target.name} was lost when its copy was complete"
    if seen is None and source.up and source.carried_out >= item.version:
        return f"{source.name} knows nothing of it"
    return _unreachable(join, source, target, live, policy) or _needless(view, item, join, seen)


def _unreachable(
    join: Join, source: DeviceView, target: DeviceView, live: Live, policy: HealingPolicy
) -> str | None:
    for device in (source, target):
        if device.failed:
            return f"{device.name} has failed"
        if live.settled and not device.up and policy.abandon_after_s <= device.away_s:
            return f"{device.name} is away"
    if target.leaving and join.replaces != target.device_id:
        return f"{target.name} is being removed"
    return None


def _needless(view: PoolView, item: Slice, join: Join, seen: JoinLive | None) -> str | None:
    devices = view.devices
    held = {copy.device_id: copy.state for copy in item.copies}
    replaced = join.replaces
    target = join.target_device_id
    staying = [device_id for device_id in held if device_id not in (replaced, target)]
    if held.get(join.source_device_id) != CopyState.IN_SYNC:
        return "its source is no longer in sync"
    if any(devices[device_id].unit == devices[target].unit for device_id in staying):
        return "its target would share a fault unit with the copy that stays"
    if replaced is None:
        return "the slice has two copies" if len(item.copies) > 1 else None
    if replaced not in held:
        return "the copy that it replaces is gone"
    if replaced == target:
        return "its target is in sync" if held[replaced] == CopyState.IN_SYNC else None
    ours = devices[replaced]
    if held[replaced] == CopyState.IN_SYNC and any(
        held[device_id] != CopyState.IN_SYNC or devices[device_id].lost for device_id in staying
    ):
        return "the other copy has to be remade first"
    if join.reason == "evacuate" and not ours.leaving:
        return f"{ours.name} is no longer being removed"
    if join.reason == "rebalance" and not view.pool.rebalance_enabled:
        return "rebalancing is disabled"
    if join.reason != "rebuild" or not ours.up or ours.leaving:
        return None
    if any(devices[device_id].unit == ours.unit for device_id in staying):
        return None
    if held[replaced] == CopyState.IN_SYNC:
        return f"{ours.name} is back with a good copy"
    if seen is not None and 2 * seen.copied_bytes >= seen.total_bytes > 0:
        return None
    return f"{ours.name} is back and only lacks what it missed"
