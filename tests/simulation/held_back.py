"""What a pause has to hold back, said once more and shortly: see docs/remedies.md."""

from __future__ import annotations

from artesian.model.changes import (
    AddDevice,
    AddManager,
    AddServer,
    CreateVolume,
    EngineChange,
    MapVolume,
    RemoveDevice,
    RemoveServer,
)
from artesian.model.names import device_name
from artesian.model.remedy import Remedy
from artesian.model.rule import RemedyKind
from artesian.model.state import FrameworkState


def pause_of_remedy(remedy: Remedy, state: FrameworkState) -> str:
    """Which pause is there under which this must not begin, or ask for anything; empty if none is."""
    if remedy.kind is RemedyKind.NOTIFY:
        return ""
    scopes = ["everything", "remedies", f"remedy:{remedy.kind}", f"rule:{remedy.rule}", f"pool:{remedy.pool}"]
    if remedy.kind in (RemedyKind.REPLACE_MANAGER, RemedyKind.REMOVE_NODE, RemedyKind.MOVE_VOLUMES):
        scopes.append(f"node:{remedy.thing}")
    if remedy.kind is RemedyKind.REPLACE_DEVICE:
        claims = [one for one in state.claims.values() if device_name(one.identity) == remedy.thing]
        scopes += [f"node:{one.node}" for one in claims]
    return _there(scopes, state)


def pause_of_change(change: EngineChange, state: FrameworkState) -> str:
    """Which pause is there under which the engine must not be told this; empty if none is."""
    scopes = ["everything"]
    match change:
        case AddDevice(node=node, pool=pool) | RemoveDevice(node=node, pool=pool):
            scopes += [f"node:{node}", f"pool:{pool}"]
        case AddServer(node=node) | RemoveServer(node=node) | MapVolume(node=node):
            scopes.append(f"node:{node}")
        case AddManager(place):
            scopes.append(f"node:{place.node}")
        case CreateVolume(pool=pool):
            scopes.append(f"pool:{pool}")
    return _there(scopes, state)


def _there(scopes: list[str], state: FrameworkState) -> str:
    there = {"everything"} if state.paused else set()
    return next((one for one in scopes if one in there or one in state.pauses), "")
