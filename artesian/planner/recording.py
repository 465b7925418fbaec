"""What is remembered of a step: written down before it is taken, and once it is done. Pure.

A crash between the two leaves the intent; the next pass sees what is missing, and takes the same step again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from artesian.model.changes import (
    AddClient,
    AddDevice,
    AddServer,
    CreateEngine,
    DeleteVolume,
    JoinNode,
    RemoveClient,
    RemoveDevice,
    RemoveServer,
)
from artesian.model.disk import Claim
from artesian.model.observation import Observation
from artesian.model.plan import Step
from artesian.model.state import EngineIdentity, FrameworkState, NodeRecord

Value = TypeVar("Value")


def intend(state: FrameworkState, step: Step, new_engine: EngineIdentity, address: str) -> FrameworkState:
    """The state to store before the step. `new_engine` is what an engine that is made now would be."""
    change = step.change
    match change:
        case JoinNode(node):
            return _with_node(state, node, joined=True, address=address)
        case CreateEngine(managers):
            if state.engine is None:
                return replace(state, engine=replace(new_engine, managers=managers))
        case AddServer(node, node_address, domain, _):
            domains = tuple(sorted({*state.node(node).domains, domain}))
            return _with_node(state, node, domains=domains, address=node_address)
        case AddDevice(node, identity, path, pool, size_bytes):
            if identity not in state.claims:
                claim = Claim(identity, node, path, pool, size_bytes, step.because)
                return replace(state, claims=with_item(state.claims, identity, claim))
        case AddClient(node):
            return _with_node(state, node, is_client=True)
    return state


def complete(state: FrameworkState, step: Step) -> FrameworkState:
    """The state to store after the step: an approval of it is used up."""
    approval, change = state.approval, step.change
    if approval is not None and step.id in approval.step_ids:
        left = tuple(one for one in approval.step_ids if one != step.id)
        state = replace(state, approval=replace(approval, step_ids=left) if left else None)
    match change:
        case RemoveDevice(_, identity, _):
            return replace(state, claims=without_item(state.claims, identity))
        case RemoveServer(node, domain):
            domains = tuple(one for one in state.node(node).domains if one != domain)
            return _with_node(state, node, domains=domains)
        case RemoveClient(node):
            return _with_node(state, node, is_client=False)
        case DeleteVolume(volume):
            return replace(state, volumes=without_item(state.volumes, volume))
    return state


def learn(state: FrameworkState, seen: Observation) -> FrameworkState:
    """What an observation adds for good: that the engine has answered, and which volumes are whose."""
    if seen.engine is None or state.engine is None:
        return state
    if not state.engine_seen_once:
        state = replace(state, engine_seen_once=True)
    for name, wish in state.volumes.items():
        volume = seen.engine.volume(name)
        if wish.engine_id is None and volume is not None:
            known = replace(wish, engine_id=volume.id)
            state = replace(state, volumes=with_item(state.volumes, name, known))
    return state


def with_item(items: Mapping[str, Value], key: str, value: Value) -> Mapping[str, Value]:
    """The same items, and this one."""
    return MappingProxyType({**items, key: value})


def without_item(items: Mapping[str, Value], key: str) -> Mapping[str, Value]:
    """The same items, but for this one."""
    return MappingProxyType({one: value for one, value in items.items() if one != key})


def _with_node(state: FrameworkState, node: str, **values: object) -> FrameworkState:
    record: NodeRecord = replace(state.node(node), **values)  # type: ignore[arg-type]
    if record == state.nodes.get(node):
        return state
    return replace(state, nodes=with_item(state.nodes, node, record))
