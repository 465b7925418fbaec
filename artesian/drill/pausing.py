"""Whether something is paused that a drill needs. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from artesian.drill.facts import DrillFacts
from artesian.model import pause
from artesian.model.drill import Drill
from artesian.model.rule import RemedyKind


def paused(drill: Drill, facts: DrillFacts) -> str | None:
    """Which pause is in a drill's way: of its nodes, its pool, or of the rules and remedies that have to
    notice what it does; None if none is."""
    if not (facts.state.paused or facts.state.pauses):
        return None
    because = facts.state.paused_because(*_touched(drill))
    return because or _nobody_notices(drill, facts)


def _touched(drill: Drill) -> Iterator[str]:
    if drill.pool is not None:
        yield pause.of_pool(drill.pool)
    for node in (drill.node, drill.writer_node):
        if node:
            yield pause.of_node(node)


def _nobody_notices(drill: Drill, facts: DrillFacts) -> str | None:
    """One of the rules that it expects is enough."""
    reasons = []
    for rule in facts.spec.rules:
        if rule.name not in drill.expects:
            continue
        scopes = [pause.of_rule(rule.name), pause.of_kind(rule.remedy)]
        scopes += [pause.REMEDIES] if rule.remedy is not RemedyKind.NOTIFY else []
        because = facts.state.paused_because(*scopes)
        if because is None:
            return None
        reasons.append(because)
    return reasons[0] if reasons else None
