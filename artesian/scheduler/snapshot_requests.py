"""What users ask of snapshots, as changes of the state.

Every function gives a state out of a state, or raises NotThere, Conflict or NotPossible, and then nothing has
changed.
"""

from __future__ import annotations

from dataclasses import replace

from artesian.model.engine import SeenSnapshot
from artesian.model.errors import Conflict, NotPossible, NotThere
from artesian.model.observation import Observation
from artesian.model.state import FrameworkState
from artesian.model.volume_names import name_problem
from artesian.model.wishes import SnapshotWish, VolumeWish
from artesian.scheduler.volume_requests import (
    check_not_copied,
    create_volume,
    find_volume,
    volume_of_a_user,
)


def take_snapshot(state: FrameworkState, seen: Observation, volume: str, name: str) -> FrameworkState:
    """Keep what a volume has now, also while it is used."""
    wish = volume_of_a_user(state, volume)
    _need_snapshots(seen)
    if wish.engine_id is None:
        raise Conflict(f"volume {volume} is still being made")
    if (problem := name_problem(name, "snapshot")) is not None:
        raise NotPossible(problem)
    known = wish.snapshot(name)
    if known is not None and known.deleted:
        raise Conflict(f"snapshot {name} of volume {volume} is still being deleted")
    if known is not None:
        raise Conflict(f"volume {volume} has a snapshot {name} already: delete it, or take another name")
    return state.with_volume(wish.with_snapshot(SnapshotWish(name)))


def delete_snapshot(state: FrameworkState, volume: str, name: str) -> FrameworkState:
    """Keep no longer what a volume had. Volumes that were made of it stay as they are."""
    wish, snapshot = find_snapshot(state, volume, name)
    check_not_copied(state, wish, snapshot)
    return state.with_volume(wish.with_snapshot(replace(snapshot, deleted=True)))


def clone(state: FrameworkState, seen: Observation, volume: str, name: str, new_name: str) -> FrameworkState:
    """A new volume that begins with what a snapshot has; beside it from then on, and not on top of it."""
    wish, snapshot = find_snapshot(state, volume, name)
    _need_snapshots(seen)
    there = seen_snapshot(seen, wish, snapshot)
    if there is None:
        raise Conflict(
            f"snapshot {name} of volume {volume} is not there; artesian volume snapshots {volume} says why"
        )
    copy = VolumeWish(new_name, wish.pool, there.size_bytes, source=wish.id_of(snapshot))
    return create_volume(state, seen, copy)


def find_snapshot(state: FrameworkState, volume: str, name: str) -> tuple[VolumeWish, SnapshotWish]:
    """A snapshot and its volume. Raises NotThere."""
    wish = find_volume(state, volume)
    snapshot = wish.snapshot(name)
    if snapshot is None or snapshot.deleted:
        known = ", ".join(sorted(one.name for one in wish.snapshots if not one.deleted)) or "none"
        raise NotThere(f"volume {volume} has no snapshot {name}; there are {known}")
    return wish, snapshot


def seen_snapshot(seen: Observation, wish: VolumeWish, snapshot: SnapshotWish) -> SeenSnapshot | None:
    """A snapshot as it was last seen; None if it was not."""
    return seen.engine.snapshot_with_id(wish.id_of(snapshot)) if seen.engine is not None else None


def _need_snapshots(seen: Observation) -> None:
    if seen.engine is None:
        raise Conflict(f"the engine does not answer, so no snapshots can be made: {seen.engine_problem}")
    if not seen.engine.offers_snapshots:
        raise NotPossible(
            "this engine has no snapshots of volumes (Ceph has): copy what is on the volume to another one"
        )
