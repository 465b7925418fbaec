"""What is left alone for a while, and why."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from artesian.api.access import USER_ONLY, TheScheduler
from artesian.api.pause_views import pauses_view
from artesian.api.requests import Request
from artesian.model.event import Event
from artesian.model.pause import EVERYTHING
from artesian.model.state import FrameworkState
from artesian.scheduler import pausing

Document = dict[str, Any]
Scope = Annotated[str, Field(max_length=200)]
routes = APIRouter(prefix="/v1", tags=["pauses"], dependencies=USER_ONLY)


class PauseRequest(Request):
    """What to pause; nothing named: everything. `for_s`: after so many seconds it ends by itself."""

    scopes: list[Scope] = Field(default=[], max_length=100)
    for_s: float | None = None
    because: str = Field(default="", max_length=500)
    who: str = Field(default="", max_length=200)


class ResumeRequest(Request):
    """Which pauses to end; nothing named: that of everything."""

    scopes: list[Scope] = Field(default=[], max_length=100)
    who: str = Field(default="", max_length=200)


@routes.get("/pauses")
def pauses(scheduler: TheScheduler) -> list[Document]:
    """Every pause."""
    return pauses_view(scheduler.memory.state)


@routes.post("/pauses")
def begin(wanted: PauseRequest, scheduler: TheScheduler) -> list[Document]:
    """Pause something; all that is paused then."""
    now_s = time.time()
    spec, verdict = scheduler.spec, scheduler.verdict  # it works before the first pass, too

    def change(state: FrameworkState) -> FrameworkState:
        there = pausing.pausable(spec, verdict, state)
        return pausing.begin(
            state, there, wanted.scopes, now_s, for_s=wanted.for_s, because=wanted.because, who=wanted.who
        )

    because = f": {wanted.because}" if wanted.because else ""
    said = f"{wanted.who or 'somebody'} has asked for it{because}"
    events = [Event("paused", scope, said) for scope in wanted.scopes or [EVERYTHING]]
    scheduler.memory.change(change, events)
    return pauses_view(scheduler.memory.state)


@routes.post("/pauses/end")
def end(wanted: ResumeRequest, scheduler: TheScheduler) -> list[Document]:
    """End pauses; all that is paused still."""
    said = f"{wanted.who or 'somebody'} has asked for it"
    events = [Event("resumed", scope, said) for scope in wanted.scopes or [EVERYTHING]]
    scheduler.memory.change(lambda state: pausing.end(state, wanted.scopes), events)
    return pauses_view(scheduler.memory.state)
