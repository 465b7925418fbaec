"""Drills: what may be provoked, what was, and the one under way."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from artesian.api import drill_views
from artesian.api.access import USER_ONLY, TheScheduler, TheVerdict
from artesian.api.remedy_routes import Word
from artesian.api.requests import Request
from artesian.drill.choosing import choose
from artesian.model.drill import DrillKind, DrillWish
from artesian.scheduler.drilling import find_drill, open_drill

Document = dict[str, Any]
routes = APIRouter(prefix="/v1/drills", tags=["drills"], dependencies=USER_ONLY)


class NewDrill(Request):
    """A drill. What is left out is chosen, as gently as may be. Shares are those of 1.

    `thing`: a pool, a disk or a provider. `disturb`: even a node with volumes in use. `restarts_scheduler`:
    whoever asks starts the scheduler again. `dry_run`: nothing is done.
    """

    kind: DrillKind
    node: str | None = None
    thing: str | None = None
    hold_s: float | None = None
    limit_s: float | None = None
    share: float | None = None
    disturb: bool = False
    wait_approval: bool = False
    restarts_scheduler: bool = False
    who: str = Field(default="", max_length=200)
    dry_run: bool = False


@routes.get("")
def drills(scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """What can be done here, why not, and what came of it last."""
    return drill_views.drills_view(scheduler, verdict)


@routes.post("", status_code=202)
def run(wanted: NewDrill, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """Begin a drill, unless something speaks against it."""
    facts = drill_views.facts_of(scheduler, verdict)
    wish = DrillWish(**wanted.model_dump(exclude={"dry_run"}))
    drill = choose(wish, facts) if wanted.dry_run else scheduler.driller.run(wish, facts)
    return drill_views.drill_view(drill, facts)


@routes.get("/last")
def last(scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """The one that is under way, or the last one."""
    return drill_views.report_view(scheduler, verdict, find_drill(scheduler.memory.state, ""))


@routes.get("/{drill_id}")
def show(drill_id: str, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """One drill, by its id or the beginning of it."""
    return drill_views.report_view(scheduler, verdict, find_drill(scheduler.memory.state, drill_id))


@routes.post("/abort")
def abort(word: Word, scheduler: TheScheduler) -> Document:
    """End the one that is under way: it is undone at once."""
    drill = open_drill(scheduler.memory.state)
    return {"id": scheduler.driller.abort(drill.id, word.who).id}
