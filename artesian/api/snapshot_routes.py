"""What users ask of snapshots. A request is a wish: it is stored, and the answer says what it waits for."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from artesian.api.access import USER_ONLY, TheScheduler, TheVerdict
from artesian.api.requests import Request
from artesian.api.snapshot_views import snapshot_view, snapshots_view
from artesian.api.volume_routes import warnings_of
from artesian.model.event import Event
from artesian.scheduler import snapshot_requests, volume_requests

Document = dict[str, Any]
routes = APIRouter(prefix="/v1", tags=["snapshots"], dependencies=USER_ONLY)


class NewSnapshot(Request):
    """A snapshot to be taken now."""

    name: str


class NewClone(Request):
    """A new volume that begins with what a snapshot has; as large as it, and in the same pool."""

    name: str


@routes.get("/snapshots")
def snapshots(scheduler: TheScheduler, verdict: TheVerdict, volume: str | None = None) -> list[Document]:
    """Every snapshot of every volume of ours, or of one."""
    state = scheduler.memory.state
    if volume is not None:
        return snapshots_view(state, verdict, [volume_requests.find_volume(state, volume)])
    return snapshots_view(state, verdict, [one for _, one in sorted(state.volumes.items())])


@routes.get("/volumes/{volume}/snapshots/{name}")
def snapshot(volume: str, name: str, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """One snapshot."""
    state = scheduler.memory.state
    return snapshot_view(state, verdict, *snapshot_requests.find_snapshot(state, volume, name))


@routes.post("/volumes/{volume}/snapshots", status_code=202)
def take(volume: str, wanted: NewSnapshot, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """Keep what a volume has now."""
    event = Event("snapshot", volume, f"somebody wants snapshot {wanted.name} of volume {volume}")
    scheduler.memory.change(
        lambda state: snapshot_requests.take_snapshot(state, verdict.seen, volume, wanted.name), [event]
    )
    return {"volume": volume, "name": wanted.name}


@routes.delete("/volumes/{volume}/snapshots/{name}", status_code=202)
def delete(volume: str, name: str, scheduler: TheScheduler) -> Document:
    """Keep no longer what a volume had; volumes that were made of it stay as they are."""
    event = Event("snapshot", volume, f"somebody has asked to delete snapshot {name} of volume {volume}")
    scheduler.memory.change(lambda state: snapshot_requests.delete_snapshot(state, volume, name), [event])
    return {"volume": volume, "name": name}


@routes.post("/volumes/{volume}/snapshots/{name}/clone", status_code=202)
def clone(volume: str, name: str, wanted: NewClone, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """Make a volume that begins with what a snapshot has. `warnings`: its pool promises more than it has."""
    said = f"somebody wants volume {wanted.name} with what snapshot {name} of volume {volume} has"
    scheduler.memory.change(
        lambda state: snapshot_requests.clone(state, verdict.seen, volume, name, wanted.name),
        [Event("volume", wanted.name, said)],
    )
    pool = scheduler.memory.state.volumes[wanted.name].pool
    return {"name": wanted.name, "warnings": warnings_of(scheduler, verdict, pool)}
