"""Which steps a pause holds back: those that touch what is paused, but none that keeps data safe. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from artesian.model import pause
from artesian.model.changes import (
    AddManager,
    Change,
    CreateEngine,
    EnterMaintenance,
    ExitMaintenance,
    MapVolume,
    RemoveManager,
    RestartProcesses,
    ReturnDevice,
    UnmapVolume,
)
from artesian.model.disk import PoolName
from artesian.model.restart import RestartPart
from artesian.planner.facts import Facts

# An old client is cut off from a volume; copies that were away come back.
_KEEPING_SAFE = (UnmapVolume, ExitMaintenance, ReturnDevice)


def paused(change: Change, facts: Facts) -> str | None:
    """Which pause holds a step back; None if none does.

    What keeps data safe goes on while a pool or a node is paused; while everything is, nothing does. Who uses
    the volumes of a paused pool is not held: a volume that was taken from one node has to get to another.
    """
    state = facts.state
    if state.paused or not state.pauses:
        return state.paused_because()
    if isinstance(change, _KEEPING_SAFE) or _is_lost_manager(change, facts):
        return None
    return state.paused_because(
        *map(pause.of_node, _nodes(change)), *map(pause.of_pool, _pools(change, facts))
    )


def _is_lost_manager(change: Change, facts: Facts) -> bool:
    """A member that does not answer only makes a majority harder to reach."""
    if not isinstance(change, RemoveManager):
        return False
    return any(one.host == change.place.address and not one.healthy for one in facts.engine.managers)


def _nodes(change: Change) -> Iterator[str]:
    match change:
        case AddManager(place) | RemoveManager(place):
            yield place.node
        case CreateEngine(managers):
            yield from (place.node for place in managers)
        case _:
            node = getattr(change, "node", None)
            if isinstance(node, str):
                yield node


def _pools(change: Change, facts: Facts) -> Iterator[PoolName]:
    if isinstance(change, EnterMaintenance):  # the copies on its disks are away for a while
        claims = facts.state.claims.values()
        yield from {one.pool for one in claims if (one.node, one.pool.domain) == (change.node, change.domain)}
        return
    if isinstance(change, RestartProcesses) and change.part is RestartPart.SERVERS:
        yield from {one.pool for one in facts.state.claims.values() if one.node == change.node}
    pool = getattr(change, "pool", None)
    if isinstance(pool, PoolName):
        yield pool
    wish = facts.state.volumes.get(getattr(change, "volume", ""))
    if wish is not None and not isinstance(change, MapVolume):
        yield wish.pool
