"""What each kind of remedy does: whether it can, how it begins, and what is still missing. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from artesian.model.disk import Tombstone
from artesian.model.remedy import PartState, Remedy
from artesian.model.rule import RemedyKind
from artesian.model.sizes import format_size
from artesian.model.state import FrameworkState, with_item
from artesian.model.wishes import VolumeWish
from artesian.remedy.capacity import capacities
from artesian.remedy.consequences import loss_of
from artesian.remedy.facts import RemedyFacts
from artesian.remedy.limiting import begin_changing, cannot_change, changing_missing
from artesian.remedy.machines import cannot_add, machine_missing
from artesian.remedy.moving import begin_moving, cannot_move, moving_missing
from artesian.strategy.managers import too_few_nodes_without

_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Deed:
    """`cannot`: why it is impossible as things are; `begin`: what is wanted from now on; `missing`: what has
    not come about yet, None when everything has."""

    cannot: Callable[[Remedy, RemedyFacts], str | None]
    begin: Callable[[Remedy, RemedyFacts], FrameworkState]
    missing: Callable[[Remedy, RemedyFacts], str | None]


def _can(_remedy: Remedy, _facts: RemedyFacts) -> str | None:
    return None


def _unchanged(_remedy: Remedy, facts: RemedyFacts) -> FrameworkState:
    return facts.state


# --- disks


def _disks_missing(remedy: Remedy, _facts: RemedyFacts) -> str | None:
    parts = [part for part in remedy.parts if part.state is not PartState.GIVEN_UP]
    if not parts:
        return remedy.detail if remedy.parts or remedy.detail else "disks are being looked for"
    waiting = [part for part in parts if part.state is not PartState.IN_USE]
    if not waiting:
        return "another disk is being looked for" if len(parts) < remedy.disks else None
    first = waiting[0]
    more = f", and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    detail = f": {first.detail}" if first.detail else ""
    return f"the disk for node {first.node} is {first.state}{more}{detail}"


def _cannot_replace(remedy: Remedy, facts: RemedyFacts) -> str | None:
    if facts.claim_of(remedy.thing) is None:
        return f"device {remedy.shown} is not one of ours"
    if facts.spec.providers:
        return None  # where there is no room yet, the new disk makes it: data moves away only then
    return _no_room_without(remedy.thing, facts)


def _no_room_without(device: str, facts: RemedyFacts) -> str | None:
    """Why a device that still works cannot be done without, with two copies of everything."""
    engine = facts.seen.engine
    leaving = (
        next((one for one in engine.devices if one.name == device), None) if engine is not None else None
    )
    if engine is None or leaving is None or leaving.failed:
        return None
    loss = loss_of(engine, leaving.pool, {device})
    if loss is None or loss.fits:
        return None
    return (
        f"pool {leaving.pool} holds {format_size(loss.used_bytes)}, and without {leaving.path} it has room "
        f"for {format_size(loss.left_bytes)}: give it another disk first"
    )


def _begin_replacing(remedy: Remedy, facts: RemedyFacts) -> FrameworkState:
    claim = facts.claim_of(remedy.thing)
    assert claim is not None
    identity = claim.identity
    tombstone = Tombstone(identity, f"remedy {remedy.id} replaces it: {remedy.because}")
    return replace(facts.state, tombstones=with_item(facts.state.tombstones, identity, tombstone))


def _replacing_missing(remedy: Remedy, facts: RemedyFacts) -> str | None:
    engine = facts.seen.engine
    if engine is None:
        return "the engine does not answer"
    if any(device.name == remedy.thing for device in engine.devices):
        pool = engine.pool(remedy.pool) if remedy.pool is not None else None
        moving = format_size(pool.moving_bytes) if pool is not None and pool.moving_bytes else ""
        # With what is left, so that one that is large is not taken for one that stands still.
        return f"what is left on {remedy.shown} moves away" + (f": {moving} to go" if moving else "")
    if not facts.spec.providers:
        return None  # there is nowhere to get another one from; the pool is smaller now
    return _disks_missing(remedy, facts)


# --- managers and nodes


def _cannot_replace_manager(remedy: Remedy, facts: RemedyFacts) -> str | None:
    engine = facts.state.engine
    if engine is None or all(place.node != remedy.thing for place in engine.managers):
        return f"there is no manager of ours on node {remedy.thing}"
    having = {place.node for place in engine.managers}
    if all(node.name in having for node in facts.usable_nodes()):
        return "no other node can have a manager"
    return None


def _begin_replacing_manager(remedy: Remedy, facts: RemedyFacts) -> FrameworkState:
    return facts.state.with_node(remedy.thing, without_manager=True)


def _manager_missing(remedy: Remedy, facts: RemedyFacts) -> str | None:
    engine, seen = facts.state.engine, facts.seen.engine
    if engine is None or seen is None:
        return "the engine does not answer"
    if any(place.node == remedy.thing for place in engine.managers):
        return f"the manager on node {remedy.thing} is still a member"
    healthy = {manager.host for manager in seen.managers if manager.healthy}
    coming = [place.node for place in engine.managers if place.address not in healthy]
    if coming:
        return f"the manager on node {coming[0]} is not a member yet"
    lacking = len(facts.topology.managers) - len(engine.managers)
    return f"{lacking} managers are still to come" if lacking > 0 else None


def _cannot_remove_node(remedy: Remedy, facts: RemedyFacts) -> str | None:
    engine = facts.seen.engine
    degraded = [pool.name for pool in engine.pools if not pool.is_settled] if engine is not None else []
    if degraded:
        return f"pool {degraded[0]} is being healed, and what the node held is rebuilt first"
    users = sorted(
        wish.name for wish in facts.state.volumes.values() if wish.node == remedy.thing and not wish.deleted
    )
    if users:
        return f"volume {users[0]} is on node {remedy.thing}: it has to be taken over first"
    too_few = too_few_nodes_without(remedy.thing, facts.state, facts.seen)
    return f"without it {too_few}" if too_few is not None else None


def _begin_removing_node(remedy: Remedy, facts: RemedyFacts) -> FrameworkState:
    return facts.state.with_node(remedy.thing, leaving=True, in_maintenance=False, drained=False)


def _node_missing(remedy: Remedy, facts: RemedyFacts) -> str | None:
    record = facts.state.node(remedy.thing)
    if any(claim.node == remedy.thing for claim in facts.state.claims.values()):
        return f"disks of node {remedy.thing} are still members of pools"
    if record.domains or record.is_client:
        return f"node {remedy.thing} is still known to the engine"
    engine = facts.state.engine
    if engine is not None and any(place.node == remedy.thing for place in engine.managers):
        return f"node {remedy.thing} still has a manager"
    return None


# --- volumes


def _cannot_grow(remedy: Remedy, facts: RemedyFacts) -> str | None:
    wish = facts.state.volumes.get(remedy.thing)
    if wish is None or wish.deleted:
        return f"there is no volume {remedy.thing}"
    grown = _grown_bytes(wish, remedy)
    most = remedy.parameters.get("at_most_bytes")
    if most is not None and grown > float(most):
        return f"volume {remedy.thing} would be larger than {float(most) / _GIB:g} GiB, the most it may have"
    note = _not_grown(wish, facts)
    if note:
        return f"volume {remedy.thing} has grown before, and {note}"
    engine = facts.seen.engine
    room = capacities(engine).get(wish.pool) if engine is not None else None
    if most is None and room is not None and grown > room // 2:
        return (
            f"volume {remedy.thing} would have {format_size(grown)}, more than its whole pool has room for "
            f"({format_size(room // 2)})"
        )
    return None


def _not_grown(wish: VolumeWish, facts: RemedyFacts) -> str:
    """Why its file system has not taken over its size; empty if nobody says so."""
    return next(
        (
            one.note
            for one in facts.seen.attachments
            if one.note and (one.volume_id, one.node) == (wish.engine_id, wish.node)
        ),
        "",
    )


def _grown_bytes(wish: VolumeWish, remedy: Remedy) -> int:
    by_share = wish.size_bytes * float(remedy.parameters.get("by_share", 0.5))
    return -(-int(wish.size_bytes + by_share) // _GIB) * _GIB


def _begin_growing(remedy: Remedy, facts: RemedyFacts) -> FrameworkState:
    wish = facts.state.volumes[remedy.thing]
    return facts.state.with_volume(replace(wish, size_bytes=_grown_bytes(wish, remedy)))


def _growing_missing(remedy: Remedy, facts: RemedyFacts) -> str | None:
    wish = facts.state.volumes.get(remedy.thing)
    engine = facts.seen.engine
    if wish is None or engine is None:
        return None if wish is None else "the engine does not answer"
    seen = engine.volume_with_id(wish.engine_id)
    if seen is None or seen.size_bytes < wish.size_bytes:
        return f"volume {remedy.thing} has not grown yet"
    return _not_grown(wish, facts) or None


DEEDS: Mapping[RemedyKind, Deed] = MappingProxyType(
    {
        RemedyKind.EXPAND_POOL: Deed(_can, _unchanged, _disks_missing),
        RemedyKind.REPLACE_DEVICE: Deed(_cannot_replace, _begin_replacing, _replacing_missing),
        RemedyKind.REPLACE_MANAGER: Deed(_cannot_replace_manager, _begin_replacing_manager, _manager_missing),
        RemedyKind.REMOVE_NODE: Deed(_cannot_remove_node, _begin_removing_node, _node_missing),
        RemedyKind.GROW_VOLUME: Deed(_cannot_grow, _begin_growing, _growing_missing),
        RemedyKind.CHANGE_LIMIT: Deed(cannot_change, begin_changing, changing_missing),
        RemedyKind.MOVE_VOLUMES: Deed(cannot_move, begin_moving, moving_missing),
        RemedyKind.ADD_NODE: Deed(cannot_add, _unchanged, machine_missing),
        RemedyKind.NOTIFY: Deed(_can, _unchanged, _can),
    }
)
