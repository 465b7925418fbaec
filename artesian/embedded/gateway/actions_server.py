"""Servers and devices: creating, changing and removing them."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Mapping
from typing import Any

from artesian.embedded.errors import CommandRefused
from artesian.embedded.gateway.actions_pool import ACCELERATION_TYPES
from artesian.embedded.gateway.context import Context, Handler
from artesian.embedded.gateway.failures import (
    ApiError,
    bad_request,
    missing_one_of,
    missing_parameters,
    unsupported,
)
from artesian.embedded.gateway.settings import (
    PERFORMANCE_PROFILES,
    bounded,
    choice,
    constant,
    flag,
    number,
    optional_bounded,
    storing,
)
from artesian.embedded.gateway.values import Parameters
from artesian.embedded.gateway.waiting import until_formatted

KIB = 1024
GIB = 1 << 30
DEFAULT_PORT = 7072
IP_ROLES = ("all", "sdsOnly", "sdcOnly")
DRL_MODES = ("Volatile", "NonVolatile")
DEVICE_MEDIA_TYPES = ("HDD", "SSD", "NVDIMM")
_MAX_KB = 1 << 50
_LAST_IP, _NO_SUCH_IP, _IP_EXISTS = 187, 193, 200  # PowerFlex' codes


async def create_server(context: Context, parameters: Parameters) -> str:
    """With all its devices, or not at all."""
    domain_id = parameters.required_identifier("protectionDomainId")
    ips = _ip_list(parameters)
    devices = [_device_of_list(context, item, parameters) for item in parameters.objects("deviceInfoList")]
    for name in ("accelerationDeviceInfoList", "sdsRfcacheDeviceInfoList"):
        if parameters.objects(name):
            raise unsupported(name)
    port = optional_bounded(parameters, "sdsPort", 1, 65535)
    result = await context.command(
        "add_server",
        protection_domain_id=domain_id,
        ips=ips,
        port=DEFAULT_PORT if port is None else port,
        name=parameters.text("name"),
        fault_set_id=parameters.identifier("faultSetId"),
        attributes=_server_settings(parameters),
    )
    server_id = str(result["id"])
    try:
        for device in devices:
            added = await context.command("add_device", server_id=server_id, **device)
            await until_formatted(context, str(added["id"]))
    except (CommandRefused, ApiError):
        with contextlib.suppress(CommandRefused):
            await context.command("remove_server", server_id=server_id, force=True)
        raise
    return server_id


def _ip_list(parameters: Parameters) -> list[dict[str, str]]:
    """Plain entries, or each inside an object called SdsIp, as older clients nest them."""
    entries = []
    for item in parameters.objects("sdsIpList"):
        nested = item.raw("SdsIp")
        entries.append(_ip_entry(Parameters(nested) if isinstance(nested, dict) else item))
    if not entries:
        raise missing_parameters("sdsIpList")
    if len({entry["ip"] for entry in entries}) != len(entries):
        raise bad_request("sdsIpList names an IP address twice")
    return entries


def _ip_entry(parameters: Parameters) -> dict[str, str]:
    return {
        "ip": _ip_address(parameters.required_text("ip")),
        "role": parameters.choice("role", IP_ROLES) or "all",
    }


def _ip_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise bad_request(f"{text[:64]} is not an IP address") from None


def _server_settings(parameters: Parameters) -> dict[str, Any]:
    found = {
        "drlMode": parameters.choice("drlMode", DRL_MODES),
        "rmcacheEnabled": parameters.flag("rmcacheEnabled"),
        "rmcacheSizeInKb": optional_bounded(parameters, "rmcacheSizeInKb", 0, _MAX_KB),
        "numOfIoBuffers": optional_bounded(parameters, "numOfIoBuffers", 0, 1 << 20),
    }
    return {name: value for name, value in found.items() if value is not None}


def _device_of_list(context: Context, item: Parameters, server: Parameters) -> dict[str, Any]:
    media_type = item.choice("mediaType", DEVICE_MEDIA_TYPES)
    return {
        "storage_pool_id": item.required_identifier("storagePoolId"),
        "path": item.required_text("devicePath"),
        "name": item.text("deviceName"),
        "force_takeover": server.flag("forceDeviceTakeover") or False,
        "attributes": {} if media_type is None else {"mediaType": media_type},
    }


async def _rename_server(context: Context, object_id: str, parameters: Parameters) -> None:
    name = parameters.required_text("name", "sdsName", "newName")
    await context.command("rename_server", server_id=object_id, name=name)


async def _remove_server(context: Context, object_id: str, parameters: Parameters) -> None:
    force = parameters.flag("force") or False
    await context.command("remove_server", server_id=object_id, force=force)


async def _add_ip(context: Context, object_id: str, parameters: Parameters) -> None:
    entry = _ip_entry(parameters)
    ips = context.view.state.servers[object_id].ips
    if any(one["ip"] == entry["ip"] for one in ips):
        raise ApiError(500, "The SDS already has this IP address", _IP_EXISTS)
    await context.command("set_server_ips", server_id=object_id, ips=[*ips, entry])


async def _remove_ip(context: Context, object_id: str, parameters: Parameters) -> None:
    address = _ip_address(parameters.required_text("ip"))
    ips = context.view.state.servers[object_id].ips
    left = [one for one in ips if one["ip"] != address]
    if len(left) == len(ips):
        raise ApiError(500, "The SDS does not have this IP address", _NO_SUCH_IP)
    if not left:
        raise ApiError(500, "The last IP address of an SDS cannot be removed", _LAST_IP)
    await context.command("set_server_ips", server_id=object_id, ips=left)


async def _set_ip_role(context: Context, object_id: str, parameters: Parameters) -> None:
    address = _ip_address(parameters.required_text("sdsIpToSet"))
    role = parameters.required_choice("newRole", IP_ROLES)
    ips = context.view.state.servers[object_id].ips
    if all(one["ip"] != address for one in ips):
        raise ApiError(500, "The SDS does not have this IP address", _NO_SUCH_IP)
    changed = [{"ip": one["ip"], "role": role if one["ip"] == address else one["role"]} for one in ips]
    await context.command("set_server_ips", server_id=object_id, ips=changed)


async def _set_port(context: Context, object_id: str, parameters: Parameters) -> None:
    port = bounded(parameters, "sdsPort", 1, 65535)
    await context.command("set_server_port", server_id=object_id, port=port)


async def _enter_maintenance(context: Context, object_id: str, _parameters: Parameters) -> None:
    await context.command("enter_maintenance", server_id=object_id)


async def _exit_maintenance(context: Context, object_id: str, _parameters: Parameters) -> None:
    await context.command("exit_maintenance", server_id=object_id)


def _drl_mode(parameters: Parameters) -> dict[str, Any]:
    mode = parameters.required_choice("drlMode", DRL_MODES)
    return {"drlMode": mode, "configuredDrlMode": mode}


SERVER_ACTIONS: Mapping[str, Handler] = {
    "setSdsName": _rename_server,
    "removeSds": _remove_server,
    "addSdsIp": _add_ip,
    "removeSdsIp": _remove_ip,
    "setSdsIpRole": _set_ip_role,
    "setSdsPort": _set_port,
    "enterMaintenanceMode": _enter_maintenance,
    "exitMaintenanceMode": _exit_maintenance,
    "setDrlMode": storing("server", _drl_mode),
    "enableRfcache": storing("server", constant(rfcacheEnabled=True)),
    "disableRfcache": storing("server", constant(rfcacheEnabled=False)),
    "setSdsRmcacheEnabled": storing("server", flag("rmcacheEnabled")),
    "setSdsRmcacheSize": storing("server", number("rmcacheSizeInMB", 0, 1 << 30, "rmcacheSizeInKb", KIB)),
    "setSdsPerformanceParameters": storing("server", choice("perfProfile", PERFORMANCE_PROFILES)),
}


async def create_device(context: Context, parameters: Parameters) -> str:
    """Waits until the server has formatted it. Raises ApiError with the server's reason if it refuses."""
    path = parameters.required_text("deviceCurrentPathname", "deviceCurrentPathName")
    server_id = parameters.required_identifier("sdsId")
    if parameters.identifier("accelerationPoolId") is not None:
        raise unsupported("An Acceleration Pool")
    pool_id = parameters.identifier("storagePoolId")
    if pool_id is None:
        raise missing_one_of("storagePoolId", "accelerationPoolId")
    limit_kb = optional_bounded(parameters, "capacityLimitInKb", 1, _MAX_KB)
    settings = {
        "mediaType": parameters.choice("mediaType", DEVICE_MEDIA_TYPES),
        "externalAccelerationType": parameters.choice("externalAccelerationType", ACCELERATION_TYPES),
    }
    result = await context.command(
        "add_device",
        server_id=server_id,
        storage_pool_id=pool_id,
        path=path,
        name=_device_name(parameters, path),
        capacity_limit_bytes=(limit_kb or 0) * KIB,
        force_takeover=parameters.flag("forceDeviceTakeover") or False,
        attributes={name: value for name, value in settings.items() if value is not None},
    )
    device_id = str(result["id"])
    await until_formatted(context, device_id)
    return device_id


def _device_name(parameters: Parameters, path: str) -> str | None:
    """Old clients give the path as the name; that is none, and may be longer than names can be."""
    name = parameters.text("name", "deviceName")
    return None if name == path else name


async def _rename_device(context: Context, object_id: str, parameters: Parameters) -> None:
    await context.command(
        "rename_device", device_id=object_id, name=parameters.required_text("newName", "name")
    )


async def _remove_device(context: Context, object_id: str, parameters: Parameters) -> None:
    force = parameters.flag("forceRemove") or False
    await context.command("remove_device", device_id=object_id, force=force)


async def _set_capacity_limit(context: Context, object_id: str, parameters: Parameters) -> None:
    limit_gb = bounded(parameters, "capacityLimitInGB", 1, 1 << 20)
    await context.command(
        "set_device_capacity_limit", device_id=object_id, capacity_limit_bytes=limit_gb * GIB
    )


async def _clear_error(context: Context, object_id: str, _parameters: Parameters) -> None:
    await context.command("clear_device_error", device_id=object_id)


async def _update_original_path(context: Context, object_id: str, parameters: Parameters) -> None:
    """The original path is the one that the device was added with, which is also its current one."""
    path = context.view.state.devices[object_id].path
    await storing("device", constant(deviceOriginalPathName=path))(context, object_id, parameters)


DEVICE_ACTIONS: Mapping[str, Handler] = {
    "setDeviceName": _rename_device,
    "removeDevice": _remove_device,
    "setDeviceCapacityLimit": _set_capacity_limit,
    "clearDeviceError": _clear_error,
    "updateDeviceOriginalPathname": _update_original_path,
    "setMediaType": storing("device", choice("mediaType", DEVICE_MEDIA_TYPES)),
    "setExternalAccelerationType": storing("device", choice("externalAccelerationType", ACCELERATION_TYPES)),
}
