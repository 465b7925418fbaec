"""Commands that change where slices live. These are what data safety rests on.

Whoever changes the set of a slice's in-sync copies raises its generation, so that no server serves, and no
client writes, by the old set. A slice's last in-sync copy never goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Any

from artesian.embedded.state.model import Copy, CopyState, Join, Lifecycle, Slice, State, StoragePool
from artesian.embedded.state.refusals import POOL_NOT_FOUND, WRONG_PARAMETERS, find, refuse

REASONS = ("resync", "rebuild", "rebalance", "evacuate")
_JOIN_KEYS = {"slice", "source", "target", "replaces", "reason"}


def fault_unit(state: State, device_id: str) -> str:
    """What a device may fail together with: its server's fault set, or the server itself."""
    server = state.servers[state.devices[device_id].server_id]
    return server.fault_set_id or server.id


def _changed(state: State, slices: Iterable[Slice]) -> None:
    """The version that `apply` is about to give the state."""
    for one in slices:
        one.version = state.version + 1


def _pool(state: State, pool_id: str) -> StoragePool:
    return find(state.storage_pools, pool_id, POOL_NOT_FOUND, "Could not find the Storage Pool")


def _slice(pool: StoragePool, index: Any) -> Slice:
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(pool.slices):
        refuse(WRONG_PARAMETERS, f"The pool has no slice {index}")
    return pool.slices[index]


def mark_stale(state: State, *, device_ids: list[str], reason: str = "") -> dict[str, Any]:
    """Copies on these devices miss writes from now on, where another in-sync copy remains.

    Joins from or to one of the devices are ended. → {"marked": slices, "kept": slices whose last copy it is}
    """
    devices = set(device_ids)
    marked = kept = 0
    changed = []
    for pool in state.storage_pools.values():
        for one in pool.slices:
            in_sync = [copy for copy in one.copies if copy.state is CopyState.IN_SYNC]
            failing = [copy for copy in in_sync if copy.device_id in devices]
            ends_join = one.join is not None and (
                one.join.source_device_id in devices or one.join.target_device_id in devices
            )
            lowers = bool(failing) and len(failing) < len(in_sync)
            if failing and not lowers:
                kept += 1
            if lowers:
                marked += 1
                for copy in failing:
                    copy.state = CopyState.STALE
            if ends_join:
                one.join = None
            if lowers or ends_join:
                one.generation += 1
                changed.append(one)
    _changed(state, changed)
    return {"marked": marked, "kept": kept}


def end_joins(state: State, device_ids: Set[str]) -> None:
    """Give up what copies to or from these devices, but for what brings a copy up to date in its place."""
    ended = []
    for pool in state.storage_pools.values():
        for one in pool.slices:
            join = one.join
            if join is None or join.replaces == join.target_device_id:
                continue
            if device_ids & {join.source_device_id, join.target_device_id, join.replaces}:
                one.join = None
                one.generation += 1
                ended.append(one)
    _changed(state, ended)


def place_slices(state: State, *, pool_id: str, placements: dict[str, list[str]]) -> dict[str, Any]:
    """Say where slices live while there is nothing to copy: no copies yet, or a pool without volumes."""
    pool = _pool(state, pool_id)
    has_data = any(volume.storage_pool_id == pool_id for volume in state.volumes.values())
    checked = []
    for text, device_ids in placements.items():
        one = _slice(pool, int(text) if text.isdecimal() else None)
        if one.copies and has_data:
            refuse(WRONG_PARAMETERS, f"Slice {text} holds data: it can only be moved by a join")
        if not int(has_data) <= len(device_ids) <= 2:
            refuse(WRONG_PARAMETERS, f"Slice {text} needs one or two devices")
        for device_id in device_ids:
            _check_target(state, pool_id, device_id)
        if len({fault_unit(state, id) for id in device_ids}) != len(device_ids):
            refuse(WRONG_PARAMETERS, f"Slice {text}: two copies in one fault unit")
        checked.append((one, device_ids))
    for one, device_ids in checked:
        one.copies = [Copy(device_id) for device_id in device_ids]
        one.join = None
        one.generation += 1
    _changed(state, (one for one, _ in checked))
    return {"placed": len(checked)}


def _check_target(state: State, pool_id: str, device_id: str) -> None:
    device = state.devices.get(device_id)
    if device is None or device.storage_pool_id != pool_id:
        refuse(WRONG_PARAMETERS, f"Device {device_id} is not in this pool")
    if device.lifecycle is not Lifecycle.NORMAL or device.error is not None:
        refuse(WRONG_PARAMETERS, f"Device {device_id} takes no new copies")
    server = state.servers[device.server_id]
    if server.lifecycle is not Lifecycle.NORMAL:
        refuse(WRONG_PARAMETERS, f"The server of device {device_id} is being removed")
    if server.in_maintenance:
        refuse(WRONG_PARAMETERS, f"The server of device {device_id} is in maintenance")


def begin_joins(state: State, *, pool_id: str, joins: list[dict[str, Any]]) -> dict[str, Any]:
    """Begin to make copies; each {"slice", "source", "target", "replaces", "reason"}."""
    pool = _pool(state, pool_id)
    seen: set[int] = set()
    for document in joins:
        _check_form(document)
        one = _slice(pool, document["slice"])
        if document["slice"] in seen:
            refuse(WRONG_PARAMETERS, f"Slice {document['slice']} is named twice")
        seen.add(document["slice"])
        _check_join(state, pool_id, one, document)
    job_ids = []
    for document in joins:
        one = pool.slices[document["slice"]]
        one.join = Join(
            state.next_number,
            document["source"],
            document["target"],
            document["replaces"],
            document["reason"],
        )
        job_ids.append(state.next_number)
        state.next_number += 1
    _changed(state, (pool.slices[document["slice"]] for document in joins))
    return {"job_ids": job_ids}


def _check_form(document: dict[str, Any]) -> None:
    if document.keys() != _JOIN_KEYS:
        refuse(WRONG_PARAMETERS, f"A join is described by {', '.join(sorted(_JOIN_KEYS))}")
    ids = (document["source"], document["target"], document["replaces"] or "")
    if not all(isinstance(device_id, str) for device_id in ids):
        refuse(WRONG_PARAMETERS, "The devices of a join are named by their ids")


def _check_join(state: State, pool_id: str, one: Slice, document: dict[str, Any]) -> None:
    index, source, target = document["slice"], document["source"], document["target"]
    replaces = document["replaces"]
    states = {copy.device_id: copy.state for copy in one.copies}
    if one.join is not None:
        refuse(WRONG_PARAMETERS, f"Slice {index} is joining already")
    if document["reason"] not in REASONS:
        refuse(WRONG_PARAMETERS, f"{document['reason']} is no reason for a join")
    if states.get(source) is not CopyState.IN_SYNC:
        refuse(WRONG_PARAMETERS, f"Slice {index} has no in-sync copy on device {source}")
    _check_join_target(state, pool_id, target, replaces)
    if replaces is None:
        if len(states) != 1:
            refuse(WRONG_PARAMETERS, f"Slice {index} has two copies: one must be replaced")
    elif replaces not in states:
        refuse(WRONG_PARAMETERS, f"Slice {index} has no copy on device {replaces} to replace")
    if target in states and not (replaces == target and states[target] is CopyState.STALE):
        refuse(WRONG_PARAMETERS, f"Slice {index} has a copy on device {target} already")
    stay = [id for id in states if id != replaces]
    if any(fault_unit(state, id) == fault_unit(state, target) for id in stay):
        refuse(WRONG_PARAMETERS, f"Slice {index}: two copies in one fault unit")


def _check_join_target(state: State, pool_id: str, target: str, replaces: str | None) -> None:
    """A copy that comes back to its own device may do so while that device is being emptied."""
    device = state.devices.get(target)
    if replaces == target and device is not None and device.error is None:
        if device.storage_pool_id != pool_id:
            refuse(WRONG_PARAMETERS, f"Device {target} is not in this pool")
        return
    _check_target(state, pool_id, target)


def _jobs(state: State, jobs: list[list[Any]]) -> list[Slice]:
    """The slices whose join has this very number; others have ended meanwhile and are passed over."""
    found: dict[int, Slice] = {}
    for job in jobs:
        if [type(part) for part in job] != [str, int, int]:
            refuse(WRONG_PARAMETERS, "A job is named by its pool, slice and number")
        pool_id, index, job_id = job
        pool = state.storage_pools.get(pool_id)
        if pool is None or not 0 <= index < len(pool.slices):
            continue
        one = pool.slices[index]
        if one.join is not None and one.join.job_id == job_id:
            found[job_id] = one
    return list(found.values())


def finish_joins(state: State, *, jobs: list[list[Any]]) -> dict[str, Any]:
    """The targets have everything: they are in-sync copies now; [[pool id, slice, job id]…]."""
    slices = _jobs(state, jobs)
    for one in slices:
        join = one.join
        assert join is not None
        one.copies = [
            copy for copy in one.copies if copy.device_id not in (join.replaces, join.target_device_id)
        ]
        one.copies.append(Copy(join.target_device_id))
        one.join = None
        one.generation += 1
    _changed(state, slices)
    return {"finished": len(slices)}


def abort_joins(state: State, *, jobs: list[list[Any]]) -> dict[str, Any]:
    """Give joins up; the slices stay as they are."""
    slices = _jobs(state, jobs)
    for one in slices:
        one.join = None
        one.generation += 1
    _changed(state, slices)
    return {"aborted": len(slices)}
