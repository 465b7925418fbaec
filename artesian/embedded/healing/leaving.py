"""Devices and servers that are being removed: move their data away, then let them go."""

from __future__ import annotations

from collections.abc import Sequence

from artesian.embedded.healing.needs import Kind, Need
from artesian.embedded.healing.policy import Decision, human_bytes
from artesian.embedded.healing.repair import demand, move
from artesian.embedded.healing.room import room_by_unit, shortage
from artesian.embedded.healing.view import PoolView
from artesian.embedded.healing.work import Work
from artesian.embedded.state.model import CHUNK_BYTES, Lifecycle, State


def evacuate(work: Work, needs: Sequence[Need]) -> None:
    """Move copies off devices that are being removed, unless they would not all fit elsewhere."""
    view = work.view
    chosen = [need for need in needs if need.kind is Kind.EVACUATE]
    if not chosen:
        return
    names = sorted({view.devices[need.replaces].name for need in chosen if need.replaces is not None})
    leaving = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
    chunks = demand(view, chosen)
    if any(not view.units - {unit} for unit in chunks):
        work.warn(f"the data of {leaving} cannot be moved away: no other fault set or server could take it")
        return
    chunks.update(demand(view, [need for need in needs if need.kind in (Kind.REMAKE, Kind.PART)]))
    missing = shortage(chunks, room_by_unit(view))
    if missing:
        size = human_bytes(missing * CHUNK_BYTES)
        work.warn(f"the data of {leaving} is not moved away: {size} of room are missing")
        return
    waiting = sum(not move(work, need, "evacuate") for need in chosen)
    begun = work.begun("evacuate")
    if begun:
        rest = f", {waiting} wait for their turn" if waiting else ""
        work.explain(f"{begun} slices move away from {leaving}{rest}")


def release_empty(state: State, views: Sequence[PoolView], decision: Decision) -> None:
    """Let go of removed devices that hold no copies, and of removed servers without devices."""
    for view in views:
        for device in view.devices.values():
            known = state.devices.get(device.device_id)
            if known is None or known.lifecycle is not Lifecycle.REMOVING:
                continue
            if device.up and device.used:
                continue  # its server still clears it; what is let go of with data on it is nobody's to take
            if not device.copies and not device.incoming_copies:
                decision.commands.append(("device_emptied", {"device_id": device.device_id}))
                decision.because.append(f"{view.label}: {device.name} holds no data any more and is removed.")
    with_devices = {device.server_id for device in state.devices.values()}
    for server in state.servers.values():
        if server.lifecycle is Lifecycle.REMOVING and server.id not in with_devices:
            decision.commands.append(("server_emptied", {"server_id": server.id}))
            decision.because.append(f"Server {server.name!r} has no devices any more and is removed.")
