"""Remedies, what is known that leads to them, and why things are as they are."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Query
from pydantic import Field

from artesian.api import remedy_views
from artesian.api.access import USER_ONLY, TheScheduler, TheVerdict
from artesian.api.requests import Request
from artesian.model.event import Event
from artesian.scheduler import remedy_requests

Document = dict[str, Any]
routes = APIRouter(prefix="/v1", tags=["remedies"], dependencies=USER_ONLY)


class Word(Request):
    """Somebody's."""

    who: str = Field(default="", max_length=200)


@routes.get("/remedies")
def remedies(scheduler: TheScheduler) -> list[Document]:
    """Every remedy that is remembered, the last one first."""
    return remedy_views.remedies_view(scheduler.memory.state)


@routes.get("/remedies/{remedy_id}")
def remedy(remedy_id: str, scheduler: TheScheduler) -> Document:
    """One remedy, with what it saw, its disks, and what was told of it."""
    found = remedy_requests.find_remedy(scheduler.memory.state, remedy_id)
    return remedy_views.remedy_view(found) | {"events": remedy_views.events_of(scheduler, found.id)}


@routes.get("/remedies/{remedy_id}/dry-run")
def dry_run(remedy_id: str, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """What a remedy would do now: the disks, their price, and what speaks against it."""
    found = remedy_requests.find_remedy(scheduler.memory.state, remedy_id)
    return remedy_views.dry_run_view(scheduler, verdict, found)


@routes.post("/remedies/{remedy_id}/approve")
def approve(remedy_id: str, word: Word, scheduler: TheScheduler) -> Document:
    """Agree to a remedy."""
    found = remedy_requests.find_remedy(scheduler.memory.state, remedy_id)
    event = Event(
        "approved", found.id, f"{word.who or 'somebody'} has agreed to {found.kind} of {found.shown}"
    )
    scheduler.memory.change(lambda state: remedy_requests.approve_remedy(state, found.id, word.who), [event])
    return {"id": found.id}


@routes.post("/remedies/{remedy_id}/reject")
def reject(remedy_id: str, word: Word, scheduler: TheScheduler) -> Document:
    """Close a remedy before it begins."""
    found = remedy_requests.find_remedy(scheduler.memory.state, remedy_id)
    event = Event(
        "rejected", found.id, f"{word.who or 'somebody'} has rejected {found.kind} of {found.shown}"
    )
    now_s = time.time()
    scheduler.memory.change(
        lambda state: remedy_requests.reject_remedy(state, found.id, word.who, now_s), [event]
    )
    return {"id": found.id}


@routes.post("/remedies/{remedy_id}/unreject")
def unreject(remedy_id: str, word: Word, scheduler: TheScheduler) -> Document:
    """Take a rejection back: what was rejected may be proposed again."""
    found = remedy_requests.find_remedy(scheduler.memory.state, remedy_id)
    who = word.who or "somebody"
    event = Event("unrejected", found.id, f"{who} no longer rejects {found.kind} of {found.shown}")
    scheduler.memory.change(lambda state: remedy_requests.unreject_remedy(state, found.id, word.who), [event])
    return {"id": found.id}


@routes.get("/rules")
def rules(scheduler: TheScheduler) -> list[Document]:
    """Every rule, the default ones included, and for what it fires."""
    return remedy_views.rules_view(scheduler)


@routes.get("/why")
def why(
    scheduler: TheScheduler, verdict: TheVerdict, thing: str = Query(min_length=1, max_length=200)
) -> Document:
    """Everything that explains a thing as it is now, or that nothing is done about it."""
    return remedy_views.why_view(scheduler, verdict, thing)
