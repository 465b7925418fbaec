"""Copies that are stale, lost, damaged or badly placed: brought up to date, or made anew elsewhere."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from artesian.embedded.healing.needs import Kind, Need
from artesian.embedded.healing.policy import Decision, counted, human_bytes
from artesian.embedded.healing.room import average_slots, room_by_unit, shortage
from artesian.embedded.healing.view import PoolView, in_sync_ids
from artesian.embedded.healing.work import Work
from artesian.embedded.state.model import CHUNK_BYTES


def mark_damaged(views: Sequence[PoolView], decision: Decision) -> set[str]:
    """Have the copies on devices that lost entries marked stale, where there is another good copy.

    They are then compared with that one and completed. Returns the devices that are marked in this pass.
    """
    damaged = {device.device_id for view in views for device in view.devices.values() if device.damaged}
    if not damaged:
        return set()
    marked: set[str] = set()
    for view in views:
        alone: Counter[str] = Counter()
        for item in view.pool.slices:
            good = in_sync_ids(item)
            bad = [device_id for device_id in good if device_id in damaged]
            if len(bad) < len(good):
                marked.update(bad)
            else:
                alone.update(bad)
        decision.warnings.extend(
            f"{view.label}: DATA MAY BE LOST: {view.devices[device_id].name} lost part of its slot table, "
            f"and it holds the only good copy of {counted(count, 'slice')}."
            for device_id, count in sorted(alone.items())
        )
    if marked:
        reason = "part of the slot table was lost"
        decision.commands.append(("mark_stale", {"device_ids": sorted(marked), "reason": reason}))
        decision.because.append(
            f"{counted(len(marked), 'device')} lost part of the slot table: all copies there are compared "
            f"with their partners."
        )
    return marked


def resync(work: Work, needs: Sequence[Need]) -> None:
    """Bring stale copies up to date on devices that are back."""
    view = work.view
    waiting = 0
    for need in needs:
        if need.kind is not Kind.RESYNC:
            continue
        item = view.pool.slices[need.slice_index]
        assert need.replaces is not None
        target = view.devices[need.replaces]
        source = work.choose_source(item, "resync")
        if source is None or not work.is_free(target, "resync", source.slots_per_slice):
            waiting += 1
            continue
        work.begin(need.slice_index, source, target, need.replaces, "resync")
    _explain(work, "resync", "are brought up to date", waiting)


def remake(work: Work, needs: Sequence[Need]) -> None:
    """Make lost copies anew on other devices, and part copies that share a fault unit."""
    chosen = [need for need in needs if need.kind in (Kind.REMAKE, Kind.PART)]
    if not chosen:
        return
    _warn_of_shortage(work, chosen)
    waiting = sum(not move(work, need, "rebuild") for need in chosen)
    _explain(work, "rebuild", "get a copy on another device", waiting)


def move(work: Work, need: Need, reason: str) -> bool:
    """Begin the join that gives a slice a copy elsewhere; False: not now."""
    view = work.view
    item = view.pool.slices[need.slice_index]
    source = work.choose_source(item, reason)
    if source is None:
        return False
    holders = [copy.device_id for copy in item.copies]
    staying = {view.devices[device_id].unit for device_id in holders if device_id != need.replaces}
    target = work.choose_target(staying, holders, source.slots_per_slice, reason)
    if target is None:
        return False
    work.begin(need.slice_index, source, target, need.replaces, reason)
    return True


def demand(view: PoolView, needs: Sequence[Need]) -> Counter[str]:
    """The chunks that copies elsewhere would take, by the fault unit that may not take them."""
    chunks: dict[str, float] = {}
    for need in needs:
        item = view.pool.slices[need.slice_index]
        staying = [copy.device_id for copy in item.copies if copy.device_id != need.replaces]
        unit = view.devices[staying[0]].unit if staying else ""
        chunks[unit] = chunks.get(unit, 0.0) + average_slots(view, item)
    return Counter({unit: math.ceil(amount) for unit, amount in chunks.items()})


def _warn_of_shortage(work: Work, chosen: Sequence[Need]) -> None:
    view = work.view
    needs = demand(view, chosen)
    units = view.units
    stuck = [unit for unit in needs if not units - {unit}]
    if stuck:
        work.warn(
            "copies cannot be remade, as no other fault set or server could take them; "
            "writes go to one copy only until one is added or comes back"
        )
        return
    missing = shortage(needs, room_by_unit(view))
    if missing:
        work.warn(
            f"capacity for rebuilding is short: {human_bytes(missing * CHUNK_BYTES)} more are needed to have "
            f"two copies of everything"
        )


def _explain(work: Work, reason: str, doing: str, waiting: int) -> None:
    begun = work.begun(reason)
    if begun:
        rest = f", {waiting} wait for their turn" if waiting else ""
        work.explain(f"{counted(begun, 'slice')} {doing}{rest}")
