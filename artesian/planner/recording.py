"""What is remembered of steps: written down before they are taken, and once they are done. Pure.

A crash between the two leaves the intent; the next pass sees what is missing, and takes the same steps again.
All steps of a pass are recorded together, so that the cost grows with their number and not with its square.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from artesian.model.changes import (
    AddClient,
    AddDevice,
    AddManager,
    AddServer,
    AdoptEngine,
    CreateEngine,
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    EnterMaintenance,
    JoinNode,
    RemoveClient,
    RemoveDevice,
    RemoveManager,
    RemoveServer,
    RestartProcesses,
    ReturnDevice,
)
from artesian.model.disk import Claim
from artesian.model.engine import EngineSeen, ManagerPlace
from artesian.model.observation import Observation
from artesian.model.plan import Step
from artesian.model.restart import RestartPart
from artesian.model.state import EngineIdentity, FrameworkState, NodeRecord, with_item
from artesian.model.wishes import SnapshotWish, VolumeWish

Value = TypeVar("Value")


@dataclass(slots=True)
class _Draft:
    """A state that is being changed."""

    engine: EngineIdentity | None
    nodes: dict[str, NodeRecord]
    claims: dict[str, Claim]
    volumes: dict[str, VolumeWish]

    @classmethod
    def of(cls, state: FrameworkState) -> _Draft:
        return cls(state.engine, dict(state.nodes), dict(state.claims), dict(state.volumes))

    def node(self, name: str) -> NodeRecord:
        return self.nodes.get(name, NodeRecord())

    def change_node(self, name: str, **values: object) -> None:
        self.nodes[name] = replace(self.node(name), **values)  # type: ignore[arg-type]

    def change_snapshot(self, volume: str, name: str, **values: object) -> None:
        wish = self.volumes.get(volume)
        snapshot = wish.snapshot(name) if wish is not None else None
        if wish is not None and snapshot is not None:
            self.volumes[volume] = wish.with_snapshot(replace(snapshot, **values))  # type: ignore[arg-type]

    def applied_to(self, state: FrameworkState) -> FrameworkState:
        """The state with these changes; what is the same stays the same object."""
        return replace(
            state,
            engine=self.engine,
            nodes=_unless_same(state.nodes, self.nodes),
            claims=_unless_same(state.claims, self.claims),
            volumes=_unless_same(state.volumes, self.volumes),
        )


def intend(
    state: FrameworkState, steps: Iterable[Step], new_engine: EngineIdentity, addresses: Mapping[str, str]
) -> FrameworkState:
    """The state to store before the steps.

    `new_engine` is what an engine that is made now would be, `addresses` are those of the nodes.
    """
    draft = _Draft.of(state)
    for step in steps:
        match step.change:
            case JoinNode(node):
                draft.change_node(node, joined=True, address=addresses.get(node, ""))
            case CreateEngine(managers):
                draft.engine = draft.engine or replace(new_engine, managers=managers)
            case AdoptEngine(system_id, existing):
                known = draft.engine if draft.engine is not None else new_engine
                draft.engine = replace(
                    known, system_id=system_id, name=system_id, managers=(), adopted=existing
                )
            case AddManager(place):
                if draft.engine is not None and place not in draft.engine.managers:
                    draft.engine = replace(draft.engine, managers=(*draft.engine.managers, place))
            case CreateVolume(volume=volume):
                if volume in draft.volumes:
                    draft.volumes[volume] = replace(draft.volumes[volume], begun=True)
            case CreateSnapshot(volume, snapshot):
                draft.change_snapshot(volume, snapshot, begun=True)
            case AddServer(node, address, domain, _):
                domains = tuple(sorted({*draft.node(node).domains, domain}))
                draft.change_node(node, domains=domains, address=address)
            case AddDevice(node, identity, path, pool, size_bytes, _):
                if identity not in draft.claims:
                    draft.claims[identity] = Claim(identity, node, path, pool, size_bytes, step.because)
            case AddClient(node):
                draft.change_node(node, is_client=True)
            case RemoveClient(node):
                draft.change_node(node, is_client=False)  # its node ends it, so that it can be removed
            case EnterMaintenance(node, _):
                # Nobody else has wished for it: it is the restart's, and ends when its node has come back.
                if not draft.node(node).in_maintenance and state.restart is not None:
                    draft.change_node(node, rests_for=state.restart.number)
            case RestartProcesses(node, RestartPart.MANAGERS, number):
                draft.change_node(node, managers_since=number)
            case RestartProcesses(node, RestartPart.SERVERS, number):
                draft.change_node(node, servers_since=number)
    return draft.applied_to(state)


def complete(state: FrameworkState, steps: Iterable[Step]) -> FrameworkState:
    """The state to store after the steps: approvals of them are used up."""
    steps = list(steps)
    draft = _Draft.of(state)
    for step in steps:
        match step.change:
            case RemoveManager(place):
                if draft.engine is not None:
                    staying = tuple(one for one in draft.engine.managers if one.node != place.node)
                    draft.engine = replace(draft.engine, managers=staying)
                draft.change_node(place.node, without_manager=False)
            case RemoveDevice(_, identity, _):
                draft.claims.pop(identity, None)
            case ReturnDevice(_, identity):
                if identity in draft.claims:
                    draft.claims[identity] = replace(draft.claims[identity], try_again=False)
            case RemoveServer(node, domain):
                domains = tuple(one for one in draft.node(node).domains if one != domain)
                draft.change_node(node, domains=domains)
            case DeleteVolume(volume):
                draft.volumes.pop(volume, None)
            case CreateSnapshot(volume, snapshot):
                draft.change_snapshot(volume, snapshot, begun=True, taken=True)
            case DeleteSnapshot(volume, snapshot):
                if volume in draft.volumes:
                    draft.volumes[volume] = draft.volumes[volume].without_snapshot(snapshot)
    approval = state.approval
    if approval is not None:
        done = {step.id for step in steps}
        unused = tuple(one for one in approval.step_ids if one not in done)
        approval = replace(approval, step_ids=unused) if unused else None
    present = draft.engine.adopted if draft.engine is not None else None
    adopted = any(isinstance(one.change, AdoptEngine) and one.change.engine == present for one in steps)
    seen_once = state.engine_seen_once or adopted
    return replace(draft.applied_to(state), approval=approval, engine_seen_once=seen_once)


def learn(state: FrameworkState, seen: Observation) -> FrameworkState:
    """What an observation adds for good: that the engine has answered, who its managers are, and which
    volumes are whose.

    An engine that is adopted answers from the start; it is ours once that step has been taken.
    """
    if seen.engine is None or state.engine is None or seen.engine.system_id != state.engine.system_id:
        return state
    if state.engine.adopted is None:
        members = _unknown_members(state, state.engine, seen.engine)
        if members or not state.engine_seen_once:
            engine = replace(state.engine, managers=(*state.engine.managers, *members))
            state = replace(state, engine=engine, engine_seen_once=True)
    taken = {wish.engine_id for wish in state.volumes.values()}
    for name, known_wish in state.volumes.items():
        wish = _with_snapshots(known_wish, seen.engine)
        if wish is not known_wish:
            state = replace(state, volumes=with_item(state.volumes, name, wish))
        volume = seen.engine.volume(name)
        if wish.engine_id is None and wish.begun and volume is not None and volume.id not in taken:
            known = replace(wish, engine_id=volume.id)
            state = replace(state, volumes=with_item(state.volumes, name, known))
        elif (grown := _grown(wish, seen.engine)) is not None:
            state = replace(state, volumes=with_item(state.volumes, name, grown))
        elif wish.deleted and _is_no_more(wish, seen.engine):
            left = {key: one for key, one in state.volumes.items() if key != name}
            state = replace(state, volumes=MappingProxyType(left))
    return state


def _unknown_members(state: FrameworkState, known: EngineIdentity, engine: EngineSeen) -> list[ManagerPlace]:
    """Managers that the engine has on our nodes and that are not remembered, as in an old copy of a store."""
    addresses = {place.address for place in known.managers}
    nodes = {
        record.address: name
        for name, record in state.nodes.items()
        if record.joined and record.address and not record.gives_up_manager
    }
    return [
        ManagerPlace(nodes[one.host], one.host, one.role)
        for one in engine.managers
        if one.healthy and one.host in nodes and one.host not in addresses
    ]


def _with_snapshots(wish: VolumeWish, engine: EngineSeen) -> VolumeWish:
    """With the snapshots that its volume has, also those that nothing was known of, and without those that
    were to go, and are gone."""
    volume = engine.volume_with_id(wish.engine_id) if wish.engine_id is not None else None
    if volume is None or not (wish.snapshots or volume.snapshots):
        return wish
    for one in wish.snapshots:
        if one.deleted and volume.snapshot(one.name) is None and (one.taken or not one.begun):
            wish = wish.without_snapshot(one.name)
    for there in volume.snapshots:
        known = wish.snapshot(there.name) or SnapshotWish(there.name)
        if known.engine_id is None:
            wish = wish.with_snapshot(replace(known, begun=True, taken=True, engine_id=there.id))
    return wish


def _grown(wish: VolumeWish, engine: EngineSeen) -> VolumeWish | None:
    """A wish to grow that was taken back too late, or somebody else's growing, is how it is now."""
    volume = engine.volume_with_id(wish.engine_id) if wish.engine_id is not None else None
    if volume is None or volume.size_bytes <= wish.size_bytes:
        return None
    return replace(wish, size_bytes=volume.size_bytes)


def _is_no_more(wish: VolumeWish, engine: EngineSeen) -> bool:
    """Whether there is nothing left to delete: another volume of the same name is not meant."""
    if wish.engine_id is None:
        return not wish.begun
    return engine.volume_with_id(wish.engine_id) is None


def _unless_same(before: Mapping[str, Value], after: dict[str, Value]) -> Mapping[str, Value]:
    return before if dict(before) == after else MappingProxyType(after)
