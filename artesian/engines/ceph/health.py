"""Whether a pool has all its copies, by the states of its placement groups. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from artesian.engines.ceph.gathering import Figures
from artesian.engines.ceph.monitors import Json

_CLEAN = "active+clean"
_LOST = frozenset({"down", "incomplete", "unknown"})
_TOO_FEW = frozenset({"degraded", "undersized", "recovery_unfound", "backfill_unfound", "stale"})
_COPYING = frozenset({"recovering", "recovery_wait", "backfilling", "backfill_wait", "backfill_toofull"})


@dataclass(frozen=True, slots=True)
class State:
    """Bytes of data, one copy counted: with too few copies, with none that answers, still to be copied."""

    degraded_bytes: int = 0
    failed_bytes: int = 0
    moving_bytes: int = 0


def state_of(
    pool: Json, figures: Figures, osds: Mapping[int, Json], of_pool: Iterable[int], *, has_volumes: bool
) -> State:
    """The state of one of Ceph's pools. `osds` are all by number, `of_pool` the pool's.

    What the manager daemon knows is a moment old: what it said of a placement group before one of its disks
    came or went counts for nothing. Of a group whose disks are away, a manager daemon or a disk that has
    followed another counts no object: where there are volumes it may have some. At least one byte is told of
    whatever has any object, or may have.
    """
    degraded = failed = moving = objects = 0
    of_pool = list(of_pool)
    has_been_told = _has_been_told(figures, osds, of_pool)
    groups = [one for one in figures.placement_groups if one["pgid"].startswith(f"{pool['pool']}.")]
    for group in groups:
        sums, states = group["stat_sum"], frozenset(group["state"].split("+"))
        is_new = group["pgid"] in figures.new_groups
        is_lost = (bool(states & _LOST) and not is_new) or (
            "stale" in states and not _has_a_disk(group, osds)
        )
        is_silent = is_lost or is_new or "stale" in states
        if not (sums["num_objects"] or (is_silent and has_volumes)):
            continue
        objects += sums["num_objects"]
        missing = _share(sums, "num_objects_degraded")
        if is_lost and (sums["num_objects"] or has_been_told):
            failed += max(1, sums["num_bytes"])
        elif "active" not in states or states & _TOO_FEW or _is_outdated(group, osds):
            degraded += max(1, missing)
        if states & _COPYING:
            moving += max(1, missing + _share(sums, "num_objects_misplaced"))
    is_missed = any(osds.get(one, {}).get("in") and not osds[one].get("up") for one in of_pool)
    is_known = figures.fresh and len(groups) >= pool["pg_num"]
    if (has_volumes or objects) and (is_missed or not is_known):
        degraded = max(degraded, 1)
    return State(degraded, failed, moving)


def _has_been_told(figures: Figures, osds: Mapping[int, Json], of_pool: Iterable[int]) -> bool:
    """Whether all disks that are there have said what they have: a new manager daemon knows nothing."""
    known = {one["id"] for one in figures.osds if one.get("kb")}
    return all(one in known for one in of_pool if osds.get(one, {}).get("up"))


def _has_a_disk(group: Json, osds: Mapping[int, Json]) -> bool:
    """Whether one of its disks is there. It has not said so yet if the one that spoke has just died."""
    return any(osds.get(one, {}).get("up") for one in {*group["up"], *group["acting"]})


def _share(sums: Json, name: str) -> int:
    copies = sums["num_object_copies"]
    return int(sums["num_bytes"] * sums[name] / copies) if copies else 0


def _is_outdated(group: Json, osds: Mapping[int, Json]) -> bool:
    reported = int(group["reported_epoch"])
    changes = [
        max(osds[one]["up_from"], osds[one]["down_at"])
        for one in {*group["up"], *group["acting"]}
        if one in osds
    ]
    return any(reported < epoch for epoch in changes)
