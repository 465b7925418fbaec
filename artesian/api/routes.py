"""What users ask of a cluster."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from pydantic import Field

from artesian.api import pool_views, views
from artesian.api.access import USER_ONLY, TheScheduler, TheVerdict
from artesian.api.requests import Request
from artesian.model.errors import NotPossible, NotThere
from artesian.model.event import Event
from artesian.model.spec import Spec
from artesian.model.state import FrameworkState, Stopping
from artesian.planner.planning import decide
from artesian.remedy.checking import read_whole_spec
from artesian.scheduler import node_requests, requests
from artesian.scheduler.loop import Scheduler
from artesian.scheduler.verdict import pass_verdict

Document = dict[str, Any]
_PASS_TIMEOUT_S = 20.0
routes = APIRouter(prefix="/v1", tags=["cluster"], dependencies=USER_ONLY)


class ApprovalRequest(Request):
    """Agreement to one plan."""

    plan_id: str
    who: str = Field(default="", max_length=200)


@routes.get("/status")
def status(scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """Everything on one page."""
    return views.status_view(scheduler, verdict)


@routes.get("/plan")
def plan(scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """What would be done, in order, and why; and what is held back."""
    return views.plan_view(verdict, views.idle_notes(scheduler, verdict))


@routes.post("/plan")
def plan_for(
    scheduler: TheScheduler, verdict: TheVerdict, text: Annotated[str, Body(embed=True)]
) -> Document:
    """What another spec would lead to; nothing is stored. It has no id, as nobody can agree to it yet."""
    spec, state, warnings = _tried_out(scheduler, text)
    seen = requests.seen_by(spec, scheduler.spec, verdict.seen)
    decision = decide(spec, seen, state)
    idle = scheduler.idle_parts(spec, seen, decision.topology)
    document = views.plan_view(pass_verdict(seen, decision, []), idle)
    return document | {"id": None, "notes": [*warnings, *document["notes"]]}


@routes.post("/passes")
def look_anew(scheduler: TheScheduler) -> Document:
    """Wait for a pass that begins now: what is asked afterwards is not older."""
    if not scheduler.look_anew(_PASS_TIMEOUT_S):
        raise NotPossible("no pass has ended in time; the scheduler's log says why")
    return {"passes": scheduler.passes}


@routes.post("/approvals")
def approve(wanted: ApprovalRequest, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """Agree to the plan with this id."""
    event = Event("approved", wanted.plan_id, f"{wanted.who or 'somebody'} has agreed to the plan")
    scheduler.memory.change(
        lambda state: requests.approve(state, verdict.decision, wanted.plan_id, wanted.who), [event]
    )
    return {"plan_id": wanted.plan_id}


@routes.get("/spec")
def get_spec(scheduler: TheScheduler) -> Document:
    """The spec as it was given."""
    return {"text": scheduler.memory.state.spec_text}


@routes.put("/spec")
def put_spec(
    scheduler: TheScheduler,
    text: Annotated[str, Body(embed=True)],
    force: Annotated[bool, Body(embed=True)] = False,
) -> Document:
    """Take another spec; the plan shows what follows from it. `warnings`: what does nothing in it as things
    are, and providers that could not be tried out. `force`: even though disks of a provider are forgotten."""
    warnings = take_spec(scheduler, text, "somebody has given another spec", force=force)
    return {"text": text, "warnings": warnings}


def take_spec(scheduler: Scheduler, text: str, because: str, *, force: bool = False) -> list[str]:
    """Store a spec that may be taken; gives warnings. Raises ArtesianError, and then nothing has changed."""
    spec, state, warnings = _tried_out(scheduler, text, force=force)
    events = [Event("spec", "spec", because)]
    events += [Event("spec", "spec", warning) for warning in warnings]
    idle = _idle_parts(scheduler, spec, state)
    scheduler.memory.change(lambda state: requests.set_spec(state, text, force=force), events)
    return [*warnings, *idle]


@routes.post("/spec/check")
def check_spec(scheduler: TheScheduler, text: Annotated[str, Body(embed=True)]) -> Document:
    """Refuse what PUT would refuse, and give its `warnings`; nothing is stored."""
    spec, state, warnings = _tried_out(scheduler, text)
    return {"warnings": [*warnings, *_idle_parts(scheduler, spec, state)]}


def _idle_parts(scheduler: Scheduler, spec: Spec, state: FrameworkState) -> tuple[str, ...]:
    """Before the first pass nothing is known against which a spec could be held."""
    verdict = scheduler.verdict
    if verdict is None:
        return ()
    topology = decide(spec, verdict.seen, state).topology
    return scheduler.idle_parts(spec, verdict.seen, topology)


def _tried_out(
    scheduler: Scheduler, text: str, *, force: bool = False
) -> tuple[Spec, FrameworkState, tuple[str, ...]]:
    """A spec that may be taken, what the state would be, and warnings. Its providers are asked, once all
    that can be said without them has been said."""
    spec = read_whole_spec(text)
    scheduler.providers.check(spec)
    state = requests.set_spec(scheduler.memory.state, text, force=force)
    return spec, state, scheduler.providers.try_out(spec)


@routes.put("/paused")
def put_paused(scheduler: TheScheduler, paused: Annotated[bool, Body(embed=True)]) -> Document:
    """Hold every step back, or no longer."""
    event = Event("paused" if paused else "resumed", "cluster", "somebody has asked for it")
    scheduler.memory.change(lambda state: requests.pause(state, paused=paused), [event])
    return {"paused": paused}


@routes.post("/agents/end")
def end_agents(scheduler: TheScheduler) -> dict[str, list[str]]:
    """End the agents, once everything else has ended; what was done."""
    return {"receipt": scheduler.leave()}


@routes.put("/stopping")
def put_stopping(
    scheduler: TheScheduler,
    stopping: Annotated[Stopping, Body(embed=True)],
    force: Annotated[bool, Body(embed=True)] = False,
) -> Document:
    """Let go of all volumes (`volumes`), also of those whose storage does not answer (`discard`), end all
    processes too (`all`), or begin again (`no`). `force`: even though others lose what these nodes keep for
    them."""
    is_new = scheduler.memory.state.stopping is not stopping
    event = Event("stopping", stopping, "somebody has asked for it")
    scheduler.memory.change(
        lambda state: requests.stop_everything(state, stopping, force=force), [event] if is_new else []
    )
    return {"stopping": stopping}


@routes.get("/nodes")
def nodes(scheduler: TheScheduler, verdict: TheVerdict) -> list[Document]:
    """Every node."""
    return views.nodes_view(scheduler, verdict)


@routes.post("/nodes/{node}/{action}")
def act_on_node(node: str, action: str, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """`add`, `remove`, `maintain` or `unmaintain` a node."""
    seen = verdict.seen
    actions = {
        "add": lambda state: node_requests.add_node(state, seen, node),
        "remove": lambda state: node_requests.remove_node(state, seen, node),
        "maintain": lambda state: node_requests.maintain_node(state, seen, node, in_maintenance=True),
        "unmaintain": lambda state: node_requests.maintain_node(state, seen, node, in_maintenance=False),
    }
    if action not in actions:
        raise NotThere(f"nothing is called {action!r} here; there are {', '.join(actions)}")
    event = Event(action, node, f"somebody has asked to {action} node {node}")
    scheduler.memory.change(actions[action], [event])
    return {"node": node, "action": action}


@routes.get("/disks")
def disks(scheduler: TheScheduler, verdict: TheVerdict) -> list[Document]:
    """Every disk, and why it may be taken or not."""
    return views.disks_view(verdict, scheduler.memory.state)


@routes.post("/nodes/{node}/disks/{action}")
def act_on_disk(
    node: str,
    action: str,
    scheduler: TheScheduler,
    verdict: TheVerdict,
    disk: Annotated[str, Body(embed=True)],
    dry_run: Annotated[bool, Body(embed=True)] = False,
) -> Document:
    """`remove` a disk from its pool, or `return` one that was removed, or whose device has failed. `loss`:
    what the pool may hold with and without a disk that is removed. `dry_run`: nothing is changed."""
    seen = verdict.seen
    actions = {
        "remove": lambda state: node_requests.remove_disk(state, seen, node, disk),
        "return": lambda state: node_requests.return_disk(state, seen, node, disk),
    }
    if action not in actions:
        raise NotThere(f"nothing is called {action!r} here; there are {', '.join(actions)}")
    identity = node_requests.find_disk(scheduler.memory.state, seen, node, disk)
    document: Document = {"node": node, "disk": disk, "identity": identity, "action": action}
    if action == "remove":
        document["loss"] = views.loss_view(scheduler.memory.state, verdict, identity)
    if dry_run:
        actions[action](scheduler.memory.state)
        return document
    event = Event(f"disk {action}", f"{node} {disk}", f"somebody has asked to {action} disk {disk}")
    scheduler.memory.change(actions[action], [event])
    return document


@routes.get("/pools")
def pools(scheduler: TheScheduler, verdict: TheVerdict) -> list[Document]:
    """The storage pools, and when they are full."""
    return pool_views.pools_view(verdict, scheduler.remediator.last)


@routes.get("/pools/{name:path}")
def pool(name: str, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """One pool, `domain/pool`, and when it is full."""
    return pool_views.pool_view(verdict, scheduler.remediator.last, name)


@routes.get("/events")
def events(
    scheduler: TheScheduler,
    after: int = Query(0, ge=0, le=2**63 - 1),
    limit: int = Query(1000, ge=1, le=10_000),
) -> list[Document]:
    """What has happened after event number `after`, the oldest first."""
    return [asdict(event) for event in scheduler.memory.events(after, limit)]
