"""The system, its clients and its users: creating, changing and removing them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from artesian.embedded.gateway import queries, render_system
from artesian.embedded.gateway.context import Context, Handler
from artesian.embedded.gateway.failures import (
    INVALID_PASSWORD_CODE,
    ApiError,
    bad_request,
    missing_one_of,
    unsupported,
)
from artesian.embedded.gateway.objects import TYPES
from artesian.embedded.gateway.passwords import hash_password, verify_password
from artesian.embedded.gateway.permissions import ROLES
from artesian.embedded.gateway.rates import volume_keys
from artesian.embedded.gateway.settings import PERFORMANCE_PROFILES, choice, storing
from artesian.embedded.gateway.values import Parameters
from artesian.embedded.state.refusals import CLIENT_CONNECTED

_SDC_MODES = ("None", "Guid", "ApprovedIp")


async def _rename(context: Context, _object_id: str, parameters: Parameters) -> None:
    await context.command("set_system_name", name=parameters.required_text("newName", "name"))


async def _limits(_context: Context, _object_id: str, _parameters: Parameters) -> Any:
    return queries.system_limits()


async def _managers(context: Context, _object_id: str, _parameters: Parameters) -> Any:
    return render_system.manager_cluster(context.view)


async def _restricted_mode(_context: Context, _object_id: str, parameters: Parameters) -> None:
    """Restrictions that are not enforced must not seem to be."""
    mode = parameters.required_choice("restrictedSdcMode", _SDC_MODES)
    if mode != "None":
        raise unsupported(f"restrictedSdcMode {mode}")


async def _approve_client(context: Context, _object_id: str, parameters: Parameters) -> Any:
    """Every SDC that knows the engine's secret is approved; this finds its id."""
    guid, ip = parameters.text("sdcGuid"), parameters.text("sdcIp")
    ips = [*parameters.texts("sdcIps"), *([ip] if ip is not None else [])]
    if guid is None and not ips:
        raise missing_one_of("sdcIp", "sdcIps", "sdcGuid")
    for client in context.view.state.clients.values():
        if client.guid.upper() == (guid or "").upper() or client.ip in ips:
            return {"id": client.id}
    raise TYPES["Sdc"].missing()


SYSTEM_ACTIONS: Mapping[str, Handler] = {
    "setSystemName": _rename,
    "querySystemLimits": _limits,
    "queryMdmCluster": _managers,
    "setMdmPerformanceParameters": storing("system", choice("perfProfile", PERFORMANCE_PROFILES)),
    "setRestrictedSdcMode": _restricted_mode,
    "approveSdc": _approve_client,
}


async def _rename_client(context: Context, object_id: str, parameters: Parameters) -> None:
    name = parameters.required_text("sdcName", "newName", "name")
    await context.command("rename_client", client_id=object_id, name=name)


async def _remove_client(context: Context, object_id: str, _parameters: Parameters) -> None:
    if context.view.client_connected(context.view.state.clients[object_id]):
        raise ApiError(500, "The SDC must be disconnected before it can be removed", CLIENT_CONNECTED)
    await context.command("remove_client", client_id=object_id)


async def _client_rates(context: Context, object_id: str, _parameters: Parameters) -> Any:
    """What the client does with each of its volumes."""
    rates = context.rates.rates(context.view)
    answer: list[dict[str, Any]] = []
    for volume in context.view.relations.volumes_of_client.get(object_id, []):
        pair = [(object_id, volume.id)]
        rate = {f"{way}Bwc": rates.of(volume_keys(pair, way)) for way in ("read", "write", "trim")}
        latency = {f"{way}LatencyBwc": rates.of([]) for way in ("read", "write", "trim")}
        answer.append({"volumeId": volume.id, "sdcId": object_id, **rate, **latency})
    return answer


CLIENT_ACTIONS: Mapping[str, Handler] = {
    "setSdcName": _rename_client,
    "removeSdc": _remove_client,
    "setSdcPerformanceParameters": storing("client", choice("perfProfile", PERFORMANCE_PROFILES)),
    "queryVolumeSdcBwc": _client_rates,
}


async def create_user(context: Context, parameters: Parameters) -> str:
    name = parameters.required_text("name")
    if ":" in name:
        raise bad_request("A user name must not contain a colon")
    role = parameters.required_choice("userRole", ROLES)
    password_hash = await _hash(parameters, "password")
    result = await context.command("add_user", name=name, role=role, password_hash=password_hash)
    return str(result["id"])


async def _hash(parameters: Parameters, name: str) -> str:
    """Of a new password, computed off the event loop."""
    password = parameters.required_text(name)
    if len(password.encode()) > 1024:
        raise ApiError(500, "The password is too long", INVALID_PASSWORD_CODE)
    return await asyncio.to_thread(hash_password, password)


async def _set_role(context: Context, object_id: str, parameters: Parameters) -> None:
    role = parameters.required_choice("userRole", ROLES)
    await context.command("set_user_role", user_id=object_id, role=role)


async def _set_password(context: Context, object_id: str, parameters: Parameters) -> None:
    """Users must know their own password to change it; those who manage users need not."""
    user = context.view.state.users[object_id]
    if user.id == context.user.id:
        old = parameters.required_text("oldPassword")
        if not await asyncio.to_thread(verify_password, old, user.password_hash):
            raise ApiError(500, "The old password is not right", INVALID_PASSWORD_CODE)
    password_hash = await _hash(parameters, "newPassword")
    await context.command("set_user_password", user_id=object_id, password_hash=password_hash)


async def _remove_user(context: Context, object_id: str, _parameters: Parameters) -> None:
    await context.command("remove_user", user_id=object_id)


USER_ACTIONS: Mapping[str, Handler] = {
    "setUserRole": _set_role,
    "setPassword": _set_password,
    "removeUser": _remove_user,
}
