"""Drills as documents."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from artesian.api.remedy_views import events_of, remedy_view
from artesian.drill.choosing import UNDONE, WHAT, impossible
from artesian.drill.facts import DrillFacts
from artesian.drill.health import unhealthy
from artesian.drill.words import waits_for
from artesian.model.drill import Drill, DrillKind
from artesian.scheduler.loop import Scheduler
from artesian.scheduler.verdict import Verdict

Document = dict[str, Any]


def facts_of(scheduler: Scheduler, verdict: Verdict) -> DrillFacts:
    """What drills look at, as the last pass has seen it."""
    return scheduler.driller.facts(scheduler.spec, verdict.seen, verdict.decision, scheduler.remediator.last)


def drills_view(scheduler: Scheduler, verdict: Verdict) -> Document:
    """Every kind: what it does, whether it can be done here, and what came of it last; and all past ones."""
    facts = facts_of(scheduler, verdict)
    past = sorted(facts.state.drills.values(), key=lambda one: (-one.created_s, one.id))
    last = {one.kind: one for one in reversed(past)}
    every = {one.name: one.every_s for one in facts.spec.drills}
    kinds = [
        {
            "name": str(kind),
            "what": WHAT[kind],
            "undone": UNDONE[kind],
            "not_possible": impossible(kind, facts),
            "every_s": every.get(kind),
            "last": drill_view(last[kind], facts) if kind in last else None,
        }
        for kind in DrillKind
    ]
    return {"refused": unhealthy(facts), "kinds": kinds, "drills": [drill_view(one, facts) for one in past]}


def drill_view(drill: Drill, facts: DrillFacts) -> Document:
    """One drill as it is now; while it goes on, with what its writer says at this moment."""
    told = facts.told_by(drill.writer_node) if drill.state.is_open else None
    writer = told.writer if told is not None and told.writer is not None else None
    if writer is not None and writer.drill != drill.id:
        writer = None
    return asdict(drill) | {
        "kind": str(drill.kind),
        "state": str(drill.state),
        "open": drill.state.is_open,
        "pool": str(drill.pool) if drill.pool is not None else None,
        "ending": str(drill.ending) if drill.ending is not None else None,
        "times": {str(moment): at_s for moment, at_s in drill.times.items()},
        "volume": drill.volume,
        "what": WHAT[drill.kind],
        "undone": UNDONE[drill.kind],
        "acknowledged": writer.acknowledged if writer is not None else drill.acknowledged,
        "pause_s": writer.pause_s if writer is not None else drill.pause_s,
        "waits_for": waits_for(drill, facts),
    }


def report_view(scheduler: Scheduler, verdict: Verdict, drill: Drill) -> Document:
    """One drill with its remedies, and all that was told of it."""
    remedies = scheduler.memory.state.remedies
    return drill_view(drill, facts_of(scheduler, verdict)) | {
        "remedies": [remedy_view(remedies[one]) for one in drill.remedies if one in remedies],
        "events": events_of(scheduler, drill.id),
    }
