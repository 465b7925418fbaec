"""Commands on clients, volumes and mappings."""

from __future__ import annotations

from typing import Any

from artesian.embedded.state.model import AccessMode, Client, Lifecycle, Mapping, State, Volume
from artesian.embedded.state.refusals import (
    ALREADY_EXISTS,
    ALREADY_MAPPED,
    CLIENT_HAS_MAPPINGS,
    CLIENT_NOT_FOUND,
    NO_CAPACITY,
    NOT_FOUND,
    NOT_MAPPED,
    ONE_WRITER,
    OUT_OF_RANGE,
    POOL_NOT_FOUND,
    SIZE_ILLEGAL,
    VOLUME_MAPPED,
    VOLUME_NAME_IN_USE,
    VOLUME_NOT_FOUND,
    VOLUME_SHRINKS,
    check_choice,
    check_name,
    check_range,
    find,
    free_name,
    is_name,
    new_id,
    refuse,
)

GIB = 1 << 30
MAX_VOLUME_BYTES = 1 << 50
BANDWIDTH_GRAIN_KBPS = 1024
MIN_IOPS_LIMIT = 11


def _client(state: State, client_id: str) -> Client:
    return find(state.clients, client_id, CLIENT_NOT_FOUND, "Could not find the SDC")


def register_client(state: State, *, random: str, guid: str, name: str | None, ip: str) -> dict[str, Any]:
    """An SDC that connects; known ones keep their id, and the name that a user gave them."""
    for client in state.clients.values():
        if client.guid == guid:
            client.ip = ip
            return {"client_id": client.id}
    taken = {client.name for client in state.clients.values()}
    client_id = new_id(state, random)
    usable = name is not None and is_name(name) and name not in taken
    state.clients[client_id] = Client(client_id, guid, name if usable else None, ip)
    return {"client_id": client_id}


def rename_client(state: State, *, client_id: str, name: str) -> dict[str, Any]:
    client = _client(state, client_id)
    taken = (other.name for other in state.clients.values() if other is not client)
    check_name(name, taken, ALREADY_EXISTS, "SDC")
    client.name = name
    return {}


def remove_client(state: State, *, client_id: str) -> dict[str, Any]:
    _client(state, client_id)
    if any(client_id in volume.mappings for volume in state.volumes.values()):
        refuse(CLIENT_HAS_MAPPINGS, "The SDC still has mapped volumes")
    del state.clients[client_id]
    return {}


def _volume(state: State, volume_id: str) -> Volume:
    return find(state.volumes, volume_id, VOLUME_NOT_FOUND, "Could not find the volume")


def _check_size(size_bytes: Any) -> None:
    if isinstance(size_bytes, bool) or not isinstance(size_bytes, int) or size_bytes <= 0 or size_bytes % GIB:
        refuse(SIZE_ILLEGAL, "The volume size must be a multiple of 1 GB")
    if size_bytes > MAX_VOLUME_BYTES:
        refuse(SIZE_ILLEGAL, "The volume size is at most 1 PB")


def _check_room(needed_bytes: int, available_bytes: int | None) -> None:
    """Thick volumes take all their space at once; `available_bytes` is raw, both copies counted."""
    if available_bytes is None or needed_bytes > available_bytes:
        have = "unknown" if available_bytes is None else f"{available_bytes // 2 >> 20} MiB"
        refuse(
            NO_CAPACITY,
            f"Not enough capacity for a thick volume: {needed_bytes // 2 >> 20} MiB wanted, {have} free",
        )


def add_volume(
    state: State,
    *,
    random: str,
    storage_pool_id: str,
    size_bytes: int,
    name: str | None = None,
    thin: bool = True,
    now: int = 0,
    available_bytes: int | None = None,
    attributes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A thick volume is ADDING until every server has allocated its chunks."""
    find(state.storage_pools, storage_pool_id, POOL_NOT_FOUND, "Could not find the Storage Pool")
    taken = {volume.name for volume in state.volumes.values()}
    check_name(name, taken, VOLUME_NAME_IN_USE, "Volume", optional=True)
    _check_size(size_bytes)
    if not thin:
        _check_room(2 * size_bytes, available_bytes)
    number = state.next_number
    volume_id = new_id(state, random)
    vtree_id = new_id(state, random)
    state.volumes[volume_id] = Volume(
        volume_id, number, name or free_name(f"volume-{number}", taken), size_bytes, storage_pool_id,
        vtree_id, thin, now, lifecycle=Lifecycle.NORMAL if thin else Lifecycle.ADDING,
        attributes=attributes or {},
    )  # fmt: skip
    return {"id": volume_id}


def rename_volume(state: State, *, volume_id: str, name: str) -> dict[str, Any]:
    volume = _volume(state, volume_id)
    taken = (other.name for other in state.volumes.values() if other is not volume)
    check_name(name, taken, VOLUME_NAME_IN_USE, "Volume")
    volume.name = name
    return {}


def grow_volume(
    state: State, *, volume_id: str, size_bytes: int, available_bytes: int | None = None
) -> dict[str, Any]:
    volume = _volume(state, volume_id)
    _check_size(size_bytes)
    if size_bytes < volume.size_bytes:
        refuse(VOLUME_SHRINKS, "The volume cannot be made smaller")
    if not volume.thin and size_bytes > volume.size_bytes:
        _check_room(2 * (size_bytes - volume.size_bytes), available_bytes)
        volume.lifecycle = Lifecycle.ADDING
    volume.size_bytes = size_bytes
    return {}


def volume_allocated(state: State, *, volume_id: str, size_bytes: int | None = None) -> dict[str, Any]:
    """Every chunk of a thick volume owns its slots."""
    volume = _volume(state, volume_id)
    if volume.lifecycle is Lifecycle.ADDING and size_bytes in (None, volume.size_bytes):
        volume.lifecycle = Lifecycle.NORMAL
    return {}


def remove_volume(state: State, *, volume_id: str) -> dict[str, Any]:
    """Its chunks are given back by every device of the pool, now or when it is back."""
    volume = _volume(state, volume_id)
    if volume.mappings:
        refuse(VOLUME_MAPPED, "Volume is mapped to at least one SDC. Unmap it first")
    devices = [id for id, device in state.devices.items() if device.storage_pool_id == volume.storage_pool_id]
    if devices:
        state.deleted_volumes[str(volume.number)] = sorted(devices)
    del state.volumes[volume_id]
    return {}


def map_volume(
    state: State,
    *,
    volume_id: str,
    client_id: str,
    access_mode: str = "ReadWrite",
    allow_multiple: bool = False,
) -> dict[str, Any]:
    """One client at most may write; more may read if `allow_multiple`."""
    volume = _volume(state, volume_id)
    _client(state, client_id)
    check_choice(access_mode, [mode.value for mode in AccessMode], "accessMode")
    if client_id in volume.mappings:
        refuse(ALREADY_MAPPED, "The volume is already mapped to this SDC")
    if volume.mappings and not allow_multiple:
        refuse(ONE_WRITER, "Only a single SDC may be mapped to this volume at a time")
    if access_mode == AccessMode.READ_WRITE and _writer(volume) is not None:
        refuse(
            ONE_WRITER,
            "Only a single SDC may be mapped to this volume at a time for writing; map it ReadOnly",
        )
    volume.mappings[client_id] = Mapping(client_id, AccessMode(access_mode))
    return {}


def _writer(volume: Volume) -> Mapping | None:
    for mapping in volume.mappings.values():
        if mapping.access_mode is AccessMode.READ_WRITE:
            return mapping
    return None


def unmap_volume(state: State, *, volume_id: str, client_id: str | None = None) -> dict[str, Any]:
    """From one client, or from all. A writer that goes is fenced: the epoch goes up."""
    volume = _volume(state, volume_id)
    if client_id is not None and client_id not in volume.mappings:
        _client(state, client_id)
        refuse(NOT_MAPPED, "The volume is not mapped to this SDC")
    if client_id is None and not volume.mappings:
        refuse(NOT_MAPPED, "The volume is not mapped to any SDC")
    for id in [client_id] if client_id is not None else list(volume.mappings):
        mapping = volume.mappings.pop(id)
        if mapping.access_mode is AccessMode.READ_WRITE:
            volume.epoch += 1
    return {}


def _mapping(volume: Volume, client_id: str) -> Mapping:
    return find(volume.mappings, client_id, NOT_MAPPED, "The volume is not mapped to this SDC")


def set_mapping_limits(
    state: State,
    *,
    volume_id: str,
    client_id: str,
    limit_iops: int | None = None,
    limit_bandwidth_kbps: int | None = None,
) -> dict[str, Any]:
    """0 means no limit."""
    mapping = _mapping(_volume(state, volume_id), client_id)
    if limit_iops:
        check_range(limit_iops, MIN_IOPS_LIMIT, 1 << 31, "iopsLimit")
    if limit_bandwidth_kbps and (limit_bandwidth_kbps < 0 or limit_bandwidth_kbps % BANDWIDTH_GRAIN_KBPS):
        refuse(OUT_OF_RANGE, "bandwidthLimitInKbps must be a multiple of 1024")
    if limit_iops is not None:
        mapping.limit_iops = limit_iops
    if limit_bandwidth_kbps is not None:
        mapping.limit_bandwidth_kbps = limit_bandwidth_kbps
    return {}


def set_mapping_access_mode(
    state: State, *, volume_id: str, client_id: str, access_mode: str
) -> dict[str, Any]:
    volume = _volume(state, volume_id)
    mapping = _mapping(volume, client_id)
    check_choice(access_mode, [mode.value for mode in AccessMode], "accessMode")
    writer = _writer(volume)
    if access_mode == AccessMode.READ_WRITE and writer is not None and writer is not mapping:
        refuse(ONE_WRITER, "Only a single SDC may be mapped to this volume at a time for writing")
    if mapping.access_mode is AccessMode.READ_WRITE and access_mode != AccessMode.READ_WRITE:
        volume.epoch += 1
    mapping.access_mode = AccessMode(access_mode)
    return {}


def open_volume(state: State, *, volume_id: str, client_id: str, session: str = "") -> dict[str, Any]:
    """A client begins to use its mapping. For a writer: a new epoch, which fences every earlier session."""
    volume = _volume(state, volume_id)
    mapping = find(volume.mappings, client_id, NOT_FOUND, "The volume is not mapped to this SDC")
    if mapping.access_mode is AccessMode.READ_WRITE:
        volume.epoch += 1
    mapping.epoch = volume.epoch
    return {"epoch": volume.epoch}
