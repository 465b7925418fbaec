"""Whether a drill is behind a remedy, as far as is stored: whoever is told of it should know. Pure."""

from __future__ import annotations

from artesian.model.drill import Drill, DrillKind
from artesian.model.names import device_name
from artesian.model.remedy import Remedy
from artesian.model.state import FrameworkState


def drill_behind(remedy: Remedy, state: FrameworkState) -> Drill | None:
    """The drill that is under way, and has hit what the remedy is for; None if it is meant in earnest.

    Of a drill that is over, what was raised while it went on counts: it may fail much later.
    """
    for _, drill in sorted(state.drills.items()):
        at_work = drill.state.is_open and remedy.created_s >= drill.created_s
        if (at_work or remedy.id in drill.remedies) and _is_hit(remedy, drill, state):
            return drill
    return None


def _is_hit(remedy: Remedy, drill: Drill, state: FrameworkState) -> bool:
    if drill.pool is not None and (remedy.pool == drill.pool or remedy.thing == str(drill.pool)):
        return True
    if remedy.thing in ("cluster", drill.volume):
        return True
    if drill.node is None or drill.kind in (DrillKind.FILL_POOL, DrillKind.STALL_PROVIDER):
        return False
    there = {device_name(one.identity) for one in state.claims.values() if one.node == drill.node}
    return remedy.thing in there | {drill.node, drill.target, device_name(drill.target)}
