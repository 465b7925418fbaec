"""Volumes as the API shows them: as they are wished, how far they are, and what they wait for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from artesian.model.changes import Change, CreateSnapshot, DeleteSnapshot
from artesian.model.node import NodeState
from artesian.model.observation import SeenAttachment
from artesian.model.state import FrameworkState
from artesian.model.wishes import VolumeWish
from artesian.scheduler.verdict import Verdict

Document = dict[str, Any]


def volumes_view(state: FrameworkState, verdict: Verdict) -> list[Document]:
    """The volumes as wished, and how far they are."""
    return [volume_view(state, verdict, wish) for _, wish in sorted(state.volumes.items())]


def volume_view(state: FrameworkState, verdict: Verdict, wish: VolumeWish) -> Document:
    """One volume. `ready`: it is as wished; else `because` says what it waits for. `used_bytes` of
    `total_bytes`: of its file system, if that is known."""
    engine = verdict.seen.engine
    seen = engine.volume_with_id(wish.engine_id) if engine is not None else None
    attached = _attachment(verdict, wish)
    because = _why_not_ready(state, verdict, wish)
    return {
        "name": wish.name,
        "id": wish.engine_id,
        "pool": str(wish.pool),
        "size_bytes": wish.size_bytes,
        "thick": wish.thick,
        "node": wish.node,
        "mount_path": wish.mount_path,
        "fstype": wish.fstype,
        "for_containers": bool(wish.hold),
        "limit_iops": wish.limit_iops,
        "limit_bandwidth_bytes_per_s": wish.limit_bandwidth_bytes_per_s,
        "iops": seen.iops if seen is not None else None,
        "bandwidth_bytes_per_s": seen.bandwidth_bytes_per_s if seen is not None else None,
        "deleted": wish.deleted,
        "exists": seen is not None,
        "device": attached.device if attached is not None else None,
        "mounted_at": attached.mounted_at if attached is not None else None,
        "used_bytes": attached.used_bytes if attached is not None else None,
        "total_bytes": attached.total_bytes if attached is not None else None,
        "note": attached.note if attached is not None else "",
        "ready": not because,
        "because": because,
    }


def _why_not_ready(state: FrameworkState, verdict: Verdict, wish: VolumeWish) -> str:
    """What a volume waits for; empty if it is as wished."""
    if (waits := waits_for(verdict, lambda change: _is_of_volume(change, wish.name))) is not None:
        return waits
    engine = verdict.seen.engine
    if engine is None:
        return f"the engine does not answer: {verdict.seen.engine_problem}"
    seen = engine.volume_with_id(wish.engine_id)
    if wish.deleted or seen is None or seen.name != wish.name:
        return "it is under way"
    if seen.size_bytes < wish.size_bytes:
        return "it is being grown"
    if wish.node is None:
        return "" if not _ours(state, seen.mapped_to) else "it is still mapped to a node"
    if state.guid_of(wish.node) not in seen.mapped_to:
        return f"it is not mapped to node {wish.node} yet"
    limits = seen.limits_of(state.guid_of(wish.node))
    if (limits.iops, limits.bandwidth_bytes_per_s) != (wish.limit_iops, wish.limit_bandwidth_bytes_per_s):
        return "its limits are being set"
    node = verdict.seen.node(wish.node)
    if node is None or node.state is not NodeState.ALIVE:
        return f"node {wish.node} is {node.state if node is not None else 'not there'}"
    attached = _attachment(verdict, wish)
    if attached is None:
        return f"node {wish.node} has not attached it yet"
    if attached.problem:
        return attached.problem
    if attached.device is None or (wish.mount_path is not None and attached.mounted_at != wish.mount_path):
        return f"node {wish.node} is attaching it"
    return ""


def waits_for(verdict: Verdict, is_meant: Callable[[Change], bool]) -> str | None:
    """Why the first of these changes is not done yet; None if that is not known of any."""
    guarded = verdict.decision.guarded
    for held in (*guarded.held, *guarded.waiting):
        if is_meant(held.step.change):
            return held.because
    for taken in verdict.taken:
        if is_meant(taken.step.change) and taken.outcome != "done":
            return taken.detail or "it is under way"
    return None


def _is_of_volume(change: Change, name: str) -> bool:
    """A volume is as wished even if a snapshot of it is not."""
    return getattr(change, "volume", None) == name and not isinstance(change, CreateSnapshot | DeleteSnapshot)


def _attachment(verdict: Verdict, wish: VolumeWish) -> SeenAttachment | None:
    """The volume on the node where it is wished to be, if it is attached or half attached there."""
    for one in verdict.seen.attachments:
        if one.volume_id == wish.engine_id and one.node == wish.node:
            return one
    return None


def _ours(state: FrameworkState, guids: tuple[str, ...]) -> bool:
    return any(state.guid_of(node) in guids for node in state.nodes)
