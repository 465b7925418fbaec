"""What becomes of each remedy in a pass: it waits, begins, is at work, is checked, and ends. Pure.

A remedy changes what is wanted, and nothing else: claims, tombstones, records of nodes, wishes for volumes.
The planner and its guard carry that out. What a provider has to be asked is in the remedy's parts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType

from artesian.model.event import Event
from artesian.model.remedy import Part, PartState, Remedy, RemedyState
from artesian.model.rule import RemedyKind
from artesian.model.state import FrameworkState
from artesian.remedy.deeds import DEEDS
from artesian.remedy.facts import RemedyFacts
from artesian.remedy.holding import objection, too_often
from artesian.remedy.machines import begun
from artesian.remedy.parts import given_up
from artesian.remedy.pausing import paused
from artesian.remedy.proposing import propose

CHECKING_S = 600.0  # how long after everything is done the reason may still be there
STALLED_S = 3_600.0  # a remedy at work on which nothing has moved for so long is stuck
KEPT_CLOSED = 500  # without disks or nodes of their own: those are kept for the sake of the budgets

_WORDS = {
    RemedyState.ASKING: "waits for somebody's agreement",
    RemedyState.HELD: "is to begin",
    RemedyState.ACTING: "begins",
    RemedyState.CHECKING: "has done everything, and it remains to be seen whether it helps",
    RemedyState.HELPED: "has helped",
    RemedyState.FAILED: "has failed",
    RemedyState.REJECTED: "was rejected",
    RemedyState.NOT_NEEDED: "is not needed any more",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state after the remedies have been looked at, and what is told of it."""

    state: FrameworkState
    events: tuple[Event, ...] = ()


def advance(facts: RemedyFacts) -> Outcome:
    """New remedies, and one step of each open one; the same facts give the same outcome."""
    state, events = facts.state, []
    for remedy in propose(facts):
        state = state.with_remedy(remedy)
        if remedy.approved_by:
            sentence = f"{remedy.approved_by} has agreed to {remedy.kind} of {remedy.shown}: {remedy.because}"
            events.append(Event("remedy", remedy.id, sentence))
        else:
            events.append(_event(remedy))
    for key in sorted(state.remedies):
        remedy = state.remedies[key]
        if remedy.state.is_open:
            state, told = _step(remedy, replace(facts, state=state))
            events += told
    return Outcome(_pruned(state), tuple(events))


def moved(remedy: Remedy, to: RemedyState, now_s: float, detail: str = "") -> Remedy:
    """The remedy in another state. When it is over, nobody waits any more for disks that were asked for."""
    parts = remedy.parts if to.is_open else tuple(_over(part, now_s) for part in remedy.parts)
    return replace(remedy, state=to, changed_s=now_s, detail=detail, parts=parts)


def _over(part: Part, now_s: float) -> Part:
    return given_up(part, "its remedy is over", now_s) if part.state is PartState.ASKED else part


def _event(remedy: Remedy) -> Event:
    detail = f" ({remedy.detail})" if remedy.detail else ""
    sentence = f"{remedy.kind} of {remedy.shown} {_WORDS[remedy.state]}{detail}: {remedy.because}"
    return Event("remedy", remedy.id, sentence)


def _step(remedy: Remedy, facts: RemedyFacts) -> tuple[FrameworkState, list[Event]]:
    state = facts.state
    if remedy.changed_s > facts.now_s:  # the clock was wrong then, and nobody waits until it is that late
        remedy = replace(remedy, changed_s=facts.now_s)
        state = state.with_remedy(remedy)
        facts = replace(facts, state=state)
    after = remedy
    match remedy.state:
        case RemedyState.ASKING | RemedyState.HELD:
            after = _waiting(remedy, facts)
            if after.state is RemedyState.ACTING:
                after = begun(after, facts)
                state = DEEDS[remedy.kind].begin(after, facts)
        case RemedyState.ACTING:
            after = _acting(remedy, facts)
        case RemedyState.CHECKING:
            after = _checking(remedy, facts)
    if after == remedy:
        return state, []
    told = [_event(after)] if after.state is not remedy.state else []
    return state.with_remedy(after), told


def _waiting(remedy: Remedy, facts: RemedyFacts) -> Remedy:
    if not _may_be_wrong(remedy, facts):
        return moved(remedy, RemedyState.NOT_NEEDED, facts.now_s)
    if remedy.state is RemedyState.ASKING and not remedy.approved_by:
        return remedy
    if not remedy.approved_by and (often := too_often(remedy, facts)) is not None:
        return moved(remedy, RemedyState.ASKING, facts.now_s, often)
    because = objection(remedy, facts) or DEEDS[remedy.kind].cannot(remedy, facts)
    if because is None:
        return moved(remedy, RemedyState.ACTING, facts.now_s)
    if remedy.detail == because:
        return remedy
    return replace(remedy, state=RemedyState.HELD, detail=because)


def _acting(remedy: Remedy, facts: RemedyFacts) -> Remedy:
    missing = DEEDS[remedy.kind].missing(remedy, facts)
    if missing is None:
        return moved(remedy, RemedyState.CHECKING, facts.now_s)
    if remedy.detail != missing:
        return replace(remedy, detail=missing, changed_s=facts.now_s)
    if paused(remedy, facts.state) is not None:  # what is held does not stall
        return _kept_fresh(remedy, facts.now_s, STALLED_S)
    if facts.now_s - remedy.changed_s > STALLED_S:
        return moved(remedy, RemedyState.FAILED, facts.now_s, f"nothing has moved for an hour: {missing}")
    return remedy


def _checking(remedy: Remedy, facts: RemedyFacts) -> Remedy:
    if facts.seen.engine is None:
        return remedy
    if remedy.kind is not RemedyKind.NOTIFY and facts.rule(remedy.rule) is None:
        return moved(remedy, RemedyState.NOT_NEEDED, facts.now_s, f"there is no rule {remedy.rule} any more")
    if remedy.kind is RemedyKind.NOTIFY or not _may_be_wrong(remedy, facts):
        return moved(remedy, RemedyState.HELPED, facts.now_s)
    if _moves(remedy, facts):  # the time for seeing whether it helps begins when that is over
        return _kept_fresh(remedy, facts.now_s, CHECKING_S)
    if facts.now_s - remedy.changed_s > CHECKING_S:
        return moved(remedy, RemedyState.FAILED, facts.now_s, "everything was done, and it did not help")
    return remedy


def _kept_fresh(remedy: Remedy, now_s: float, limit_s: float) -> Remedy:
    """The time within which something has to come of it begins anew; not stored at every pass."""
    return replace(remedy, changed_s=now_s) if now_s - remedy.changed_s > limit_s / 2 else remedy


def _moves(remedy: Remedy, facts: RemedyFacts) -> bool:
    """New devices help their pool when a part of what is in it has moved to them."""
    engine = facts.seen.engine
    pool = engine.pool(remedy.pool) if engine is not None and remedy.pool is not None else None
    return pool is not None and pool.moving_bytes > 0


def _may_be_wrong(remedy: Remedy, facts: RemedyFacts) -> bool:
    """A scheduler that has just begun knows of nothing that fires: it has to see for itself first."""
    fires = (remedy.rule, remedy.thing) in facts.firings
    return fires or facts.memory.may_be_wrong(remedy.rule, remedy.thing)


def _pruned(state: FrameworkState) -> FrameworkState:
    if len(state.remedies) <= KEPT_CLOSED:
        return state
    closed = [
        one
        for one in state.remedies.values()
        if not one.state.is_open
        and all(part.is_released for part in one.parts)
        and (one.machine is None or one.machine.refused)
    ]
    if len(closed) <= KEPT_CLOSED:
        return state
    oldest = sorted(closed, key=lambda one: (one.changed_s, one.id))[: len(closed) - KEPT_CLOSED]
    gone = {one.id for one in oldest}
    left = {key: one for key, one in state.remedies.items() if key not in gone}
    return replace(state, remedies=MappingProxyType(left))
