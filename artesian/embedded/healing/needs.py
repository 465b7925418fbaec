"""What each slice that is not as it should be needs next."""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum
from typing import NamedTuple

from artesian.embedded.healing.view import DeviceView, PoolView
from artesian.embedded.state.model import CopyState, Slice


class Kind(IntEnum):
    """What a slice needs, in the order of importance."""

    UNREACHABLE = 0  # no good copy can be reached: nothing can be done but wait
    RESYNC = 1  # a stale copy's device is back: bring it up to date
    REMAKE = 2  # only one copy is good: make the other on another device
    PART = 3  # both copies are good, but in one fault unit
    EVACUATE = 4  # a copy is on a device that is being removed
    SINGLE = 5  # one copy, and no other fault unit that could take another
    WAIT = 6  # something is away, but not for long


class Need(NamedTuple):
    """`replaces`: the device whose copy is to be brought up to date or replaced; None: a copy is added."""

    kind: Kind
    slice_index: int
    replaces: str | None = None


def needs_of(view: PoolView, marked: Collection[str]) -> list[Need]:
    """The needs of all slices without a join, most important first.

    `marked`: devices whose good copies are being marked stale at this moment.
    """
    units = view.units
    needs = [_need(view, index, view.pool.slices[index], units, marked) for index in view.needy]
    needs.sort(key=lambda need: (need.kind, need.slice_index))
    return needs


def _need(view: PoolView, index: int, item: Slice, units: set[str], marked: Collection[str]) -> Need:
    devices = [view.devices[copy.device_id] for copy in item.copies]
    good = [
        device for copy, device in zip(item.copies, devices, strict=True) if copy.state == CopyState.IN_SYNC
    ]
    if not any(device.up for device in good):
        return Need(Kind.UNREACHABLE, index)
    if len(devices) == 1:
        return _need_of_single(index, devices[0], units)
    if any(device.device_id in marked for device in good):
        return Need(Kind.WAIT, index)
    if len(good) == 1:
        stale = devices[1] if devices[0] is good[0] else devices[0]
        return _need_of_stale(index, stale, good[0], units)
    return _need_of_pair(index, devices[0], devices[1], units)


def _need_of_single(index: int, device: DeviceView, units: set[str]) -> Need:
    if device.leaving:
        return Need(Kind.EVACUATE, index, device.device_id)
    return Need(Kind.REMAKE if units - {device.unit} else Kind.SINGLE, index)


def _need_of_stale(index: int, stale: DeviceView, good: DeviceView, units: set[str]) -> Need:
    together = stale.unit == good.unit
    if stale.up and not together:
        return Need(Kind.RESYNC, index, stale.device_id)
    if stale.lost or stale.leaving or (together and units - {good.unit}):
        return Need(Kind.REMAKE, index, stale.device_id)
    return Need(Kind.WAIT, index)


def _need_of_pair(index: int, one: DeviceView, other: DeviceView, units: set[str]) -> Need:
    for device in (one, other):
        if device.lost:
            return Need(Kind.REMAKE, index, device.device_id)
    if one.unit == other.unit and units - {one.unit}:
        mover = max(one, other, key=_rank_of_mover)
        return Need(Kind.PART, index, mover.device_id)
    for device, partner in ((one, other), (other, one)):
        if device.leaving and (partner.up or partner.leaving):
            return Need(Kind.EVACUATE, index, device.device_id)
    return Need(Kind.WAIT, index)


def _rank_of_mover(device: DeviceView) -> tuple[bool, bool, int, str]:
    """Of two copies in one fault unit that one is moved which is on the device of the higher rank."""
    return device.leaving, not device.in_maintenance, device.copies_to_be, device.device_id
