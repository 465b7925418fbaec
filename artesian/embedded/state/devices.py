"""Commands on devices, and the removal of devices and servers, which moves their data away first."""

from __future__ import annotations

from typing import Any

from artesian.embedded.state.maintenance import check_not_in_maintenance
from artesian.embedded.state.model import CHUNK_BYTES, Device, Lifecycle, State
from artesian.embedded.state.refusals import (
    DEVICE_NAME_IN_USE,
    DEVICE_NOT_FOUND,
    DEVICE_PATH_IN_USE,
    DEVICE_REMOVING,
    DEVICE_STILL_FAILS,
    POOL_NOT_FOUND,
    SERVER_REMOVING,
    WRONG_DOMAIN,
    WRONG_PARAMETERS,
    check_name,
    check_range,
    find,
    new_id,
    refuse,
)
from artesian.embedded.state.removal import check_removal
from artesian.embedded.state.slices import mark_stale
from artesian.embedded.state.topology import server_of


def _device(state: State, device_id: str) -> Device:
    return find(state.devices, device_id, DEVICE_NOT_FOUND, "Could not find the device")


def add_device(
    state: State,
    *,
    random: str,
    server_id: str,
    storage_pool_id: str,
    path: str,
    name: str | None = None,
    capacity_limit_bytes: int = 0,
    force_takeover: bool = False,
    attributes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The server formats it next, or refuses it."""
    server = server_of(state, server_id)
    pool = find(state.storage_pools, storage_pool_id, POOL_NOT_FOUND, "Could not find the Storage Pool")
    if pool.protection_domain_id != server.protection_domain_id:
        refuse(WRONG_DOMAIN, "The Storage Pool and the SDS are not in the same Protection Domain")
    if server.lifecycle is not Lifecycle.NORMAL:
        refuse(SERVER_REMOVING, "The SDS is being removed")
    if not isinstance(path, str) or not path.startswith("/"):
        refuse(WRONG_PARAMETERS, "The device path must be absolute")
    siblings = [device for device in state.devices.values() if device.server_id == server_id]
    if any(device.path == path for device in siblings):
        refuse(DEVICE_PATH_IN_USE, "Device name or path already in use on this SDS")
    check_name(name, (device.name for device in siblings), DEVICE_NAME_IN_USE, "Device", optional=True)
    check_range(capacity_limit_bytes, 0, 1 << 60, "The capacity limit")
    device_id = new_id(state, random)
    state.devices[device_id] = Device(
        device_id, name, "", server_id, storage_pool_id, path, capacity_limit_bytes=capacity_limit_bytes,
        force_takeover=force_takeover, attributes=attributes or {},
    )  # fmt: skip
    return {"id": device_id}


def rename_device(state: State, *, device_id: str, name: str) -> dict[str, Any]:
    device = _device(state, device_id)
    taken = [
        other.name
        for other in state.devices.values()
        if other is not device and other.server_id == device.server_id
    ]
    check_name(name, taken, DEVICE_NAME_IN_USE, "Device")
    device.name = name
    return {}


def set_device_capacity_limit(state: State, *, device_id: str, capacity_limit_bytes: int) -> dict[str, Any]:
    device = _device(state, device_id)
    check_range(capacity_limit_bytes, CHUNK_BYTES, 1 << 60, "The capacity limit")
    device.capacity_limit_bytes = capacity_limit_bytes
    return {}


def clear_device_error(state: State, *, device_id: str, device_problems: dict[str, str]) -> dict[str, Any]:
    """The disk is said to be well again: its copies are compared and completed.

    `device_problems`: why devices cannot be used now; one whose server says so would fail again at once.
    """
    device = _device(state, device_id)
    if device.error is not None and device_id in device_problems:
        refuse(DEVICE_STILL_FAILS, f"The device still fails: {device_problems[device_id]}")
    device.error = None
    return {}


def remove_device(
    state: State, *, device_id: str, device_slots: dict[str, int], force: bool = False
) -> dict[str, Any]:
    """Its data moves away, then it goes. `device_slots`: used slots of every device, as reported."""
    device = _device(state, device_id)
    if device.lifecycle is Lifecycle.REMOVING:
        refuse(DEVICE_REMOVING, "The device is being removed already")
    check_not_in_maintenance(server_of(state, device.server_id))
    check_removal(state, [device_id], device_slots, force=force)
    device.lifecycle = Lifecycle.REMOVING
    _forget_unused(state, [device_id])
    return {}


def remove_server(
    state: State, *, server_id: str, device_slots: dict[str, int], force: bool = False
) -> dict[str, Any]:
    """The data of its devices moves away, then they and it go."""
    server = server_of(state, server_id)
    if server.lifecycle is Lifecycle.REMOVING:
        refuse(SERVER_REMOVING, "The SDS is being removed already")
    check_not_in_maintenance(server)
    leaving = {device.id for device in state.devices.values() if device.server_id == server_id}
    check_removal(state, leaving, device_slots, force=force)
    server.lifecycle = Lifecycle.REMOVING
    for device_id in sorted(leaving):
        state.devices[device_id].lifecycle = Lifecycle.REMOVING
    _forget_unused(state, sorted(leaving))
    if not any(device.server_id == server_id for device in state.devices.values()):
        del state.servers[server_id]
    return {}


def _forget_unused(state: State, device_ids: list[str]) -> None:
    """Devices that hold no copies of anything go at once."""
    for device_id in device_ids:
        device = state.devices[device_id]
        pool = state.storage_pools[device.storage_pool_id]
        holds = any(copy.device_id == device_id for one in pool.slices for copy in one.copies)
        if not holds and device.lifecycle is Lifecycle.REMOVING and not device.uuid:
            _forget(state, device_id)


def _forget(state: State, device_id: str) -> None:
    del state.devices[device_id]
    for number in list(state.deleted_volumes):
        _dropped(state, device_id, number)


def _dropped(state: State, device_id: str, number: str) -> None:
    waiting = state.deleted_volumes.get(number)
    if waiting is not None and device_id in waiting:
        waiting.remove(device_id)
    if waiting is not None and not waiting:
        del state.deleted_volumes[number]


def device_formatted(state: State, *, device_id: str, uuid: str, slot_count: int) -> dict[str, Any]:
    """The server has made it ours."""
    device = _device(state, device_id)
    if device.uuid and device.uuid != uuid:
        refuse(WRONG_PARAMETERS, "Another disk answers at the path of this device")
    device.uuid = uuid
    device.slot_count = slot_count
    if device.lifecycle is Lifecycle.ADDING:
        device.lifecycle = Lifecycle.NORMAL
    return {}


def device_refused(state: State, *, device_id: str, error: str) -> dict[str, Any]:
    """The server would not take a new device: it was never ours."""
    device = _device(state, device_id)
    if device.lifecycle is not Lifecycle.ADDING:
        refuse(WRONG_PARAMETERS, "The device is a member already")
    _forget(state, device_id)
    return {"refused": error}


def device_failed(state: State, *, device_id: str, error: str) -> dict[str, Any]:
    """The disk failed: its copies are stale, and are made anew elsewhere."""
    device = _device(state, device_id)
    device.error = error
    return mark_stale(state, device_ids=[device_id], reason=error)


def device_emptied(state: State, *, device_id: str) -> dict[str, Any]:
    """A device that is being removed and holds no copies any more goes away."""
    device = state.devices.get(device_id)
    if device is None:
        return {}
    if device.lifecycle is not Lifecycle.REMOVING:
        refuse(WRONG_PARAMETERS, "The device is not being removed")
    for one in state.storage_pools[device.storage_pool_id].slices:
        if any(copy.device_id == device_id for copy in one.copies):
            refuse(WRONG_PARAMETERS, "The device still holds copies")
        if one.join is not None and device_id in (one.join.source_device_id, one.join.target_device_id):
            refuse(WRONG_PARAMETERS, "The device still takes part in a join")
    _forget(state, device_id)
    return {}


def volume_chunks_dropped(state: State, *, device_id: str, numbers: list[int]) -> dict[str, Any]:
    """The device says that nothing of these removed volumes is left on it."""
    for number in numbers:
        _dropped(state, device_id, str(number))
    return {}
