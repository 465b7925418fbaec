"""From a URL and its parameters to the body of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from artesian.embedded.gateway import objects, queries, statistics
from artesian.embedded.gateway.actions_domain import (
    DOMAIN_ACTIONS,
    FAULT_SET_ACTIONS,
    create_domain,
    create_fault_set,
)
from artesian.embedded.gateway.actions_pool import POOL_ACTIONS, create_pool
from artesian.embedded.gateway.actions_server import (
    DEVICE_ACTIONS,
    SERVER_ACTIONS,
    create_device,
    create_server,
)
from artesian.embedded.gateway.actions_system import (
    CLIENT_ACTIONS,
    SYSTEM_ACTIONS,
    USER_ACTIONS,
    create_user,
)
from artesian.embedded.gateway.actions_volume import VOLUME_ACTIONS, create_volume
from artesian.embedded.gateway.context import Context, Creator, Handler
from artesian.embedded.gateway.failures import unknown_url, unsupported
from artesian.embedded.gateway.rates import Rates
from artesian.embedded.gateway.urls import Form, Target
from artesian.embedded.gateway.values import Parameters
from artesian.embedded.gateway.view import View

_ACTIONS: Mapping[str, Mapping[str, Handler]] = {
    "System": SYSTEM_ACTIONS,
    "ProtectionDomain": DOMAIN_ACTIONS,
    "FaultSet": FAULT_SET_ACTIONS,
    "StoragePool": POOL_ACTIONS,
    "Sds": SERVER_ACTIONS,
    "Device": DEVICE_ACTIONS,
    "Volume": VOLUME_ACTIONS,
    "VTree": {},
    "Sdc": CLIENT_ACTIONS,
    "User": USER_ACTIONS,
}

_CREATORS: Mapping[str, Creator] = {
    "ProtectionDomain": create_domain,
    "FaultSet": create_fault_set,
    "StoragePool": create_pool,
    "Sds": create_server,
    "Device": create_device,
    "Volume": create_volume,
    "User": create_user,
}

# PowerFlex has these; here they are refused with a clear text rather than as unknown.
_UNSUPPORTED: Mapping[str, frozenset[str]] = {
    "System": frozenset(
        {
            "addStandbyMdm",
            "changeMdmOwnership",
            "createMdmCluster",
            "createSnapshot",
            "createThinClone",
            "modifyVirtualIpInterfaces",
            "removeConsistencyGroupSnapshots",
            "removeStandbyMdm",
            "renameMdm",
            "setApprovedSdcIps",
            "snapshotVolumes",
            "switchClusterMode",
        }
    ),
    "Sds": frozenset({"enterProtectedMaintenanceMode", "exitProtectedMaintenanceMode"}),
    "Volume": frozenset(
        {
            "addMappedHost",
            "lockAutoSnapshot",
            "migrateVTree",
            "overwriteVolumeContent",
            "refresh",
            "removeMappedHost",
            "restore",
            "setSnapshotSecurity",
            "unlockAutoSnapshot",
        }
    ),
}


async def answer(context: Context, method: str, target: Target, parameters: Parameters) -> Any:
    """The body of the answer to an authorised request. Raises ApiError, and what commands raise."""
    view = context.view
    match target.form:
        case Form.EVERYTHING:
            return objects.everything(view)
        case Form.TYPE if method == "POST":
            return {"id": await _create(context, target.type_name, parameters)}
        case Form.TYPE:
            return objects.list_type(view, target.type_name)
        case Form.OBJECT:
            kind = objects.object_type(target.type_name)
            return kind.render(view, kind.get(view, _id(target)))
        case Form.RELATIONSHIP if target.name == "Statistics":
            compute = partial(statistics.of_object, type_name=target.type_name, object_id=_id(target))
            return await _measure(context, compute)
        case Form.RELATIONSHIP:
            return objects.related(view, target.type_name, _id(target), target.name)
        case Form.LOOKUP:
            return queries.lookup(view, target.type_name, target.name, target.keys)
        case Form.STATISTICS:
            return await _measure(context, partial(statistics.selected_of_types, parameters=parameters))
        case Form.TYPE_ACTION:
            return await _type_action(context, target, parameters)
        case Form.OBJECT_ACTION:
            return await _object_action(context, target, parameters)
    raise unknown_url()


def _id(target: Target) -> str:
    if target.object_id is None:
        raise unknown_url()
    return target.object_id


async def _create(context: Context, type_name: str, parameters: Parameters) -> str:
    creator = _CREATORS.get(type_name)
    if creator is not None:
        return await creator(context, parameters)
    if type_name in objects.TYPES or type_name in objects.ABSENT_TYPES:
        raise unsupported(f"Creating a {type_name}")
    raise unknown_url()


async def _type_action(context: Context, target: Target, parameters: Parameters) -> Any:
    match target.name:
        case "queryIdByKey":
            return queries.id_by_key(context.view, target.type_name, parameters)
        case "queryBySelectedIds":
            return queries.selected(context.view, target.type_name, parameters)
        case "querySelectedStatistics":
            compute = partial(statistics.selected, type_name=target.type_name, parameters=parameters)
            return await _measure(context, compute)
        case "queryAllApprovedSdc" if target.type_name == "Sdc":
            return objects.list_type(context.view, "Sdc")
        case _:
            raise unknown_url()


async def _object_action(context: Context, target: Target, parameters: Parameters) -> Any:
    type_name, action = target.type_name, target.name
    object_id = target.object_id
    if object_id is None:  # only the System, of which there is one
        if type_name != "System":
            raise unknown_url()
        object_id = context.view.state.system_id
    objects.object_type(type_name).get(context.view, object_id)
    if action in _UNSUPPORTED.get(type_name, ()):
        raise unsupported(action)
    handler = _ACTIONS[type_name].get(action)
    if handler is None:
        raise unknown_url()
    result = await handler(context, object_id, parameters)
    return {} if result is None else result


async def _measure(context: Context, compute: Callable[[View, Rates], Any]) -> Any:
    """Statistics of a large engine take a while: beside the event loop, on a state that nobody changes."""
    rates = context.rates.rates(context.view)
    return await asyncio.to_thread(compute, context.view, rates)
