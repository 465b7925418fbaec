"""A drill's verdict, in one sentence. Pure."""

from __future__ import annotations

from artesian.drill.facts import DrillFacts
from artesian.drill.health import raised_since
from artesian.drill.watching import missing
from artesian.model.drill import Drill, DrillKind, DrillState, Moment
from artesian.model.remedy import RemedyState
from artesian.remedy.words import rough_duration


def verdict_of(drill: Drill, facts: DrillFacts) -> str:
    """What a drill that has gone well has shown."""
    parts = []
    provoked_s, healed_s = drill.times.get(Moment.PROVOKED), drill.times.get(Moment.HEALED)
    if provoked_s is not None and healed_s is not None:
        parts.append(f"everything was well again after {rough_duration(healed_s - provoked_s)}")
    raised = raised_since(drill, facts)
    for remedy in raised:
        what = f"{remedy.kind} of {remedy.shown}"
        if remedy.state is RemedyState.ASKING:
            parts.append(f"{what} asked in time for somebody's agreement")
        elif remedy.state is RemedyState.HELPED:
            parts.append(f"{what} helped")
        else:
            parts.append(f"{what} is {remedy.state}")
    if drill.kind is DrillKind.STALL_PROVIDER:
        parts.append(f"the scheduler made its passes, the longest gap was {rough_duration(facts.pass_gap_s)}")
    parts.append(
        f"all {drill.acknowledged} acknowledged writes are there, and the longest pause between two was "
        f"{rough_duration(drill.pause_s)}"
    )
    return ", ".join(parts[:-1]) + (", and " if parts[:-1] else "") + parts[-1]


def waits_for(drill: Drill, facts: DrillFacts) -> str:
    """What a drill that is under way waits for now; empty if it is over."""
    match drill.state:
        case DrillState.PREPARING:
            return f"volume {drill.volume} is made, and {drill.writer_node} begins to write to it"
        case DrillState.PROVOKING:
            return "the fault comes about"
        case DrillState.WATCHING:
            return missing(drill, facts) or "everything is well again"
        case DrillState.VERIFYING:
            return f"all that was written to volume {drill.volume} is read back"
        case DrillState.UNDOING:
            left = f"volume {drill.volume} is taken away" if drill.volume in facts.state.volumes else ""
            return left or "what is left of the fault is taken away, and everything is well again"
    return ""
