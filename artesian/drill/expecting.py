"""Which rules have to notice what a drill does. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

from artesian.drill.facts import DrillFacts
from artesian.model.disk import PoolName
from artesian.model.drill import Drill, DrillKind
from artesian.model.remedy import Remedy, RemedyState
from artesian.model.rule import Rule, Scope
from artesian.model.spec import DEFAULT_POOL
from artesian.remedy.conditions import compile_condition
from artesian.remedy.proposing import REJECTED_S
from artesian.remedy.words import rough_duration


def expected_rules(drill: Drill, facts: DrillFacts) -> tuple[str, ...]:
    """Rules of which at least one has to fire; none if nothing says that somebody should notice."""
    if drill.kind is not DrillKind.FAIL_DISK:
        return ()
    values = {"failed": 1.0, "ours": 1.0, "leaving": 0.0}
    return rules_that_fire(facts, Scope.DEVICE, values, drill.pool, drill.limit_s)


def rules_that_fire(
    facts: DrillFacts, scope: Scope, values: Mapping[str, float], pool: PoolName | None, within_s: float
) -> tuple[str, ...]:
    """Rules that fire for certain of such a thing, whatever else is measured, and soon enough to be seen."""
    return tuple(
        rule.name
        for rule in facts.spec.rules
        if rule.scope is scope
        and rule.for_s < within_s
        and _is_for(rule, pool)
        and compile_condition(rule.when, scope).judge(values).holds
    )


def _is_for(rule: Rule, pool: PoolName | None) -> bool:
    """Whether a rule is for the things of a pool; one for single things is not counted on."""
    if not rule.things:
        return True
    names = [str(pool)] if pool is not None else []
    names += [pool.pool] if pool is not None and pool.domain == DEFAULT_POOL.domain else []
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in rule.things for name in names)


def resting(names: tuple[str, ...], thing: str, facts: DrillFacts) -> str | None:
    """Why none of these rules would raise a remedy for a thing now, as each has just done so; None if one
    would."""
    reasons = []
    for rule in facts.spec.rules:
        if rule.name not in names:
            continue
        left_s = max(
            (_rest_s(one, rule, thing, facts.now_s) for one in facts.state.remedies.values()), default=0
        )
        if left_s <= 0:
            return None
        reasons.append(
            f"rule {rule.name} has just raised a remedy for this, and rests for {rough_duration(left_s)}"
        )
    return reasons[0] if reasons else None


def _rest_s(remedy: Remedy, rule: Rule, thing: str, now_s: float) -> float:
    if (remedy.kind, remedy.thing) != (rule.remedy, thing) or remedy.state.is_open:
        return 0.0
    pause_s = max(rule.cooldown_s, REJECTED_S) if remedy.state is RemedyState.REJECTED else rule.cooldown_s
    return remedy.changed_s + pause_s - now_s
