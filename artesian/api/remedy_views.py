"""Remedies, rules and reasons as documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from artesian.model import pause
from artesian.model.names import device_name
from artesian.model.node import NodeState
from artesian.model.remedy import Remedy
from artesian.model.rule import RemedyKind
from artesian.model.state import FrameworkState
from artesian.remedy import moving
from artesian.remedy.deeds import DEEDS
from artesian.remedy.facts import RemedyFacts
from artesian.remedy.holding import objection
from artesian.remedy.machines import described, wanted_machine
from artesian.remedy.proposing import what_becomes_of
from artesian.scheduler.loop import Scheduler
from artesian.scheduler.verdict import Verdict

Document = dict[str, Any]
_EVENTS = 10_000  # how far back the events of a thing are looked for


def remedies_view(state: FrameworkState) -> list[Document]:
    """Open ones first, then the last one first."""
    ordered = sorted(state.remedies.values(), key=lambda one: (not one.state.is_open, -one.created_s, one.id))
    return [remedy_view(one) for one in ordered]


def remedy_view(remedy: Remedy) -> Document:
    """One remedy."""
    document = asdict(remedy)
    document |= {
        "kind": str(remedy.kind),
        "state": str(remedy.state),
        "open": remedy.state.is_open,
        "title": remedy.shown,
        "pool": str(remedy.pool) if remedy.pool is not None else None,
        "cost_per_month": sum(part.cost_per_month for part in remedy.parts),
        "parts": [asdict(part) | {"state": str(part.state)} for part in remedy.parts],
    }
    return document


def events_of(scheduler: Scheduler, subject: str) -> list[Document]:
    """What was told of a thing, the oldest first."""
    return [asdict(event) for event in scheduler.memory.last_events(_EVENTS) if event.subject == subject]


def dry_run_view(scheduler: Scheduler, verdict: Verdict, remedy: Remedy) -> Document:
    """What it would do now; nothing is asked for."""
    facts = scheduler.remediator.facts(scheduler.spec, verdict.seen, verdict.decision.topology)
    choice = scheduler.remediator.would_choose(remedy, facts)
    return {
        "id": remedy.id,
        "kind": str(remedy.kind),
        "thing": remedy.thing,
        "title": remedy.shown,
        "held": objection(remedy, facts) or DEEDS[remedy.kind].cannot(remedy, facts),
        "disks": [asdict(part) | {"state": str(part.state)} for part in choice.parts],
        "cost_per_month": sum(part.cost_per_month for part in choice.parts),
        "detail": _what_it_would_do(remedy, facts) or choice.detail,
    }


def _what_it_would_do(remedy: Remedy, facts: RemedyFacts) -> str:
    match remedy.kind:
        case RemedyKind.ADD_NODE:
            return described(wanted_machine(remedy, facts))
        case RemedyKind.MOVE_VOLUMES:
            return moving.described(remedy, facts)
        case _:
            return ""


def rules_view(scheduler: Scheduler) -> list[Document]:
    """In the order of the spec."""
    fires: dict[str, list[Document]] = {}
    for (rule, thing), firing in sorted(scheduler.remediator.last.firings.items()):
        fires.setdefault(rule, []).append(
            {"thing": thing, "because": firing.because, "since_s": firing.since_s}
        )
    return [
        {
            "name": rule.name,
            "scope": str(rule.scope),
            "when": rule.when,
            "for_s": rule.for_s,
            "remedy": str(rule.remedy),
            "severity": str(rule.severity),
            "approval": str(rule.approval),
            "cooldown_s": rule.cooldown_s,
            "fires": fires.get(rule.name, []),
        }
        for rule in scheduler.spec.rules
    ]


def why_view(scheduler: Scheduler, verdict: Verdict, thing: str) -> Document:
    """Sentences, each with what it is from, and the last events that name the thing."""
    reasons = list(_reasons(scheduler, verdict, thing))
    events = [
        event
        for event in scheduler.memory.last_events(_EVENTS)
        if _names(thing, event.subject) or _names(thing, event.because)
    ]
    return {
        "thing": thing,
        "reasons": [{"from": source, "because": because} for source, because in reasons],
        "events": [asdict(event) for event in events[-10:]],
    }


def _names(thing: str, text: str) -> bool:
    """Whether a text speaks of a thing, and not of another whose name begins or ends like it."""
    at = text.find(thing)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(thing) : at + len(thing) + 1]
        if not (before.isalnum() or after.isalnum() or after == "-" or before == "-"):
            return True
        at = text.find(thing, at + 1)
    return False


def _reasons(scheduler: Scheduler, verdict: Verdict, thing: str) -> Iterator[tuple[str, str]]:
    state, decision = scheduler.memory.state, verdict.decision
    if scheduler.blindness is not None:
        yield "nodes", scheduler.blindness.sentence
    yield from _of_node(state, verdict, thing)
    for one in decision.topology.verdicts:
        if thing in (one.identity, one.path, one.path.rpartition("/")[2], device_name(one.identity or "")):
            yield f"disk {one.path} of {one.node}", f"{one.kind}: {one.because}"
    for held in (*decision.guarded.held, *decision.guarded.waiting):
        if _names(thing, repr(held.step.change)) or _names(thing, held.step.because):
            yield f"step {held.step.id}", f"{type(held.step.change).__name__} waits: {held.because}"
    for taken in verdict.taken:
        if _names(thing, repr(taken.step.change)):
            detail = f" ({taken.detail})" if taken.detail else ""
            yield f"step {taken.step.id}", f"{taken.outcome}{detail}: {taken.step.because}"
    idle = scheduler.idle_parts(scheduler.spec, verdict.seen, decision.topology)
    for note in (*decision.plan.notes, *idle):
        if _names(thing, note):
            yield "plan", note
    for remedy in sorted(state.remedies.values(), key=lambda one: one.created_s):
        if thing in (remedy.thing, remedy.title, remedy.id, remedy.rule, str(remedy.pool)):
            detail = f" ({remedy.detail})" if remedy.detail else ""
            yield f"remedy {remedy.id}", f"{remedy.kind} is {remedy.state}{detail}: {remedy.because}"
    yield from _of_pauses(state, thing)
    yield from _of_rules(scheduler, verdict, thing)


def _of_node(state: FrameworkState, verdict: Verdict, thing: str) -> Iterator[tuple[str, str]]:
    node = verdict.seen.node(thing)
    if node is None:
        return
    record = state.node(thing)
    words = [str(node.state)]
    words += ["in use" if record.joined else "not in use yet"]
    words += ["in maintenance"] if record.in_maintenance else []
    words += ["being removed"] if record.leaving else []
    words += ["to be empty, as whoever runs the machines wants it"] if node.leaving else []
    words += ["out of reach for whoever runs the machines"] if node.unreachable else []
    yield "node", f"node {thing} is {', '.join(words)}"
    if node.state is NodeState.SILENT:
        yield "node", "its agent does not report, and nothing that is known of it is trusted meanwhile"


def _of_pauses(state: FrameworkState, thing: str) -> Iterator[tuple[str, str]]:
    """Those that hold the thing, or something that is done for it."""
    scopes = {pause.of_node(thing), f"pool:{thing}", pause.of_rule(thing), pause.of_kind(thing), thing}
    wish = state.volumes.get(thing)
    if wish is not None:
        scopes |= {pause.of_pool(wish.pool)} | ({pause.of_node(wish.node)} if wish.node else set())
    claims = [one for one in state.claims.values() if thing in (one.identity, device_name(one.identity))]
    for claim in claims:
        scopes |= {pause.of_pool(claim.pool), pause.of_node(claim.node)}
    for one in state.pauses_in_force():
        if one.scope == pause.EVERYTHING or one.scope in scopes:
            yield "pause", one.sentence


def _of_rules(scheduler: Scheduler, verdict: Verdict, thing: str) -> Iterator[tuple[str, str]]:
    last = scheduler.remediator.last
    facts = scheduler.remediator.facts(scheduler.spec, verdict.seen, verdict.decision.topology)
    own = next((one for one in scheduler.spec.rules if one.name == thing), None)
    if own is not None and all(rule != thing for rule, _ in last.memory.watched):
        yield f"rule {thing}", f"it fires for no {own.scope}, as this is not so for any: {own.when}"
    for (rule, of), watched in sorted(last.memory.watched.items()):
        if thing not in (of, rule):
            continue
        if watched.firing is not None:
            yield f"rule {rule}", f"it fires: {watched.firing.because}"
            yield f"rule {rule}", what_becomes_of(facts, watched.firing)
        elif watched.missing:
            yield f"rule {rule}", f"it cannot be judged: {', '.join(watched.missing)} of {of} is not known"
        else:
            yield f"rule {rule}", f"its condition holds for {of}, and has to for a while longer: {watched.of}"
