"""What agents ask of volumes for the containers of their node. An agent mounts to its own node only."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from artesian.api import volume_views
from artesian.api.access import TheScheduler, current_verdict, require_agent, require_sound_text
from artesian.api.requests import Request, VolumeRequest
from artesian.api.volume_routes import parse_mount_path, parse_pool
from artesian.model.errors import NotPossible
from artesian.model.event import Event
from artesian.model.names import digest
from artesian.model.wishes import VolumeWish
from artesian.scheduler import container_volumes
from artesian.scheduler.container_volumes import MountWanted
from artesian.scheduler.loop import Scheduler
from artesian.scheduler.verdict import Verdict

Document = dict[str, Any]
routes = APIRouter(
    prefix="/v1/agents/{node}/volumes",
    tags=["agents"],
    dependencies=[Depends(require_agent), Depends(require_sound_text)],
)


async def _verdict(scheduler: TheScheduler) -> Verdict:
    """How the last pass ended; a scheduler that has just been started is to be asked again."""
    try:
        return await current_verdict(scheduler)
    except NotPossible as error:
        raise HTTPException(503, str(error)) from None


TheVerdict = Annotated[Verdict, Depends(_verdict)]


class ContainerVolume(VolumeRequest):
    """A volume that is to be there, mounted nowhere yet. `preempt`: containers take it from other nodes."""

    preempt: bool = False


class ContainerMount(Request):
    """Where the node mounts it. Whoever shows the same `hold` takes this back; `force` does something only
    where `preempt` allows it."""

    path: str
    hold: str = Field(min_length=1, max_length=64)
    preempt: bool = False
    force: bool = False


@routes.get("", response_model=None)
def volumes(node: str, scheduler: TheScheduler, have: str = "") -> Response:
    """What there is, for when nobody can be asked. Nothing new since `have`: 204."""
    known, found = _known(_Volumes(scheduler.memory.state.volumes))
    return Response(status_code=204) if known == have else JSONResponse({"digest": known, "volumes": found})


@routes.get("/{name}")
def volume(node: str, name: str, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """One volume, also one that is being deleted."""
    return _view(scheduler, verdict, name)


@routes.post("", status_code=202)
def create(node: str, wanted: ContainerVolume, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """Make a volume. One of this name that is there stays as it is."""
    if wanted.pool is not None:
        pool = parse_pool(wanted.pool)
    elif wanted.name in scheduler.memory.state.volumes:
        pool = scheduler.memory.state.volumes[wanted.name].pool
    else:
        pool = container_volumes.pool_of(node, verdict.seen, verdict.decision.topology)
    values = wanted.model_dump() | {"pool": pool}
    wish = VolumeWish(**values)
    is_new = wanted.name not in scheduler.memory.state.volumes
    event = Event("volume", wanted.name, f"a container of node {node} wants volume {wanted.name}")
    scheduler.memory.change(
        lambda state: container_volumes.create(state, verdict.seen, wish), [event] if is_new else []
    )
    return _view(scheduler, verdict, wanted.name)


@routes.put("/{name}/mount", status_code=202)
def mount(
    node: str, name: str, wanted: ContainerMount, scheduler: TheScheduler, verdict: TheVerdict
) -> Document:
    """Bring a volume to the node that asks, unless it is in use elsewhere."""
    asked = MountWanted(node, parse_mount_path(wanted.path), wanted.hold, wanted.preempt, wanted.force)
    before = container_volumes.wish_for(scheduler.memory.state, name)
    risk = "; what the node that had it has not flushed is lost" if wanted.force else ""
    event = Event("attach", name, f"a container of node {node} wants volume {name}{risk}")
    is_new = before.node != node or wanted.force
    scheduler.memory.change(
        lambda state: container_volumes.mount(state, verdict.seen, name, asked), [event] if is_new else []
    )
    return _view(scheduler, verdict, name)


@routes.delete("/{name}/mount", status_code=202)
def release(node: str, name: str, hold: str, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """No container of the node uses it any more. What is there for somebody else stays."""
    state = scheduler.memory.state
    event = Event("detach", name, f"no container of node {node} uses volume {name} any more")
    changes = container_volumes.release(state, verdict.seen, name, node, hold) is not state
    scheduler.memory.change(
        lambda state: container_volumes.release(state, verdict.seen, name, node, hold),
        [event] if changes else [],
    )
    return {"name": name}


@routes.delete("/{name}", status_code=202)
def delete(node: str, name: str, scheduler: TheScheduler) -> Document:
    """Delete a volume that is nowhere, and all that is in it."""
    event = Event("delete", name, f"node {node} has been asked to delete volume {name}")
    scheduler.memory.change(lambda state: container_volumes.delete(state, name), [event])
    return {"name": name}


class _Volumes:
    """A state's volumes, equal only to the same ones: every node asks for them, and they seldom change."""

    def __init__(self, volumes: Mapping[str, VolumeWish]) -> None:
        self.volumes = volumes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Volumes) and self.volumes is other.volumes

    def __hash__(self) -> int:
        return id(self.volumes)


@functools.lru_cache(maxsize=1)
def _known(all: _Volumes) -> tuple[str, list[Document]]:
    """A digest, and what nodes remember of volumes."""
    found: list[Document] = [
        {"name": wish.name, "size_bytes": wish.size_bytes}
        for _, wish in sorted(all.volumes.items())
        if not wish.deleted
    ]
    return digest(repr(found))[:16], found


def _view(scheduler: Scheduler, verdict: Verdict, name: str) -> Document:
    wish = container_volumes.wish_for(scheduler.memory.state, name)
    shown = volume_views.volume_view(scheduler.memory.state, verdict, wish)
    return shown | {"hold": wish.hold, "generation": wish.generation}
