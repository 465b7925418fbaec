"""The guard of remedies: why one has to wait. Each rule is a sentence; none of them ever widens anything."""

from __future__ import annotations

from datetime import UTC, datetime

from artesian.model.node import NodeState
from artesian.model.remedy import Part, PartState, Remedy, RemedyState
from artesian.model.rule import Budget, RemedyKind, Rule
from artesian.remedy.facts import RemedyFacts
from artesian.remedy.moving import is_forced
from artesian.remedy.pausing import paused

DAY_S = 86_400.0
MOVING_KINDS = (RemedyKind.REPLACE_DEVICE, RemedyKind.REMOVE_NODE)
MOVING_AT_ONCE = 2  # remedies that make the engine move data, in all pools together
SUSPICIOUS_REPEATS = 3  # of the same remedy for the same thing within a day


def objection(remedy: Remedy, facts: RemedyFacts) -> str | None:
    """Why a remedy must not begin now; None when nothing speaks against it."""
    if remedy.kind is RemedyKind.NOTIFY:
        return paused(remedy, facts.state)
    return (
        paused(remedy, facts.state)
        or half_a_picture(facts, _known_to_be_away(remedy, facts))
        or ("these are quiet hours" if is_quiet(facts.rule(remedy.rule), facts.now_s) else None)
        or _lane(remedy, facts)
        or _storm(remedy, facts)
    )


def half_a_picture(facts: RemedyFacts, without: frozenset[str] = frozenset()) -> str | None:
    """Why nothing may be begun or chosen now, whatever it is; None if everything is in sight, but for nodes
    `without` which it may be."""
    if facts.state.paused:
        return facts.state.paused_because()
    if facts.seen.engine is None:
        return f"the engine does not answer: {facts.seen.engine_problem}"
    unheard = facts.seen.unheard - without
    if unheard:
        return f"node {min(unheard)} has not reported yet, and nothing is done on half a picture"
    return None


def _known_to_be_away(remedy: Remedy, facts: RemedyFacts) -> frozenset[str]:
    """Volumes are moved to nodes that are heard of: nodes that the substrate itself cannot reach, or has
    emptied, will not report, and it makes no difference what they would say."""
    if remedy.kind is not RemedyKind.MOVE_VOLUMES:
        return frozenset()
    return frozenset(node.name for node in facts.seen.nodes if node.unreachable or node.leaving)


def is_quiet(rule: Rule | None, now_s: float) -> bool:
    """Whether a rule begins nothing at this time (Unix time)."""
    now = datetime.fromtimestamp(now_s, UTC)
    minute = now.hour * 60 + now.minute
    return rule is not None and any(hours.contain(minute) for hours in rule.quiet_hours)


def _lane(remedy: Remedy, facts: RemedyFacts) -> str | None:
    """One at a time for each pool and thing; pools do not wait for each other."""
    for other in sorted(facts.state.remedies.values(), key=lambda one: one.id):
        if other.id == remedy.id or other.state not in (RemedyState.ACTING, RemedyState.CHECKING):
            continue
        if remedy.pool is not None and other.pool == remedy.pool:
            return f"remedy {other.id} ({other.kind}) is at work on pool {other.pool}"
        if other.thing == remedy.thing and not _is_overtaken(other, remedy):
            return f"remedy {other.id} ({other.kind}) is at work on {other.thing}"
        if RemedyKind.REPLACE_MANAGER is other.kind is remedy.kind:
            return f"remedy {other.id} replaces another manager, and they change one at a time"
    return None


def _is_overtaken(other: Remedy, remedy: Remedy) -> bool:
    """A node that was to let go of its volumes, and went silent over it, lets go by force or not at all."""
    return is_forced(remedy.kind, remedy.parameters) and (
        other.kind is remedy.kind and not is_forced(other.kind, other.parameters)
    )


def _storm(remedy: Remedy, facts: RemedyFacts) -> str | None:
    """Data is moved for few things at once, and not while a node may come back at any moment."""
    if remedy.kind not in MOVING_KINDS:
        return None
    moving = [
        one.id
        for one in facts.state.remedies.values()
        if one.state is RemedyState.ACTING and one.kind in MOVING_KINDS
    ]
    if len(moving) >= MOVING_AT_ONCE:
        return f"remedies {', '.join(sorted(moving))} move data already"
    silent = [node.name for node in facts.seen.nodes if node.state is NodeState.SILENT]
    if silent:
        return f"node {min(silent)} is silent, and nothing is taken away on half a picture"
    return None


def too_often(remedy: Remedy, facts: RemedyFacts) -> str | None:
    """What comes back again and again is not mended by doing the same again; to tell of it does no harm."""
    if remedy.kind is RemedyKind.NOTIFY:
        return None
    helped = [
        one
        for one in facts.state.remedies.values()
        if (one.kind, one.thing) == (remedy.kind, remedy.thing)
        and one.state is RemedyState.HELPED
        and facts.now_s - one.changed_s < DAY_S
    ]
    if len(helped) < SUSPICIOUS_REPEATS:
        return None
    return f"this has been done {len(helped)} times within a day, and it keeps coming back"


def over_budget(
    remedy: Remedy, wanted: Part, facts: RemedyFacts, *, once_given_back: bool = False
) -> str | None:
    """Why one more disk would cost too much; None if there is money for it.

    Disks that were given up count until they are gone, unless `once_given_back` asks how it will be then.
    """
    rule = facts.rule(remedy.rule)
    counting = [
        (one.rule, part)
        for one in facts.state.remedies.values()
        for part in one.parts
        if part.may_cost and not (once_given_back and part.state is PartState.GIVEN_UP)
    ]
    everything = [part for _, part in counting]
    of_rule = [part for name, part in counting if name == remedy.rule]
    return _exceeds(facts.spec.budget, everything, wanted, facts.now_s, "the budget") or (
        _exceeds(rule.budget, of_rule, wanted, facts.now_s, f"the budget of rule {rule.name}")
        if rule is not None
        else None
    )


def _exceeds(budget: Budget, parts: list[Part], wanted: Part, now_s: float, name: str) -> str | None:
    kept = [part for part in parts if part.token != wanted.token]
    today = [part for part in kept if now_s - part.asked_s < DAY_S]
    for limit, spent, more, words in (
        (budget.disks_per_day, len(today), 1, "disks in a day"),
        (budget.disks_total, len(kept), 1, "disks in all"),
        (budget.bytes_per_day, _bytes(today), wanted.size_bytes, "bytes in a day"),
        (budget.bytes_total, _bytes(kept), wanted.size_bytes, "bytes in all"),
        (budget.cost_per_day, _cost(today), wanted.cost_per_month, "a month for new disks of a day"),
        (budget.cost_total, _cost(kept), wanted.cost_per_month, "a month in all"),
    ):
        if limit is not None and spent + more > limit:
            return f"{name} allows {limit:g} {words}, {spent:g} are spent, and {more:g} more are needed"
    return None


def _bytes(parts: list[Part]) -> int:
    return sum(part.size_bytes for part in parts)


def _cost(parts: list[Part]) -> float:
    return sum(part.cost_per_month for part in parts)
