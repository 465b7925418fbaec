"""Nodes that whoever runs the machines wants empty: they are put in maintenance, and taken out again. Pure.

A node of which that is said is treated as one that somebody has put in maintenance; a maintenance that
somebody has asked for is never ended here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from artesian.model.engine import EngineSeen
from artesian.model.event import Event
from artesian.model.names import server_name
from artesian.model.node import Node, NodeState
from artesian.model.observation import Observation
from artesian.model.rule import RemedyKind
from artesian.model.standing import NodeStanding
from artesian.model.state import FrameworkState
from artesian.model.wishes import VolumeWish


@dataclass(frozen=True, slots=True)
class Heeded:
    """The state with what follows, and what is told of it."""

    state: FrameworkState
    events: tuple[Event, ...] = ()


def heed(state: FrameworkState, seen: Observation) -> Heeded:
    """What is wanted of nodes now; the same state if that is as before."""
    events = []
    for node in sorted(seen.nodes, key=lambda one: one.name):
        record = state.node(node.name)
        if not record.joined or record.leaving:
            continue
        if node.leaving and not record.in_maintenance:
            state = state.with_node(node.name, in_maintenance=True, drained=True)
            because = "whoever runs the machines wants it empty: it is in maintenance until they do not"
            events.append(Event("drained", node.name, f"node {node.name}: {because}"))
        elif record.drained and (over := _over(node)) is not None:
            state = state.with_node(node.name, in_maintenance=False, drained=False)
            events.append(Event("undrained", node.name, f"node {node.name} {over}: its maintenance is over"))
    return Heeded(state, tuple(events))


def _over(node: Node) -> str | None:
    """Why a node need not be empty any more; None while it has to, or while nobody knows."""
    if node.state is NodeState.GONE:
        return "is gone for certain, and what it held is to be elsewhere"
    if node.leaving or node.unreachable:
        return None
    return "may be used again"


def standings(
    seen: Observation, state: FrameworkState, heard_s: Mapping[str, float]
) -> Mapping[str, NodeStanding]:
    """How it is with every node, for the substrate. `heard_s`: when each has reported last."""
    found = {}
    for node in seen.nodes:
        reports = node.state is NodeState.ALIVE and node.name not in seen.unheard
        away = node.unreachable or node.state is NodeState.GONE
        needed = needed_for(node.name, seen, state)
        found[node.name] = NodeStanding(reports, away, needed, heard_s.get(node.name, float("-inf")))
    return MappingProxyType(found)


def needed_for(name: str, seen: Observation, state: FrameworkState) -> str:
    """Why the cluster cannot do without a node now; empty if it can, for a while."""
    record, engine = state.node(name), seen.engine
    for wish in state.volumes.values():
        if wish.node == name and not wish.deleted:
            return f"volume {wish.name} is to be on it"
    if not (record.domains or record.is_client or _manages(state, name)):
        return ""
    if engine is None:
        return "the engine does not answer"
    if because := _still_mapped(name, engine, state):
        return because
    if any(one.node == name for one in seen.attachments):
        return "a volume is attached there"
    if not record.in_maintenance:
        return "it is not in maintenance"
    resting = {one.name for one in engine.servers if one.in_maintenance}
    there = {one.name for one in engine.servers}
    for domain in record.domains:
        server = server_name(name, domain)
        if server in there and server not in resting:
            return f"its server of domain {domain} is not in maintenance yet"
    return _without_manager(name, seen, state)


def volume_left(name: str, seen: Observation, state: FrameworkState) -> str:
    """Which volume a node still has or is to have, and what keeps it there; empty if there is none.

    What a silent node had when it was last heard of counts: nobody knows whether it has let go.
    """
    wishes = {one.engine_id: one for one in state.volumes.values() if one.engine_id is not None}
    for one in seen.attachments:
        if one.node == name:
            wish = wishes.get(one.volume_id)
            at = one.mounted_at or one.device
            kept = one.problem or _kept(name, wish, state) or f"node {name} has not let go of it yet"
            title = wish.name if wish is not None else one.volume_id
            return f"volume {title} is attached there{f' at {at}' if at else ''}: {kept}"
    for _, wish in sorted(state.volumes.items()):
        if wish.node == name and not wish.deleted:
            return f"volume {wish.name} is not elsewhere yet: {_kept(name, wish, state)}"
    return _still_mapped(name, seen.engine, state) if seen.engine is not None else ""


def _still_mapped(name: str, engine: EngineSeen, state: FrameworkState) -> str:
    for volume in engine.volumes:
        if state.guid_of(name) in volume.mapped_to:
            return f"volume {volume.name} is still mapped to it"
    return ""


def _kept(name: str, wish: VolumeWish | None, state: FrameworkState) -> str:
    """Why a volume is to be on a node; empty if it is not."""
    if wish is None or wish.node != name or wish.deleted:
        return ""
    for _, remedy in sorted(state.remedies.items()):
        if remedy.kind is RemedyKind.MOVE_VOLUMES and remedy.thing == name and remedy.state.is_open:
            detail = f" ({remedy.detail})" if remedy.detail else ""
            return f"remedy {remedy.id}, which moves it, is {remedy.state}{detail}"
    return "it is to be on it until it is moved or detached"


def _without_manager(name: str, seen: Observation, state: FrameworkState) -> str:
    places = state.engine.managers if state.engine is not None else ()
    address = next((one.address for one in places if one.node == name), None)
    managers = seen.engine.managers if seen.engine is not None else ()
    if address is None or all(one.host != address for one in managers):
        return ""
    left = sum(one.healthy for one in managers if one.host != address)
    if left * 2 > len(managers):
        return ""
    return f"only {left} of {len(managers)} managers would answer without it, which is no majority"


def _manages(state: FrameworkState, name: str) -> bool:
    return state.engine is not None and any(one.node == name for one in state.engine.managers)
