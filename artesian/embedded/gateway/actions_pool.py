"""Storage pools: creating, changing and removing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from artesian.embedded.gateway.context import Context, Handler
from artesian.embedded.gateway.failures import bad_request, unsupported
from artesian.embedded.gateway.settings import (
    Reader,
    choice,
    constant,
    flag,
    number,
    optional_bounded,
    storing,
)
from artesian.embedded.gateway.values import Parameters

KIB = 1024
MEDIA_TYPES = ("HDD", "SSD", "Transitional")
ACCELERATION_TYPES = ("None", "Read", "Write", "ReadAndWrite", "Invalid")
_POLICIES = ("unlimited", "limitNumOfConcurrentIos", "favorAppIos", "dynamicBwThrottling")
_WRITE_MODES = ("Passthrough", "Cached")
_LAYOUTS = ("MediumGranularity", "FineGranularity")
_COMPRESSION_METHODS = ("Invalid", "None", "Normal")
_MAX_KBPS = 1 << 30


async def create_pool(context: Context, parameters: Parameters) -> str:
    domain_id = parameters.required_identifier("protectionDomainId")
    name = parameters.required_text("name")
    attributes = _cache_settings(parameters) | compression(parameters)
    if parameters.choice("dataLayout", _LAYOUTS) == "FineGranularity" or parameters.text("fglAccpId"):
        raise unsupported("Fine granularity")
    settings = {
        "spare_percentage": optional_bounded(parameters, "sparePercentage", 0, 99),
        "rebuild_enabled": parameters.flag("rebuildEnabled"),
        "rebalance_enabled": parameters.flag("rebalanceEnabled"),
    }
    result = await context.command(
        "add_storage_pool",
        protection_domain_id=domain_id,
        name=name,
        media_type=parameters.choice("mediaType", MEDIA_TYPES) or "HDD",
        attributes=attributes,
        **_given(settings),
    )
    return str(result["id"])


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _cache_settings(parameters: Parameters) -> dict[str, Any]:
    flags = ("zeroPaddingEnabled", "useRmcache", "useRfcache", "checksumEnabled")
    found: dict[str, Any] = {name: parameters.flag(name) for name in flags}
    found["rmcacheWriteHandlingMode"] = parameters.choice("rmcacheWriteHandlingMode", _WRITE_MODES)
    found["externalAccelerationType"] = parameters.choice("externalAccelerationType", ACCELERATION_TYPES)
    return _given(found)


def compression(parameters: Parameters) -> dict[str, Any]:
    """The compression method, as long as it means none. Raises ApiError 400 for a real one."""
    method = parameters.choice("compressionMethod", _COMPRESSION_METHODS)
    if method == "Normal":
        raise unsupported("Compression")
    return {} if method is None else {"compressionMethod": method}


def _modifies(read: Callable[[Parameters], dict[str, Any]]) -> Handler:
    """An action that changes settings on which the engine acts."""

    async def handler(context: Context, object_id: str, parameters: Parameters) -> None:
        await context.command("modify_storage_pool", storage_pool_id=object_id, **read(parameters))

    return handler


def _priority(kind: str) -> Reader:
    """How much rebuilding or rebalancing may disturb applications."""

    def read(parameters: Parameters) -> dict[str, Any]:
        limit_kbps = optional_bounded(parameters, "bwLimitPerDeviceInKbps", 0, _MAX_KBPS)
        settings = {
            f"{kind}_policy": parameters.required_choice("policy", _POLICIES),
            f"{kind}_concurrency": optional_bounded(parameters, "numOfConcurrentIosPerDevice", 1, 20),
            f"{kind}_limit_bytes_per_s": None if limit_kbps is None else limit_kbps * KIB,
        }
        return _given(settings)

    return read


def _stored_priority(prefix: str) -> Reader:
    """The same for what this engine has not: stored and answered."""

    def read(parameters: Parameters) -> dict[str, Any]:
        found = {
            f"{prefix}IoPriorityPolicy": parameters.required_choice("policy", _POLICIES),
            f"{prefix}IoPriorityNumOfConcurrentIosPerDevice": optional_bounded(
                parameters, "numOfConcurrentIosPerDevice", 1, 20
            ),
            f"{prefix}IoPriorityBwLimitPerDeviceInKbps": optional_bounded(
                parameters, "bwLimitPerDeviceInKbps", 0, _MAX_KBPS
            ),
        }
        return _given(found)

    return read


def _alert_thresholds(parameters: Parameters) -> dict[str, Any]:
    high = optional_bounded(parameters, "capacityAlertHighThresholdPercent", 0, 100)
    critical = optional_bounded(parameters, "capacityAlertCriticalThresholdPercent", 0, 100)
    if high is not None and critical is not None and high > critical:
        raise bad_request("The high threshold must not be above the critical one")
    return _given({"capacityAlertHighThreshold": high, "capacityAlertCriticalThreshold": critical})


def _persistent_checksum(parameters: Parameters) -> dict[str, Any]:
    found = {
        "persistentChecksumValidateOnRead": parameters.flag("validateOnRead"),
        "persistentChecksumBuilderLimitKb": optional_bounded(parameters, "builderLimitInKb", 1024, 10240),
    }
    return _given(found)


async def _without_checksums(_context: Context, _object_id: str, _parameters: Parameters) -> None:
    raise unsupported("A Storage Pool without persistent checksums")


async def _zero_padding(context: Context, object_id: str, parameters: Parameters) -> None:
    """PowerFlex lets it change before the first device only."""
    enabled = parameters.required_flag("zeroPadEnabled")
    if not enabled and context.view.relations.devices_of_pool.get(object_id):
        raise bad_request("The zero padding policy can be changed only while the Storage Pool has no devices")
    await storing("storage_pool", constant(zeroPaddingEnabled=enabled))(context, object_id, parameters)


async def _remove(context: Context, object_id: str, _parameters: Parameters) -> None:
    await context.command("remove_storage_pool", storage_pool_id=object_id)


def _name(parameters: Parameters) -> dict[str, Any]:
    return {"name": parameters.required_text("name", "newName")}


def _media_type(parameters: Parameters) -> dict[str, Any]:
    return {"media_type": parameters.required_choice("mediaType", MEDIA_TYPES)}


_POOL = "storage_pool"

POOL_ACTIONS: Mapping[str, Handler] = {
    "setStoragePoolName": _modifies(_name),
    "removeStoragePool": _remove,
    "setMediaType": _modifies(_media_type),
    "setSparePercentage": _modifies(number("sparePercentage", 0, 99, "spare_percentage")),
    "setRebuildEnabled": _modifies(flag("rebuildEnabled", "rebuild_enabled")),
    "setRebalanceEnabled": _modifies(flag("rebalanceEnabled", "rebalance_enabled")),
    "setRebuildIoPriorityPolicy": _modifies(_priority("rebuild")),
    "setRebalanceIoPriorityPolicy": _modifies(_priority("rebalance")),
    "setVTreeMigrationIoPriorityPolicy": storing(_POOL, _stored_priority("vtreeMigration")),
    "setProtectedMaintenanceModeIoPriorityPolicy": storing(
        _POOL, _stored_priority("protectedMaintenanceMode")
    ),
    "setRebuildRebalanceParallelism": storing(
        _POOL, number("limit", 1, 20, "numOfParallelRebuildRebalanceJobsPerDevice")
    ),
    "setChecksumEnabled": storing(_POOL, flag("checksumEnabled")),
    "modifyCompressionMethod": storing(_POOL, compression),
    "setExternalAccelerationType": storing(_POOL, choice("externalAccelerationType", ACCELERATION_TYPES)),
    "enableRfcache": storing(_POOL, constant(useRfcache=True)),
    "disableRfcache": storing(_POOL, constant(useRfcache=False)),
    "setUseRmcache": storing(_POOL, flag("useRmcache")),
    "setRmcacheWriteHandlingMode": storing(_POOL, choice("rmcacheWriteHandlingMode", _WRITE_MODES)),
    "setZeroPaddingPolicy": _zero_padding,
    "setReplicationJournalCapacity": storing(
        _POOL, number("replicationJournalCapacityMaxRatio", 0, 100, "replicationCapacityMaxRatio")
    ),
    "setCapacityAlertThresholds": storing(_POOL, _alert_thresholds),
    "enablePersistentChecksum": storing(_POOL, _persistent_checksum),
    "modifyPersistentChecksum": storing(_POOL, _persistent_checksum),
    "disablePersistentChecksum": _without_checksums,
    "enableFragmentation": storing(_POOL, constant(fragmentationEnabled=True)),
    "disableFragmentation": storing(_POOL, constant(fragmentationEnabled=False)),
}
