"""What users ask of volumes. A request is a wish: it is stored, and the answer says what it waits for."""

from __future__ import annotations

import os
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from artesian.api import volume_views
from artesian.api.access import USER_ONLY, TheScheduler, TheVerdict
from artesian.api.requests import Request, VolumeRequest
from artesian.model.disk import PoolName
from artesian.model.errors import NotPossible
from artesian.model.event import Event
from artesian.model.state import FrameworkState
from artesian.model.wishes import VolumeWish
from artesian.remedy.consequences import promised_too_much
from artesian.scheduler import volume_requests
from artesian.scheduler.loop import Scheduler
from artesian.scheduler.verdict import Verdict

Document = dict[str, Any]
_LONGEST_PATH_BYTES = 4095  # the kernel takes no longer ones
routes = APIRouter(prefix="/v1/volumes", tags=["volumes"], dependencies=USER_ONLY)


class NewVolume(VolumeRequest):
    """A volume to be made; attached and mounted too, if `node` and `mount_path` say where."""

    node: str | None = None
    mount_path: str | None = None


class VolumeChange(Request):
    """What is to be different. Limits are for a second; 0: none."""

    size_bytes: int | None = None
    limit_iops: int | None = None
    limit_bandwidth_bytes_per_s: int | None = None
    new_name: str | None = None


class Attachment(Request):
    """Where a volume is to be. `force` cuts off a node that does not let go of it."""

    node: str
    mount_path: str | None = None
    fstype: str | None = Field(default=None, pattern="^(ext4|xfs)$")
    force: bool = False


@routes.get("")
def volumes(scheduler: TheScheduler, verdict: TheVerdict) -> list[Document]:
    """Every volume of ours."""
    return volume_views.volumes_view(scheduler.memory.state, verdict)


@routes.get("/{name}")
def volume(name: str, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """One volume."""
    state = scheduler.memory.state
    return volume_views.volume_view(state, verdict, volume_requests.find_volume(state, name))


@routes.post("", status_code=202)
def create(wanted: NewVolume, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """Make a volume. `warnings`: its pool promises more than it has."""
    pool = parse_pool(wanted.pool) if wanted.pool is not None else volume_requests.default_pool(verdict.seen)
    mount_path = _mount_path(wanted.mount_path, wanted.node)
    wish = VolumeWish(
        wanted.name,
        pool,
        wanted.size_bytes,
        wanted.thick,
        node=wanted.node,
        mount_path=mount_path,
        fstype=wanted.fstype,
        limit_iops=wanted.limit_iops,
        limit_bandwidth_bytes_per_s=wanted.limit_bandwidth_bytes_per_s,
    )
    event = Event("volume", wanted.name, f"somebody wants volume {wanted.name}")
    scheduler.memory.change(lambda state: volume_requests.create_volume(state, verdict.seen, wish), [event])
    return {"name": wanted.name, "warnings": warnings_of(scheduler, verdict, pool)}


@routes.post("/{name}/adopt", status_code=202)
def adopt(name: str, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """Make a volume that is in the engine already one of ours."""
    event = Event("volume", name, f"somebody has adopted volume {name}")
    scheduler.memory.change(lambda state: volume_requests.adopt_volume(state, verdict.seen, name), [event])
    return {"name": name}


@routes.patch("/{name}", status_code=202)
def change(name: str, wanted: VolumeChange, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """Grow, limit or rename a volume. `warnings`: as when it was made."""
    events = []
    if wanted.size_bytes is not None:
        events.append(Event("grow", name, f"somebody wants volume {name} to be larger"))
    limits = (wanted.limit_iops, wanted.limit_bandwidth_bytes_per_s)
    is_limited = any(one is not None for one in limits)
    if is_limited:
        events.append(Event("limit", name, f"somebody wants volume {name} to have other limits"))
    if wanted.new_name is not None:
        events.append(Event("rename", name, f"somebody wants volume {name} to be called {wanted.new_name}"))

    def all_of_it(state: FrameworkState) -> FrameworkState:
        if wanted.size_bytes is not None:
            state = volume_requests.grow_volume(state, verdict.seen, name, wanted.size_bytes)
        if is_limited:
            state = volume_requests.limit_volume(state, name, *limits)
        if wanted.new_name is not None:
            state = volume_requests.rename_volume(state, verdict.seen, name, wanted.new_name)
        return state

    scheduler.memory.change(all_of_it, events)
    after = volume_requests.find_volume(scheduler.memory.state, wanted.new_name or name)
    warnings = warnings_of(scheduler, verdict, after.pool) if wanted.size_bytes is not None else []
    return {"name": after.name, "warnings": warnings}


@routes.delete("/{name}", status_code=202)
def delete(name: str, scheduler: TheScheduler, with_snapshots: bool = False) -> Document:
    """Delete a volume that is nowhere, and all that is in it; its snapshots too, if that is said."""
    event = Event("delete", name, f"somebody has asked to delete volume {name}")
    scheduler.memory.change(
        lambda state: volume_requests.delete_volume(state, name, with_snapshots=with_snapshots), [event]
    )
    return {"name": name}


@routes.put("/{name}/attachment", status_code=202)
def attach(name: str, wanted: Attachment, scheduler: TheScheduler, verdict: TheVerdict) -> Document:
    """Bring a volume to a node, away from where it is."""
    mount_path = _mount_path(wanted.mount_path, wanted.node)
    risk = "; what the node that had it has not flushed is lost" if wanted.force else ""
    event = Event("attach", name, f"somebody wants volume {name} on node {wanted.node}{risk}")
    scheduler.memory.change(
        lambda state: volume_requests.attach_volume(
            state,
            verdict.seen,
            name,
            wanted.node,
            mount_path=mount_path,
            fstype=wanted.fstype,
            force=wanted.force,
        ),
        [event],
    )
    return {"name": name, "node": wanted.node}


@routes.delete("/{name}/attachment", status_code=202)
def detach(name: str, scheduler: TheScheduler, verdict: TheVerdict, force: bool = False) -> Document:
    """Let a volume be nowhere."""
    event = Event("detach", name, f"somebody wants volume {name} to be detached")
    scheduler.memory.change(
        lambda state: volume_requests.detach_volume(state, verdict.seen, name, force=force), [event]
    )
    return {"name": name}


def warnings_of(scheduler: Scheduler, verdict: Verdict, pool: PoolName) -> list[str]:
    """What is to be said of a pool that something new is promised in."""
    engine = verdict.seen.engine
    words = promised_too_much(engine, scheduler.memory.state, pool) if engine is not None else ""
    return [words] if words else []


def parse_pool(text: str) -> PoolName:
    """`domain/pool`, or one name for both. Raises NotPossible."""
    domain, slash, pool = text.partition("/")
    if not domain or (slash and not pool):
        raise NotPossible(f"{text!r} is not a pool like domain/pool")
    return PoolName(domain, pool or domain)


def _mount_path(path: str | None, node: str | None) -> str | None:
    """As it is stored. Raises NotPossible."""
    if path is None:
        return None
    if node is None:
        raise NotPossible("a volume is mounted on a node: say which")
    return parse_mount_path(path)


def parse_mount_path(path: str) -> str:
    """In the one form in which the kernel names it. Raises NotPossible."""
    if not path.startswith("/"):
        raise NotPossible(f"{path!r}: the path of a mount begins with /")
    if "\0" in path or len(path.encode()) > _LONGEST_PATH_BYTES:
        raise NotPossible(f"the path of a mount has at most {_LONGEST_PATH_BYTES} bytes, none of which is 0")
    return os.path.normpath(path.replace("//", "/"))
