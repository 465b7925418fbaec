"""When a drill of the schedule is due. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from artesian.model.drill import DrillKind, DrillSchedule
from artesian.model.spec import Spec
from artesian.model.state import FrameworkState


def due(spec: Spec, state: FrameworkState, now_s: float) -> tuple[DrillSchedule, ...]:
    """The drills of which one should begin now, the one that waits longest first.

    None while another is under way: there is one at a time.
    """
    if any(one.state.is_open for one in state.drills.values()):
        return ()
    waiting = [
        (last_run_s(state, one.name) + one.every_s, at, one)
        for at, one in enumerate(spec.drills)
        if _in_window(one, now_s) and last_run_s(state, one.name) + one.every_s <= now_s
    ]
    return tuple(one for _, _, one in sorted(waiting, key=lambda it: it[:2]))


def last_run_s(state: FrameworkState, kind: DrillKind) -> float:
    """When the schedule has begun a drill of a kind last, 0 if it never has."""
    runs = (one.created_s for one in state.drills.values() if one.schedule == str(kind))
    return max(runs, default=0.0)


def _in_window(schedule: DrillSchedule, now_s: float) -> bool:
    now = datetime.fromtimestamp(now_s, UTC)
    minute = now.hour * 60 + now.minute
    return not schedule.between or any(hours.contain(minute) for hours in schedule.between)
