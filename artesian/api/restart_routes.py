"""Rolling restarts of the engine's processes."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from artesian.api import views
from artesian.api.access import USER_ONLY, TheScheduler, TheVerdict
from artesian.api.requests import Request
from artesian.api.restart_views import restart_view
from artesian.model.event import Event
from artesian.planner.planning import decide
from artesian.scheduler import restarting
from artesian.scheduler.verdict import pass_verdict

Document = dict[str, Any]
routes = APIRouter(prefix="/v1/restart", tags=["restart"], dependencies=USER_ONLY)


class RestartRequest(Request):
    """Which nodes; none named: all. `dry_run`: nothing is done, and the answer is the plan."""

    nodes: list[Annotated[str, Field(max_length=200)]] = Field(default=[], max_length=10_000)
    who: str = Field(default="", max_length=200)
    dry_run: bool = False


class WhoAsks(Request):
    """Who asks for it."""

    who: str = Field(default="", max_length=200)


@routes.get("")
def show(scheduler: TheScheduler, verdict: TheVerdict) -> Document | None:
    """The last restart, and how far it is; null if there never was one."""
    return restart_view(scheduler.memory.state, verdict)


@routes.post("")
def begin(wanted: RestartRequest, scheduler: TheScheduler, verdict: TheVerdict) -> Document | None:
    """Start every process of the engine anew, but for those by which volumes are used: one node at a time,
    and only while everything is whole."""
    seen, now_s = verdict.seen, time.time()
    if wanted.dry_run:
        state = restarting.ask(scheduler.memory.state, seen, wanted.nodes, now_s, wanted.who)
        decision = decide(scheduler.spec, seen, state)
        return views.plan_view(pass_verdict(seen, decision, []))
    on = ", ".join(wanted.nodes) or "all nodes"
    event = Event("restart", "engine", f"{wanted.who or 'somebody'} has asked for a restart of {on}")
    scheduler.memory.change(
        lambda state: restarting.ask(state, seen, wanted.nodes, now_s, wanted.who), [event]
    )
    return restart_view(scheduler.memory.state, verdict)


@routes.post("/cancel")
def cancel(wanted: WhoAsks, scheduler: TheScheduler, verdict: TheVerdict) -> Document | None:
    """Begin with no other node; the one that is being restarted comes back first."""
    event = Event("restart cancelled", "engine", f"{wanted.who or 'somebody'} has asked for it")
    scheduler.memory.change(restarting.cancel, [event])
    return restart_view(scheduler.memory.state, verdict)


@routes.post("/resume")
def resume(wanted: WhoAsks, scheduler: TheScheduler, verdict: TheVerdict) -> Document | None:
    """Go on with one that was cancelled or has stopped: what was restarted is not again."""
    event = Event("restart resumed", "engine", f"{wanted.who or 'somebody'} has asked for it")
    scheduler.memory.change(restarting.resume, [event])
    return restart_view(scheduler.memory.state, verdict)
