"""Protection domains and fault sets: creating, changing and removing them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from artesian.embedded.gateway.context import Context, Handler
from artesian.embedded.gateway.failures import unsupported
from artesian.embedded.gateway.settings import (
    PERFORMANCE_PROFILES,
    constant,
    number,
    optional_bounded,
    store,
    storing,
)
from artesian.embedded.gateway.values import Parameters

_MAX_KBPS = 1 << 40
_RFCACHE_MODES = ("None", "Read", "Write", "ReadAndWrite", "WriteMiss")


async def create_domain(context: Context, parameters: Parameters) -> str:
    result = await context.command("add_protection_domain", name=parameters.required_text("name"))
    return str(result["id"])


async def _rename_domain(context: Context, object_id: str, parameters: Parameters) -> None:
    name = parameters.required_text("name", "newName")
    await context.command("rename_protection_domain", protection_domain_id=object_id, name=name)


async def _remove_domain(context: Context, object_id: str, _parameters: Parameters) -> None:
    await context.command("remove_protection_domain", protection_domain_id=object_id)


async def _activate(context: Context, object_id: str, _parameters: Parameters) -> None:
    await context.command("set_protection_domain_active", protection_domain_id=object_id, active=True)


async def _inactivate(context: Context, object_id: str, _parameters: Parameters) -> None:
    await context.command("set_protection_domain_active", protection_domain_id=object_id, active=False)


def _network_limits(parameters: Parameters) -> dict[str, Any]:
    """Limits in KB/s; 0 means none."""
    attributes: dict[str, Any] = {}
    for parameter, attribute in (
        ("rebuildLimitInKbps", "rebuildNetworkThrottling"),
        ("rebalanceLimitInKbps", "rebalanceNetworkThrottling"),
        ("vtreeMigrationLimitInKbps", "vtreeMigrationNetworkThrottling"),
        ("overallLimitInKbps", "overallIoNetworkThrottling"),
    ):
        limit = optional_bounded(parameters, parameter, 0, _MAX_KBPS)
        if limit is not None:
            attributes[f"{attribute}InKbps"] = limit or None
            attributes[f"{attribute}Enabled"] = limit > 0
    return attributes


def _rfcache_parameters(parameters: Parameters) -> dict[str, Any]:
    found = {
        "rfcachePageSizeKb": optional_bounded(parameters, "pageSizeKb", 4, 64),
        "rfcacheMaxIoSizeKb": optional_bounded(parameters, "maxIOSizeKb", 16, 128),
        "rfcacheOpertionalMode": parameters.choice("rfcacheOperationMode", _RFCACHE_MODES),
    }
    return {name: value for name, value in found.items() if value is not None}


DOMAIN_ACTIONS: Mapping[str, Handler] = {
    "setProtectionDomainName": _rename_domain,
    "removeProtectionDomain": _remove_domain,
    "activateProtectionDomain": _activate,
    "inactivateProtectionDomain": _inactivate,
    "setSdsNetworkLimits": storing("protection_domain", _network_limits),
    "enableSdsRfcache": storing("protection_domain", constant(rfcacheEnabled=True)),
    "disableSdsRfcache": storing("protection_domain", constant(rfcacheEnabled=False)),
    "setRfcacheParameters": storing("protection_domain", _rfcache_parameters),
    "enableFglMetadataCache": storing("protection_domain", constant(fglMetadataCacheEnabled=True)),
    "disableFglMetadataCache": storing("protection_domain", constant(fglMetadataCacheEnabled=False)),
    "setDefaultFglMetadataCacheSize": storing(
        "protection_domain", number("cacheSizeInMB", 0, 1 << 30, "fglDefaultMetadataCacheSize")
    ),
}


async def create_fault_set(context: Context, parameters: Parameters) -> str:
    domain_id = parameters.required_identifier("protectionDomainId")
    name = parameters.required_text("name")
    result = await context.command("add_fault_set", protection_domain_id=domain_id, name=name)
    return str(result["id"])


async def _rename_fault_set(context: Context, object_id: str, parameters: Parameters) -> None:
    name = parameters.required_text("newName", "name")
    await context.command("rename_fault_set", fault_set_id=object_id, name=name)


async def _remove_fault_set(context: Context, object_id: str, _parameters: Parameters) -> None:
    await context.command("remove_fault_set", fault_set_id=object_id)


async def _clear_fault_set(context: Context, object_id: str, _parameters: Parameters) -> None:
    """Nothing to do for an empty one; servers cannot change their fault set while they hold data."""
    if context.view.relations.servers_of_fault_set.get(object_id):
        raise unsupported("Clearing a Fault Set that has SDSs")


async def _profile_of_servers(context: Context, object_id: str, parameters: Parameters) -> None:
    profile = parameters.required_choice("perfProfile", PERFORMANCE_PROFILES)
    for server in context.view.relations.servers_of_fault_set.get(object_id, []):
        await store(context, "server", server.id, {"perfProfile": profile})


FAULT_SET_ACTIONS: Mapping[str, Handler] = {
    "setFaultSetName": _rename_fault_set,
    "removeFaultSet": _remove_fault_set,
    "clearFaultSet": _clear_fault_set,
    "setSdsPerformanceParameters": _profile_of_servers,
}
