"""Snapshots as documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from artesian.api.volume_views import waits_for
from artesian.model.changes import Change, CreateSnapshot, DeleteSnapshot
from artesian.model.state import FrameworkState
from artesian.model.wishes import SnapshotWish, VolumeWish
from artesian.scheduler.snapshot_requests import seen_snapshot
from artesian.scheduler.verdict import Verdict

Document = dict[str, Any]


def snapshots_view(state: FrameworkState, verdict: Verdict, wishes: Iterable[VolumeWish]) -> list[Document]:
    """The snapshots of volumes, the oldest of each first."""
    return [snapshot_view(state, verdict, wish, one) for wish in wishes for one in wish.snapshots]


def snapshot_view(
    state: FrameworkState, verdict: Verdict, wish: VolumeWish, snapshot: SnapshotWish
) -> Document:
    """One snapshot. `ready`: it is there; else `because` says what it waits for. `clones`: volumes of ours
    that began with it. `taken_at_s`: Unix time."""
    there = seen_snapshot(verdict.seen, wish, snapshot)
    because = _why_not_ready(verdict, wish, snapshot, is_there=there is not None)
    source = wish.id_of(snapshot)
    return {
        "volume": wish.name,
        "name": snapshot.name,
        "id": snapshot.engine_id,
        "size_bytes": there.size_bytes if there is not None else None,
        "taken_at_s": there.taken_at_s if there is not None else None,
        "clones": sorted(one.name for one in state.volumes.values() if one.source == source),
        "deleted": snapshot.deleted,
        "ready": not because,
        "because": because,
    }


def _why_not_ready(verdict: Verdict, wish: VolumeWish, snapshot: SnapshotWish, *, is_there: bool) -> str:
    def is_meant(change: Change) -> bool:
        return isinstance(change, CreateSnapshot | DeleteSnapshot) and (change.volume, change.snapshot) == (
            wish.name,
            snapshot.name,
        )

    if (waits := waits_for(verdict, is_meant)) is not None:
        return waits
    if verdict.seen.engine is None:
        return f"the engine does not answer: {verdict.seen.engine_problem}"
    if snapshot.deleted or not snapshot.taken or snapshot.engine_id is None:
        return "it is under way"
    if is_there:
        return ""
    return "it is not in the engine any more, and is not taken anew with later data: delete it"
