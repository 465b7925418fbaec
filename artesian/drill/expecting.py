"""Which rules have to notice what a drill does. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

from artesian.drill.facts import DrillFacts
from artesian.model.disk import PoolName
from artesian.model.drill import Drill, DrillKind
from artesian.model.rule import Rule, Scope
from artesian.model.spec import DEFAULT_POOL
from artesian.remedy.conditions import compile_condition


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
