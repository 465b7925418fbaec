"""From rules that fire to remedies that are stored: each once, and not again while it may still help."""

from __future__ import annotations

import math

from artesian.model.disk import PoolName
from artesian.model.names import digest
from artesian.model.remedy import Remedy, RemedyState
from artesian.model.rule import Approval, RemedyKind, Rule
from artesian.remedy.facts import RemedyFacts
from artesian.remedy.firing import Firing

REJECTED_S = 86_400.0  # what somebody has rejected is not proposed again for so long


def propose(facts: RemedyFacts) -> tuple[Remedy, ...]:
    """Remedies for what fires and has none yet, by rule and thing."""
    found = []
    taken = {(one.kind, one.thing) for one in facts.state.remedies.values() if one.state.is_open}
    for (name, thing), firing in sorted(facts.firings.items()):
        rule = facts.rule(name)
        if rule is None or (rule.remedy, thing) in taken or _is_too_soon(facts, rule, thing):
            continue
        taken.add((rule.remedy, thing))
        found.append(_remedy(facts, rule, firing))
    return tuple(found)


def _past(facts: RemedyFacts, rule: Rule, thing: str) -> list[Remedy]:
    """Closed remedies of the kind for the thing, the last one first."""
    closed = [
        one
        for one in facts.state.remedies.values()
        if (one.kind, one.thing) == (rule.remedy, thing) and not one.state.is_open
    ]
    return sorted(closed, key=lambda one: (-one.changed_s, one.id))


def _is_too_soon(facts: RemedyFacts, rule: Rule, thing: str) -> bool:
    past = _past(facts, rule, thing)
    if not past:
        return False
    pause_s = rule.cooldown_s
    if past[0].state is RemedyState.REJECTED:
        pause_s = max(pause_s, REJECTED_S)
    return facts.now_s - past[0].changed_s < pause_s


def _remedy(facts: RemedyFacts, rule: Rule, firing: Firing) -> Remedy:
    past = _past(facts, rule, firing.thing)
    failed = bool(past) and past[0].state is RemedyState.FAILED
    ask = rule.approval is Approval.ASK or (failed and rule.remedy is not RemedyKind.NOTIFY)
    because = firing.because
    if failed:
        because += "; the last remedy did not help, so somebody has to agree to another one"
    return Remedy(
        id=digest(f"{rule.name} {firing.thing} {len(past)} {facts.now_s:.3f}")[:8],
        rule=rule.name,
        kind=rule.remedy,
        thing=firing.thing,
        because=because,
        state=RemedyState.ASKING if ask else RemedyState.HELD,
        created_s=facts.now_s,
        changed_s=facts.now_s,
        saw={name: value for name, value in firing.saw.items() if math.isfinite(value)},
        parameters=dict(rule.parameters),
        pool=_pool(facts, rule.remedy, firing.thing),
    )


def _pool(facts: RemedyFacts, kind: RemedyKind, thing: str) -> PoolName | None:
    engine = facts.seen.engine
    if engine is None:
        return None
    if kind is RemedyKind.EXPAND_POOL:
        return next((pool.name for pool in engine.pools if str(pool.name) == thing), None)
    if kind is RemedyKind.REPLACE_DEVICE:
        return next((device.pool for device in engine.devices if device.name == thing), None)
    return None
