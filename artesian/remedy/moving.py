"""Volumes that are moved away from a node, by force if its rule says so and the node is silent. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from artesian.model.node import NodeState
from artesian.model.remedy import Remedy
from artesian.model.rule import RemedyKind
from artesian.model.state import FrameworkState
from artesian.model.wishes import VolumeWish
from artesian.remedy.facts import RemedyFacts

FORCE = "force"
Parameters = Mapping[str, str | float]


def is_forced(kind: RemedyKind, parameters: Parameters) -> bool:
    """Whether volumes may be taken from a node that is silent, and may well run."""
    return kind is RemedyKind.MOVE_VOLUMES and bool(parameters.get(FORCE))


def risk(kind: RemedyKind, parameters: Parameters, thing: str) -> str:
    """What a remedy may cost, for whoever has to agree to it; empty if it costs nothing."""
    if not is_forced(kind, parameters):
        return ""
    return f"volumes are taken from it by force, and what node {thing} had not flushed is lost"


def cannot_move(remedy: Remedy, facts: RemedyFacts) -> str | None:
    """Why no volume can be moved now."""
    if not _users(remedy, facts) and not _left(remedy, facts):
        return f"no volume is to be on node {remedy.thing}"
    if not _homes(remedy, facts) and any(not one.hold for one in _users(remedy, facts)):
        return "no other node can use volumes"
    return None


def begin_moving(remedy: Remedy, facts: RemedyFacts) -> FrameworkState:
    """To the nodes with fewest volumes; those of containers nowhere, until a container wants them."""
    state = facts.state
    for before, home in _moves(remedy, facts):
        wish = state.volumes[before.name]
        # Where it was once taken from by force, it is at home again: force is not for the next time.
        forced_from = wish.forced_from if wish.forced_from != home else None
        if _is_cut_off(remedy, facts):
            forced_from = remedy.thing
        moved = replace(wish, node=home) if home is not None else wish.detached()
        state = state.with_volume(replace(moved, forced_from=forced_from))
    return state


def moving_missing(remedy: Remedy, facts: RemedyFacts) -> str | None:
    """What the node may still write to."""
    engine = facts.seen.engine
    if engine is None:
        return "the engine does not answer"
    guid = facts.state.guid_of(remedy.thing)
    left = [volume.name for volume in engine.volumes if guid in volume.mapped_to]
    return f"volume {left[0]} is still mapped to node {remedy.thing}" if left else None


def described(remedy: Remedy, facts: RemedyFacts) -> str:
    """What would be moved where now, in one sentence."""
    words = [
        _goes(wish, home)
        if wish.node == remedy.thing
        else f"node {remedy.thing} is cut off from volume {wish.name}, which is to be {_where(wish)}"
        for wish, home in _moves(remedy, facts)
    ]
    if not words:
        return "nothing would be moved"
    if _is_cut_off(remedy, facts):
        words.append(f"what node {remedy.thing} had not flushed is lost")
    elif is_forced(remedy.kind, remedy.parameters):
        words.append(f"node {remedy.thing} is not silent, and lets go of them itself")
    return "; ".join(words)


def _goes(wish: VolumeWish, home: str | None) -> str:
    if home is None:
        return f"volume {wish.name}, which is there for containers, goes where one wants it"
    return f"volume {wish.name} goes to node {home}"


def _where(wish: VolumeWish) -> str:
    return f"on node {wish.node}" if wish.node is not None else "nowhere"


def _moves(remedy: Remedy, facts: RemedyFacts) -> list[tuple[VolumeWish, str | None]]:
    """Each volume, and the node that gets it."""
    homes, state = _homes(remedy, facts), facts.state
    found: list[tuple[VolumeWish, str | None]] = []
    for wish in _users(remedy, facts):
        if wish.hold:
            found.append((wish, None))
            continue
        at = Counter(one.node for one in state.volumes.values())
        free = [name for name in homes if state.volume_mounted_at(name, wish.mount_path) is None]
        if free:
            home = min(free, key=lambda name: (at[name], name))
            found.append((wish, home))
            state = state.with_volume(replace(wish, node=home))
    return found + [(wish, wish.node) for wish in _left(remedy, facts)]


def _users(remedy: Remedy, facts: RemedyFacts) -> list[VolumeWish]:
    return [
        wish
        for _, wish in sorted(facts.state.volumes.items())
        if wish.node == remedy.thing and not wish.deleted
    ]


def _left(remedy: Remedy, facts: RemedyFacts) -> list[VolumeWish]:
    """Volumes that are wanted elsewhere by now, and that the node went silent with."""
    engine = facts.seen.engine
    if engine is None or not _is_cut_off(remedy, facts):
        return []
    guid = facts.state.guid_of(remedy.thing)
    mapped = {volume.id for volume in engine.volumes if guid in volume.mapped_to}
    return [
        wish
        for _, wish in sorted(facts.state.volumes.items())
        if wish.node != remedy.thing and wish.engine_id in mapped and wish.forced_from != remedy.thing
    ]


def _is_cut_off(remedy: Remedy, facts: RemedyFacts) -> bool:
    """A node that reports lets go by itself; force is for one that nobody can ask."""
    node = facts.seen.node(remedy.thing)
    silent = node is None or node.state is NodeState.SILENT
    return silent and is_forced(remedy.kind, remedy.parameters)


def _homes(remedy: Remedy, facts: RemedyFacts) -> list[str]:
    names = [node.name for node in facts.usable_nodes() if node.name != remedy.thing]
    return [name for name in names if facts.state.node(name).is_client]
