"""Steps that make volumes as users wish them: there, of a size, writable on one node at a time."""

from __future__ import annotations

from artesian.model.changes import (
    AddClient,
    Change,
    CreateVolume,
    DeleteVolume,
    GrowVolume,
    MapVolume,
    RenameVolume,
    SetLimits,
    UnmapVolume,
)
from artesian.model.engine import NO_LIMITS, SeenLimits, SeenVolume, SnapshotId
from artesian.model.plan import Consent
from artesian.model.sizes import format_limits
from artesian.model.wishes import VolumeWish
from artesian.planner.facts import Facts, Steps
from artesian.planner.snapshots import plan_snapshots


def find_volume(facts: Facts, wish: VolumeWish) -> SeenVolume | None:
    """The volume in the engine; by its id, once known. One that merely has its name is another."""
    if wish.engine_id is not None:
        return facts.engine.volume_with_id(wish.engine_id)
    named = facts.engine.volume(wish.name)
    taken = {one.engine_id for one in facts.state.volumes.values()}
    return named if wish.begun and named is not None and named.id not in taken else None


def plan_volumes(facts: Facts, steps: Steps) -> None:
    """Everything that differs from the wishes. Volumes of which no wish speaks are left alone."""
    for name in sorted(facts.state.volumes):
        wish = facts.state.volumes[name]
        seen = find_volume(facts, wish)
        if wish.deleted:
            _plan_deletion(facts, steps, wish, seen)
        elif seen is None and wish.engine_id is not None:
            steps.note(f"volume {name} is not in the engine any more, and is not made anew without its data")
        else:
            _plan_volume(facts, steps, wish, seen)


def _plan_volume(facts: Facts, steps: Steps, wish: VolumeWish, seen: SeenVolume | None) -> None:
    if seen is None and facts.engine.volume(wish.name) is not None:
        steps.note(
            f"the engine has another volume that is called {wish.name}: ours waits until the name is free"
        )
        return
    if seen is None:
        because = f"somebody wants volume {wish.name}"
        if wish.source is not None:
            source = _named(facts, wish.source)
            if source is None:
                steps.note(f"volume {wish.name} cannot be made: the snapshot for it to begin with is gone")
                return
            because += f" with what {source} has"
        change = CreateVolume(wish.name, wish.pool, wish.size_bytes, wish.thick, wish.source)
        steps.add(change, because, steps.making_pool(wish.pool), consent=Consent.GIVEN)
        if wish.node is not None:
            _plan_mapping(facts, steps, wish, None, change)
        return
    renamed = _plan_renaming(steps, wish, seen)
    if seen.size_bytes < wish.size_bytes:
        grown = GrowVolume(wish.name, wish.size_bytes)
        steps.add(grown, f"volume {wish.name} is to be larger", renamed)
    plan_snapshots(steps, wish, seen, renamed)
    _plan_mapping(facts, steps, wish, seen, renamed)


def _named(facts: Facts, source: SnapshotId) -> str | None:
    """A snapshot in words; None if it is not there."""
    volume, snapshot = facts.engine.volume_with_id(source.volume_id), facts.engine.snapshot_with_id(source)
    if volume is None or snapshot is None:
        return None
    return f"snapshot {snapshot.name} of volume {volume.name}"


def _plan_renaming(steps: Steps, wish: VolumeWish, seen: SeenVolume) -> RenameVolume | None:
    """Everything else speaks of a volume by its new name, and so comes after this."""
    if seen.name == wish.name:
        return None
    change = RenameVolume(seen.name, wish.name)
    steps.add(change, f"volume {seen.name} is to be called {wish.name}")
    return change


def _plan_mapping(
    facts: Facts,
    steps: Steps,
    wish: VolumeWish,
    seen: SeenVolume | None,
    earlier: CreateVolume | RenameVolume | None,
) -> None:
    wanted = facts.guid(wish.node) if wish.node is not None else None
    unmapped = _plan_unmapping(facts, steps, wish, seen, earlier, keep=wanted)
    if _is_used_by_others(facts, seen):
        return
    if wish.node is not None and (seen is None or wanted not in seen.mapped_to):
        because = f"volume {wish.name} is to be on node {wish.node}"
        client, mapped = AddClient(wish.node), MapVolume(wish.name, wish.node)
        steps.add(mapped, because, earlier, client, *unmapped)
        _plan_limits(steps, wish, wish.node, NO_LIMITS, mapped)
    elif wish.node is not None and seen is not None:
        _plan_limits(steps, wish, wish.node, seen.limits_of(facts.guid(wish.node)), earlier)


def _plan_limits(steps: Steps, wish: VolumeWish, node: str, seen: SeenLimits, earlier: Change | None) -> None:
    """Limits are a mapping's: wherever the volume goes, they are set anew."""
    wanted = SeenLimits(wish.limit_iops, wish.limit_bandwidth_bytes_per_s)
    if seen == wanted:
        return
    change = SetLimits(wish.name, node, wanted.iops, wanted.bandwidth_bytes_per_s)
    because = f"volume {wish.name} on node {node} may do {_words(wanted)}, and not {_words(seen)} any more"
    if seen == NO_LIMITS:
        because = f"volume {wish.name} on node {node} may do {_words(wanted)}"
    steps.add(change, because, earlier)


def _words(limits: SeenLimits) -> str:
    return format_limits(limits.iops, limits.bandwidth_bytes_per_s) or "as much as it can"


def _is_used_by_others(facts: Facts, seen: SeenVolume | None) -> bool:
    """Whether a client that is not ours may write to it: another one beside it would be one too many."""
    if seen is None or not seen.mapped_to:
        return False
    ours = {facts.guid(name) for name in facts.state.nodes}
    return any(guid not in ours for guid in seen.mapped_to)


def _plan_unmapping(
    facts: Facts,
    steps: Steps,
    wish: VolumeWish,
    seen: SeenVolume | None,
    earlier: CreateVolume | RenameVolume | None,
    *,
    keep: str | None,
) -> list[UnmapVolume]:
    """End the mappings of all nodes of ours but one; those of other clients are none of our business."""
    others = [guid for guid in seen.mapped_to if guid != keep] if seen is not None else []
    names = {facts.guid(name): name for name in facts.state.nodes} if others else {}
    changes = []
    for guid in others:
        if guid not in names:
            steps.note(f"volume {wish.name} is mapped to a client that is not ours, {guid}: it is left alone")
            continue
        change = UnmapVolume(wish.name, names[guid])
        where = f"on node {wish.node}" if wish.node is not None else "attached nowhere"
        steps.add(change, f"volume {wish.name} is to be {where}, not on node {names[guid]}", earlier)
        changes.append(change)
    return changes


def _plan_deletion(facts: Facts, steps: Steps, wish: VolumeWish, seen: SeenVolume | None) -> None:
    if seen is None and facts.engine.volume(wish.name) is not None:
        return  # it is another one
    renamed = _plan_renaming(steps, wish, seen) if seen is not None else None
    unmapped = _plan_unmapping(facts, steps, wish, seen, renamed, keep=None)
    going = plan_snapshots(steps, wish, seen, renamed) if seen is not None else []
    because = f"somebody has asked to delete volume {wish.name}"
    after = (renamed, *unmapped, *going)
    steps.add(DeleteVolume(wish.name), because, *after, destructive=True, consent=Consent.GIVEN)
