"""The object types that clients can list, read and follow relations of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from artesian.embedded.gateway import render_backend, render_system, render_volumes
from artesian.embedded.gateway.failures import ApiError, unknown_url
from artesian.embedded.gateway.view import View
from artesian.embedded.state import refusals

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ObjectType:
    """One type: its objects by id, how one looks, its relationships, and the error for an unknown id."""

    name: str
    objects: Callable[[View], Mapping[str, Any]]
    render: Callable[[View, Any], Json]
    missing_code: int
    missing_message: str
    relationships: Mapping[str, Callable[[View, Any], list[Json]]] = field(default_factory=dict)
    list_name: str = ""  # its key in the answer to GET /api/instances

    def get(self, view: View, object_id: str) -> Any:
        """The object. Raises ApiError with the type's not-found code."""
        found = self.objects(view).get(object_id)
        if found is None:
            raise self.missing()
        return found

    def missing(self) -> ApiError:
        return ApiError(500, self.missing_message, self.missing_code)

    def render_all(self, view: View) -> list[Json]:
        return [self.render(view, one) for one in self.objects(view).values()]


def _vtrees(view: View) -> Mapping[str, Any]:
    return view.relations.volumes_of_vtree


def _clients(view: View) -> list[Json]:
    return [render_volumes.sdc(view, client) for client in view.state.clients.values()]


def _domains(view: View) -> list[Json]:
    return [render_system.protection_domain(view, one) for one in view.state.protection_domains.values()]


def _users(view: View) -> list[Json]:
    return [render_system.user(view, one) for one in view.state.users.values()]


def _servers_of_domain(view: View, domain: Any) -> list[Json]:
    servers = view.relations.servers_of_domain.get(domain.id, [])
    return [render_backend.sds(view, server) for server in servers]


def _pools_of_domain(view: View, domain: Any) -> list[Json]:
    pools = view.relations.pools_of_domain.get(domain.id, [])
    return [render_backend.storage_pool(view, pool) for pool in pools]


def _fault_sets_of_domain(view: View, domain: Any) -> list[Json]:
    fault_sets = view.relations.fault_sets_of_domain.get(domain.id, [])
    return [render_system.fault_set(view, fault_set) for fault_set in fault_sets]


def _servers_of_fault_set(view: View, fault_set: Any) -> list[Json]:
    servers = view.relations.servers_of_fault_set.get(fault_set.id, [])
    return [render_backend.sds(view, server) for server in servers]


def _devices_of_server(view: View, server: Any) -> list[Json]:
    devices = view.relations.devices_of_server.get(server.id, [])
    return [render_backend.device(view, device) for device in devices]


def _devices_of_pool(view: View, pool: Any) -> list[Json]:
    devices = view.relations.devices_of_pool.get(pool.id, [])
    return [render_backend.device(view, device) for device in devices]


def _servers_of_pool(view: View, pool: Any) -> list[Json]:
    servers = view.relations.servers_of_pool(pool.id)
    return [render_backend.pool_server(view, pool, server) for server in servers]


def _volumes_of_pool(view: View, pool: Any) -> list[Json]:
    volumes = view.relations.volumes_of_pool.get(pool.id, [])
    return [render_volumes.volume(view, volume) for volume in volumes]


def _vtrees_of_pool(view: View, pool: Any) -> list[Json]:
    trees = view.relations.volumes_of_vtree.values()
    return [render_volumes.vtree(view, tree) for tree in trees if tree[0].storage_pool_id == pool.id]


def _volumes_of_vtree(view: View, tree: Any) -> list[Json]:
    return [render_volumes.volume(view, volume) for volume in tree]


def _volumes_of_client(view: View, client: Any) -> list[Json]:
    volumes = view.relations.volumes_of_client.get(client.id, [])
    return [render_volumes.volume(view, volume) for volume in volumes]


_TYPES = (
    ObjectType(
        "System",
        lambda view: {view.state.system_id: view.state},
        lambda view, _state: render_system.system(view),
        refusals.NOT_FOUND,
        "Could not find the system",
        {
            "ProtectionDomain": lambda view, _: _domains(view),
            "Sdc": lambda view, _: _clients(view),
            "User": lambda view, _: _users(view),
        },
        "systemList",
    ),
    ObjectType(
        "ProtectionDomain",
        lambda view: view.state.protection_domains,
        render_system.protection_domain,
        refusals.DOMAIN_NOT_FOUND,
        "Could not find the Protection Domain",
        {
            "StoragePool": _pools_of_domain,
            "Sds": _servers_of_domain,
            "FaultSet": _fault_sets_of_domain,
        },
        "protectionDomainList",
    ),
    ObjectType(
        "FaultSet",
        lambda view: view.state.fault_sets,
        render_system.fault_set,
        refusals.FAULT_SET_NOT_FOUND,
        "Could not find the Fault Set",
        {"Sds": _servers_of_fault_set},
        "faultSetList",
    ),
    ObjectType(
        "Sds",
        lambda view: view.state.servers,
        render_backend.sds,
        refusals.SERVER_NOT_FOUND,
        "Could not find SDS",
        {"Device": _devices_of_server},
        "sdsList",
    ),
    ObjectType(
        "Device",
        lambda view: view.state.devices,
        render_backend.device,
        refusals.DEVICE_NOT_FOUND,
        "Could not find the device",
        list_name="deviceList",
    ),
    ObjectType(
        "StoragePool",
        lambda view: view.state.storage_pools,
        render_backend.storage_pool,
        refusals.POOL_NOT_FOUND,
        "Could not find the Storage Pool",
        {
            "Volume": _volumes_of_pool,
            "Device": _devices_of_pool,
            "VTree": _vtrees_of_pool,
            "SpSds": _servers_of_pool,
        },
        "storagePoolList",
    ),
    ObjectType(
        "Volume",
        lambda view: view.state.volumes,
        render_volumes.volume,
        refusals.VOLUME_NOT_FOUND,
        "Could not find the volume",
        list_name="volumeList",
    ),
    ObjectType(
        "VTree",
        _vtrees,
        render_volumes.vtree,
        refusals.NOT_FOUND,
        "Could not find the VTree",
        {"Volume": _volumes_of_vtree},
        "vTreeList",
    ),
    ObjectType(
        "Sdc",
        lambda view: view.state.clients,
        render_volumes.sdc,
        refusals.CLIENT_NOT_FOUND,
        "Could not find the SDC",
        {"Volume": _volumes_of_client},
        "sdcList",
    ),
    ObjectType(
        "User",
        lambda view: view.state.users,
        render_system.user,
        refusals.NOT_FOUND,
        "Could not find the user",
        list_name="userList",
    ),
)

TYPES: Mapping[str, ObjectType] = {one.name: one for one in _TYPES}

# Types that PowerFlex has and this engine has none of: lists of them are empty.
ABSENT_TYPES = frozenset(
    {
        "AccelerationPool",
        "Alert",
        "Host",
        "PeerMdm",
        "ReplicationConsistencyGroup",
        "ReplicationPair",
        "RfcacheDevice",
        "ScsiInitiator",
        "Sdr",
        "Sdt",
        "SnapshotPolicy",
    }
)
ABSENT_RELATIONSHIPS = frozenset(
    {
        ("ProtectionDomain", "AccelerationPool"),
        ("ProtectionDomain", "ReplicationConsistencyGroup"),
        ("ProtectionDomain", "Sdr"),
        ("ProtectionDomain", "Sdt"),
        ("Sds", "RfcacheDevice"),
        ("System", "PeerMdm"),
        ("System", "ScsiInitiator"),
        ("System", "SnapshotPolicy"),
    }
)


def object_type(name: str) -> ObjectType:
    """The type of this name. Raises ApiError 404; for a type that is always empty, that it has no objects."""
    found = TYPES.get(name)
    if found is not None:
        return found
    if name in ABSENT_TYPES:
        raise ApiError(500, "Not found", refusals.NOT_FOUND)
    raise unknown_url()


def list_type(view: View, name: str) -> list[Json]:
    """All objects of a type. SpSds, the servers' shares in pools, exist in lists only."""
    if name in ABSENT_TYPES:
        return []
    if name == "SpSds":
        return [share for pool in view.state.storage_pools.values() for share in _servers_of_pool(view, pool)]
    return object_type(name).render_all(view)


def related(view: View, type_name: str, object_id: str, relationship: str) -> list[Json]:
    """The related objects. Raises ApiError if there is no such object or relationship."""
    kind = object_type(type_name)
    one = kind.get(view, object_id)
    render = kind.relationships.get(relationship)
    if render is not None:
        return render(view, one)
    if (type_name, relationship) in ABSENT_RELATIONSHIPS:
        return []
    raise unknown_url()


def everything(view: View) -> dict[str, list[Json]]:
    """All objects by type, for GET /api/instances."""
    return {one.list_name: one.render_all(view) for one in _TYPES}
