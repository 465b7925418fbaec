"""Volumes and their mappings: creating, changing and removing them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from artesian.embedded.gateway.actions_pool import compression
from artesian.embedded.gateway.context import Context, Handler
from artesian.embedded.gateway.failures import (
    COMMUNICATION_ERROR_CODE,
    ApiError,
    bad_request,
    missing_one_of,
    unsupported,
)
from artesian.embedded.gateway.objects import TYPES
from artesian.embedded.gateway.settings import bounded, flag, optional_bounded, store, storing
from artesian.embedded.gateway.values import Parameters
from artesian.embedded.gateway.waiting import created_thick, until_allocated
from artesian.embedded.state.model import AccessMode, Volume
from artesian.embedded.state.refusals import WRONG_DOMAIN, WRONG_PARAMETERS

KIB = 1024
GIB = 1 << 30
ACCESS_MODES = ("ReadWrite", "ReadOnly")
_VOLUME_TYPES = ("ThinProvisioned", "ThickProvisioned")
_REMOVE_MODES = ("ONLY_ME", "INCLUDING_DESCENDANTS", "DESCENDANTS_ONLY", "WHOLE_VTREE")
_MAX_GB = 1 << 20
_MAX_KBPS = 1 << 40
_MAX_IOPS = 1 << 31


async def create_volume(context: Context, parameters: Parameters) -> str:
    """A thick volume is waited for until all its space is allocated."""
    pool_id = parameters.required_identifier("storagePoolId")
    size_bytes = _size_bytes(parameters)
    thin = parameters.choice("volumeType", _VOLUME_TYPES) != "ThickProvisioned"
    attributes = compression(parameters)
    for name, value in (
        ("useRmcache", parameters.flag("useRmcache")),
        ("volumeClass", parameters.text("volumeClass")),
    ):
        if value is not None:
            attributes[name] = value
    _check_domain(context, pool_id, parameters.identifier("protectionDomainId"))
    result = await context.command(
        "add_volume",
        storage_pool_id=pool_id,
        size_bytes=size_bytes,
        name=parameters.text("name"),
        thin=thin,
        attributes=attributes,
    )
    volume_id = str(result["id"])
    if not thin:
        await created_thick(context, volume_id)
    return volume_id


def _size_bytes(parameters: Parameters) -> int:
    """In KB or GB, rounded up to whole GB."""
    if parameters.text("volumeSizeInKb") is not None:
        size_kb = bounded(parameters, "volumeSizeInKb", 1, _MAX_GB * GIB // KIB)
        return -(-size_kb * KIB // GIB) * GIB
    if parameters.text("volumeSizeInGb") is None:
        raise missing_one_of("volumeSizeInKb", "volumeSizeInGb")
    return bounded(parameters, "volumeSizeInGb", 1, _MAX_GB) * GIB


def _check_domain(context: Context, pool_id: str, domain_id: str | None) -> None:
    pool = context.view.state.storage_pools.get(pool_id)
    if domain_id is not None and pool is not None and pool.protection_domain_id != domain_id:
        message = "The Storage Pool is not in this Protection Domain"
        raise ApiError(500, message, WRONG_DOMAIN)


async def _rename(context: Context, object_id: str, parameters: Parameters) -> None:
    await context.command(
        "rename_volume", volume_id=object_id, name=parameters.required_text("newName", "name")
    )


async def _grow(context: Context, object_id: str, parameters: Parameters) -> None:
    size_bytes = bounded(parameters, "sizeInGB", 1, _MAX_GB) * GIB
    await context.command("grow_volume", volume_id=object_id, size_bytes=size_bytes)
    if not _volume(context, object_id).thin and not await until_allocated(context, object_id):
        message = "The volume has its new size, but the space for it is still being allocated"
        raise ApiError(500, message, COMMUNICATION_ERROR_CODE)


async def _remove(context: Context, object_id: str, parameters: Parameters) -> None:
    """A volume has no descendants here, so that the modes differ in one case only."""
    if parameters.choice("removeMode", _REMOVE_MODES) != "DESCENDANTS_ONLY":
        await context.command("remove_volume", volume_id=object_id)


def _volume(context: Context, volume_id: str) -> Volume:
    return context.view.state.volumes[volume_id]


def _client_id(context: Context, parameters: Parameters) -> str | None:
    """The client by id, GUID or address; None if none of them is given. Raises ApiError if unknown."""
    client_id = parameters.identifier("sdcId")
    clients = context.view.state.clients
    if client_id is not None:
        if client_id not in clients:
            raise TYPES["Sdc"].missing()
        return client_id
    guid, ip = parameters.text("guid", "sdcGuid"), parameters.text("sdcIp")
    if guid is None and ip is None:
        return None
    for client in clients.values():
        if client.guid.upper() == (guid or "").upper() or client.ip == ip:
            return client.id
    raise TYPES["Sdc"].missing()


def _required_client_id(context: Context, parameters: Parameters) -> str:
    client_id = _client_id(context, parameters)
    if client_id is None:
        raise missing_one_of("sdcId", "guid")
    return client_id


def _access_limit(volume: Volume) -> str:
    return str(volume.attributes.get("accessModeLimit", AccessMode.READ_WRITE.value))


def _allowed_mode(volume: Volume, wanted: str | None) -> str:
    """The access mode of a mapping: what was asked for, at most what the volume's limit allows."""
    limit = _access_limit(volume)
    mode = wanted or limit
    if mode != limit and limit == AccessMode.READ_ONLY.value:
        raise ApiError(500, "The access mode exceeds the volume's access mode limit", WRONG_PARAMETERS)
    return mode


async def _map(context: Context, object_id: str, parameters: Parameters) -> None:
    client_id = _client_id(context, parameters)
    if client_id is None:
        if parameters.flag("allSdcs"):
            raise unsupported("Mapping a volume to all SDCs")
        raise missing_one_of("sdcId", "guid")
    mode = _allowed_mode(_volume(context, object_id), parameters.choice("accessMode", ACCESS_MODES))
    await context.command(
        "map_volume",
        volume_id=object_id,
        client_id=client_id,
        access_mode=mode,
        allow_multiple=parameters.flag("allowMultipleMappings") or False,
    )


async def _unmap(context: Context, object_id: str, parameters: Parameters) -> None:
    """From one client, or from all: `allSdcs` may be true or empty for that."""
    client_id = _client_id(context, parameters)
    if client_id is None and ("allSdcs" not in parameters or parameters.flag("allSdcs") is False):
        raise missing_one_of("sdcId", "guid", "allSdcs")
    await context.command("unmap_volume", volume_id=object_id, client_id=client_id)


async def _set_limits(context: Context, object_id: str, parameters: Parameters) -> None:
    client_id = _required_client_id(context, parameters)
    iops = optional_bounded(parameters, "iopsLimit", 0, _MAX_IOPS)
    bandwidth = optional_bounded(parameters, "bandwidthLimitInKbps", 0, _MAX_KBPS)
    if iops is None and bandwidth is None:
        raise missing_one_of("iopsLimit", "bandwidthLimitInKbps")
    await context.command(
        "set_mapping_limits",
        volume_id=object_id,
        client_id=client_id,
        limit_iops=iops,
        limit_bandwidth_kbps=bandwidth,
    )


async def _set_mapping_access_mode(context: Context, object_id: str, parameters: Parameters) -> None:
    client_id = _required_client_id(context, parameters)
    mode = parameters.required_choice("accessMode", ACCESS_MODES)
    _allowed_mode(_volume(context, object_id), mode)
    await context.command(
        "set_mapping_access_mode", volume_id=object_id, client_id=client_id, access_mode=mode
    )


async def _set_access_limit(context: Context, object_id: str, parameters: Parameters) -> None:
    limit = parameters.required_choice("accessModeLimit", ACCESS_MODES)
    mappings = _volume(context, object_id).mappings.values()
    if limit == AccessMode.READ_ONLY.value and any(
        mapping.access_mode is AccessMode.READ_WRITE for mapping in mappings
    ):
        raise ApiError(500, "The volume is mapped with an access mode above this limit", WRONG_PARAMETERS)
    await store(context, "volume", object_id, {"accessModeLimit": limit})


async def _not_replicated(_context: Context, _object_id: str, _parameters: Parameters) -> None:
    """It never is marked for replication."""


def _required_compression(parameters: Parameters) -> dict[str, Any]:
    if parameters.text("compressionMethod") is None:
        raise bad_request("compressionMethod is missing")
    return compression(parameters)


VOLUME_ACTIONS: Mapping[str, Handler] = {
    "setVolumeName": _rename,
    "setVolumeSize": _grow,
    "removeVolume": _remove,
    "addMappedSdc": _map,
    "removeMappedSdc": _unmap,
    "setMappedSdcLimits": _set_limits,
    "setVolumeMappingAccessMode": _set_mapping_access_mode,
    "setVolumeAccessModeLimit": _set_access_limit,
    "setVolumeUseRmcache": storing("volume", flag("useRmcache")),
    "modifyCompressionMethod": storing("volume", _required_compression),
    "unmarkForReplication": _not_replicated,
}
