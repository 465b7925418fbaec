"""From rules that fire to remedies that are stored: each once, and not again while it may still help."""

from __future__ import annotations

import math
from dataclasses import replace

from artesian.model.disk import PoolName
from artesian.model.names import digest
from artesian.model.pause import of_rule
from artesian.model.remedy import Remedy, RemedyState
from artesian.model.rule import Approval, RemedyKind, Rule
from artesian.remedy.facts import RemedyFacts
from artesian.remedy.firing import Firing
from artesian.remedy.measuring import CLUSTER
from artesian.remedy.moving import Parameters, is_forced, risk
from artesian.remedy.words import rough_duration

REJECTED_S = 86_400.0  # what somebody has rejected is not proposed again for so long
NOT_NEEDED_S = 60.0  # after nothing was done: long enough for a condition that comes and goes to be quiet


def propose(facts: RemedyFacts) -> tuple[Remedy, ...]:
    """Remedies for what fires and has none yet, by rule and thing; and those that wait for somebody although
    another rule may act by itself by now, with its agreement."""
    found = []
    taken = {
        _about(one.kind, one.thing, one.rule, one.parameters): one
        for _, one in sorted(facts.state.remedies.items())
        if one.state.is_open
    }
    for (name, thing), firing in sorted(facts.firings.items()):
        rule = facts.rule(name)
        if rule is None:
            continue
        about = _about(rule.remedy, thing, name, rule.parameters)
        if about in taken:
            if _may_act(facts, rule, taken[about]):
                because = f"{taken[about].because}; rule {name} needs nobody's agreement: {firing.because}"
                taken[about] = replace(taken[about], approved_by=f"rule {name}", because=because)
                found.append(taken[about])
        elif not _is_too_soon(facts, rule, firing):
            taken[about] = _remedy(facts, rule, firing)
            found.append(taken[about])
    return tuple(found)


def _may_act(facts: RemedyFacts, rule: Rule, asking: Remedy) -> bool:
    """Whether a remedy asks only as its own rule does, and this one does not; not after one that failed."""
    own = facts.rule(asking.rule)
    return (
        rule.approval is Approval.AUTOMATIC
        and facts.state.paused_because(of_rule(rule.name)) is None
        and asking.state is RemedyState.ASKING
        and asking.id in facts.state.remedies
        and not asking.approved_by
        and not asking.detail
        and own is not None
        and own.approval is Approval.ASK
        and not _has_failed(_past(facts, rule, asking.thing))
    )


def _has_failed(past: list[Remedy]) -> bool:
    """Whether the last one did not help. One that was rejected, or not needed then, has shown nothing.

    Where a clock was wrong several may have been the last: somebody is asked if any of those failed.
    """
    tried = [one for one in past if one.state in (RemedyState.FAILED, RemedyState.HELPED)]
    if not tried:
        return False
    newest = max(tried, key=lambda one: one.changed_s)
    return RemedyState.FAILED in (tried[0].state, newest.state)


def _about(kind: RemedyKind, thing: str, rule: str, parameters: Parameters) -> tuple[str, ...]:
    """What two remedies would do twice. What one rule has told says nothing of what another has to tell, and
    to ask a node for its volumes is not to take them."""
    if kind is RemedyKind.NOTIFY:
        return (kind, thing, rule)
    return (kind, thing, "by force") if is_forced(kind, parameters) else (kind, thing)


def _past(facts: RemedyFacts, rule: Rule, thing: str) -> list[Remedy]:
    """Closed remedies that did the same for the thing, the last one first."""
    same = _about(rule.remedy, thing, rule.name, rule.parameters)
    closed = [
        one
        for one in facts.state.remedies.values()
        if _about(one.kind, one.thing, one.rule, one.parameters) == same and not one.state.is_open
    ]
    # One that is still to come was closed by a clock that was wrong: it is no newer than all others.
    return sorted(closed, key=lambda one: (one.changed_s > facts.now_s, -one.changed_s, one.id))


def _is_too_soon(facts: RemedyFacts, rule: Rule, firing: Firing) -> bool:
    past = _past(facts, rule, firing.thing)
    if not past:
        return False
    if rule.remedy is RemedyKind.NOTIFY and firing.since_s <= past[0].created_s <= facts.now_s:
        return True  # it was told already, and has not been well since
    return _left_s(facts, rule, _longest(facts, rule, past)) > 0


def _longest(facts: RemedyFacts, rule: Rule, past: list[Remedy]) -> Remedy:
    """The one after which the rule pauses longest from now on. That need not be the last one: what another
    rule has raised and nobody needed does not take back a rejection."""
    return max(past, key=lambda one: _left_s(facts, rule, one))


def _left_s(facts: RemedyFacts, rule: Rule, last: Remedy) -> float:
    return _pause_s(rule, last) - abs(facts.now_s - last.changed_s)


def _pause_s(rule: Rule, last: Remedy) -> float:
    """How long after this remedy the rule raises no other one."""
    same_voice = last.rule == rule.name or rule.approval is Approval.ASK
    if last.state is RemedyState.REJECTED and same_voice:
        return max(rule.cooldown_s, REJECTED_S)
    if last.state is RemedyState.NOT_NEEDED:
        return min(rule.cooldown_s, NOT_NEEDED_S)
    return rule.cooldown_s


def what_becomes_of(facts: RemedyFacts, firing: Firing) -> str:
    """Which remedy a rule that fires has, or why it raises none, in one sentence."""
    rule = facts.rule(firing.rule)
    if rule is None:
        return f"there is no rule {firing.rule} any more"
    about = _about(rule.remedy, firing.thing, rule.name, rule.parameters)
    for key, one in sorted(facts.state.remedies.items()):
        if one.state.is_open and _about(one.kind, one.thing, one.rule, one.parameters) == about:
            return f"remedy {key} is {one.state}"
    if not _is_too_soon(facts, rule, firing):
        return f"it raises {rule.remedy} at the next look"
    past = _past(facts, rule, firing.thing)
    last = past[0] if rule.remedy is RemedyKind.NOTIFY else _longest(facts, rule, past)
    how = f"remedy {last.id} is {last.state}" + (f" ({last.detail})" if last.detail else "")
    if rule.remedy is RemedyKind.NOTIFY:
        return f"{how}, and it is told once until it was well in between"
    left = rough_duration(max(0.0, _left_s(facts, rule, last)))
    return f"{how}, and {rule.remedy} is not raised again for {left}"


def _remedy(facts: RemedyFacts, rule: Rule, firing: Firing) -> Remedy:
    past = _past(facts, rule, firing.thing)
    failed = _has_failed(past)
    ask = rule.approval is Approval.ASK or (failed and rule.remedy is not RemedyKind.NOTIFY)
    because = firing.because
    if costs := risk(rule.remedy, rule.parameters, firing.thing):
        because += f"; {costs}"
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
        parameters={key: one if isinstance(one, str) else float(one) for key, one in rule.parameters.items()},
        pool=_pool(facts, rule.remedy, firing.thing),
        title=firing.title,
    )


def _pool(facts: RemedyFacts, kind: RemedyKind, thing: str) -> PoolName | None:
    """The pool that a remedy is for, whether the engine answers now or not."""
    if kind is RemedyKind.EXPAND_POOL or (kind is RemedyKind.ADD_NODE and thing != CLUSTER):
        domain, _, pool = thing.partition("/")
        return PoolName(domain, pool)
    if kind is not RemedyKind.REPLACE_DEVICE:
        return None
    engine, claim = facts.seen.engine, facts.claim_of(thing)
    if claim is not None:
        return claim.pool
    devices = engine.devices if engine is not None else ()
    return next((device.pool for device in devices if device.name == thing), None)
