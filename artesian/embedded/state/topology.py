"""Commands on protection domains, fault sets, storage pools and servers."""

from __future__ import annotations

from typing import Any

from artesian.embedded.state.model import (
    FaultSet,
    Lifecycle,
    ProtectionDomain,
    RebuildPolicy,
    Server,
    Slice,
    State,
    StoragePool,
)
from artesian.embedded.state.refusals import (
    ADDRESS_IN_USE,
    DOMAIN_HAS_FAULT_SETS,
    DOMAIN_HAS_POOLS,
    DOMAIN_HAS_SERVERS,
    DOMAIN_NAME_IN_USE,
    DOMAIN_NOT_FOUND,
    FAULT_SET_NAME_IN_USE,
    FAULT_SET_NOT_EMPTY,
    FAULT_SET_NOT_FOUND,
    POOL_HAS_DEVICES,
    POOL_HAS_VOLUMES,
    POOL_NAME_IN_USE,
    POOL_NOT_FOUND,
    SERVER_NAME_IN_USE,
    SERVER_NOT_FOUND,
    WRONG_DOMAIN,
    WRONG_PARAMETERS,
    check_choice,
    check_name,
    check_range,
    find,
    free_name,
    new_id,
    refuse,
)

MEDIA_TYPES = ("HDD", "SSD", "Transitional")
MAX_SLICES = 1 << 16
IP_ROLES = ("all", "sdsOnly", "sdcOnly")


def _domain(state: State, domain_id: str) -> ProtectionDomain:
    return find(state.protection_domains, domain_id, DOMAIN_NOT_FOUND, "Could not find the Protection Domain")


def add_protection_domain(state: State, *, random: str, name: str) -> dict[str, Any]:
    taken = (domain.name for domain in state.protection_domains.values())
    check_name(name, taken, DOMAIN_NAME_IN_USE, "Protection Domain")
    domain_id = new_id(state, random)
    state.protection_domains[domain_id] = ProtectionDomain(domain_id, name)
    return {"id": domain_id}


def rename_protection_domain(state: State, *, protection_domain_id: str, name: str) -> dict[str, Any]:
    domain = _domain(state, protection_domain_id)
    taken = (other.name for other in state.protection_domains.values() if other is not domain)
    check_name(name, taken, DOMAIN_NAME_IN_USE, "Protection Domain")
    domain.name = name
    return {}


def set_protection_domain_active(state: State, *, protection_domain_id: str, active: bool) -> dict[str, Any]:
    """Inactive: its volumes are not served."""
    domain = _domain(state, protection_domain_id)
    domain.active = active
    for pool in state.storage_pools.values():
        if pool.protection_domain_id == protection_domain_id:
            for one in pool.slices:
                one.version = state.version + 1
    return {}


def remove_protection_domain(state: State, *, protection_domain_id: str) -> dict[str, Any]:
    _domain(state, protection_domain_id)
    if any(one.protection_domain_id == protection_domain_id for one in state.storage_pools.values()):
        refuse(DOMAIN_HAS_POOLS, "The Protection Domain still has Storage Pools")
    if any(one.protection_domain_id == protection_domain_id for one in state.servers.values()):
        refuse(DOMAIN_HAS_SERVERS, "The Protection Domain still has SDSs")
    if any(one.protection_domain_id == protection_domain_id for one in state.fault_sets.values()):
        refuse(DOMAIN_HAS_FAULT_SETS, "The Protection Domain still has Fault Sets")
    del state.protection_domains[protection_domain_id]
    return {}


def _fault_set(state: State, fault_set_id: str) -> FaultSet:
    return find(state.fault_sets, fault_set_id, FAULT_SET_NOT_FOUND, "Could not find the Fault Set")


def _fault_set_names(state: State, domain_id: str, but: FaultSet | None = None) -> list[str]:
    return [
        one.name
        for one in state.fault_sets.values()
        if one.protection_domain_id == domain_id and one is not but
    ]


def add_fault_set(state: State, *, random: str, protection_domain_id: str, name: str) -> dict[str, Any]:
    _domain(state, protection_domain_id)
    check_name(name, _fault_set_names(state, protection_domain_id), FAULT_SET_NAME_IN_USE, "Fault Set")
    fault_set_id = new_id(state, random)
    state.fault_sets[fault_set_id] = FaultSet(fault_set_id, name, protection_domain_id)
    return {"id": fault_set_id}


def rename_fault_set(state: State, *, fault_set_id: str, name: str) -> dict[str, Any]:
    fault_set = _fault_set(state, fault_set_id)
    taken = _fault_set_names(state, fault_set.protection_domain_id, fault_set)
    check_name(name, taken, FAULT_SET_NAME_IN_USE, "Fault Set")
    fault_set.name = name
    return {}


def remove_fault_set(state: State, *, fault_set_id: str) -> dict[str, Any]:
    _fault_set(state, fault_set_id)
    if any(server.fault_set_id == fault_set_id for server in state.servers.values()):
        refuse(FAULT_SET_NOT_EMPTY, "The Fault Set still has SDSs")
    del state.fault_sets[fault_set_id]
    return {}


def _pool(state: State, pool_id: str) -> StoragePool:
    return find(state.storage_pools, pool_id, POOL_NOT_FOUND, "Could not find the Storage Pool")


def _pool_names(state: State, domain_id: str, but: StoragePool | None = None) -> list[str]:
    return [
        one.name
        for one in state.storage_pools.values()
        if one.protection_domain_id == domain_id and one is not but
    ]


def add_storage_pool(
    state: State,
    *,
    random: str,
    protection_domain_id: str,
    name: str,
    media_type: str = "HDD",
    slice_count: int = 1024,
    attributes: dict[str, Any] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """`settings`: those of `modify_storage_pool`."""
    _domain(state, protection_domain_id)
    check_name(name, _pool_names(state, protection_domain_id), POOL_NAME_IN_USE, "Storage Pool")
    check_choice(media_type, MEDIA_TYPES, "mediaType")
    check_range(slice_count, 1, MAX_SLICES, "The number of slices")
    if slice_count & (slice_count - 1):
        refuse(WRONG_PARAMETERS, "The number of slices must be a power of two")
    checked = _check_settings(settings)
    pool_id = new_id(state, random)
    pool = StoragePool(pool_id, name, protection_domain_id, media_type, attributes=attributes or {})
    pool.slices = [Slice(version=state.version + 1) for _ in range(slice_count)]
    for key, value in checked.items():
        setattr(pool, key, value)
    state.storage_pools[pool_id] = pool
    return {"id": pool_id}


def modify_storage_pool(
    state: State,
    *,
    storage_pool_id: str,
    name: str | None = None,
    media_type: str | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Settings: spare_percentage, {rebuild,rebalance}_{enabled,policy,concurrency,limit_bytes_per_s}."""
    pool = _pool(state, storage_pool_id)
    if name is not None:
        taken = _pool_names(state, pool.protection_domain_id, pool)
        check_name(name, taken, POOL_NAME_IN_USE, "Storage Pool")
    if media_type is not None:
        check_choice(media_type, MEDIA_TYPES, "mediaType")
    checked = _check_settings(settings)
    pool.name = name or pool.name
    pool.media_type = media_type or pool.media_type
    for key, value in checked.items():
        setattr(pool, key, value)
    return {}


def _check_settings(settings: dict[str, Any]) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    for key, value in settings.items():
        if key == "spare_percentage":
            check_range(value, 0, 99, "sparePercentage")
        elif key in ("rebuild_enabled", "rebalance_enabled"):
            if not isinstance(value, bool):
                refuse(WRONG_PARAMETERS, f"{key} must be true or false")
        elif key in ("rebuild_policy", "rebalance_policy"):
            check_choice(value, [policy.value for policy in RebuildPolicy], "policy")
            value = RebuildPolicy(value)
        elif key in ("rebuild_concurrency", "rebalance_concurrency"):
            check_range(value, 1, 20, "The number of concurrent copies")
        elif key in ("rebuild_limit_bytes_per_s", "rebalance_limit_bytes_per_s"):
            check_range(value, 0, 1 << 50, "The bandwidth limit")
        else:
            refuse(WRONG_PARAMETERS, f"A Storage Pool has no setting {key}")
        checked[key] = value
    return checked


def remove_storage_pool(state: State, *, storage_pool_id: str) -> dict[str, Any]:
    _pool(state, storage_pool_id)
    if any(volume.storage_pool_id == storage_pool_id for volume in state.volumes.values()):
        refuse(POOL_HAS_VOLUMES, "The Storage Pool still has volumes")
    if any(device.storage_pool_id == storage_pool_id for device in state.devices.values()):
        refuse(POOL_HAS_DEVICES, "The Storage Pool still has devices")
    del state.storage_pools[storage_pool_id]
    return {}


def server_of(state: State, server_id: str) -> Server:
    """The server, or PowerFlex' refusal."""
    return find(state.servers, server_id, SERVER_NOT_FOUND, "Could not find SDS")


def _check_ips(state: State, ips: list[dict[str, str]], port: int, but: Server | None = None) -> None:
    check_range(port, 1, 65535, "The port")
    if not ips or not all(isinstance(entry, dict) and entry.get("ip") for entry in ips):
        refuse(WRONG_PARAMETERS, "An SDS needs at least one IP address")
    for entry in ips:
        check_choice(entry.get("role", "all"), IP_ROLES, "role")
    roles = {entry.get("role", "all") for entry in ips}
    if "all" not in roles and roles != {"sdsOnly", "sdcOnly"}:
        refuse(WRONG_PARAMETERS, "An SDS needs an IP address for all, or one for SDSs and one for SDCs")
    mine = {(entry["ip"], port) for entry in ips}
    for server in state.servers.values():
        if server is not but and mine & {(entry["ip"], server.port) for entry in server.ips}:
            refuse(ADDRESS_IN_USE, "The SDS IP address and port already in use")


def add_server(
    state: State,
    *,
    random: str,
    protection_domain_id: str,
    ips: list[dict[str, str]],
    port: int = 7072,
    name: str | None = None,
    fault_set_id: str | None = None,
    attributes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    _domain(state, protection_domain_id)
    taken = {server.name for server in state.servers.values()}
    check_name(name, taken, SERVER_NAME_IN_USE, "SDS", optional=True)
    if fault_set_id is not None:
        fault_set = _fault_set(state, fault_set_id)
        if fault_set.protection_domain_id != protection_domain_id:
            refuse(WRONG_DOMAIN, "The Fault Set is not in this Protection Domain")
    _check_ips(state, ips, port)
    server_id = new_id(state, random)
    entries = [{"ip": entry["ip"], "role": entry.get("role", "all")} for entry in ips]
    state.servers[server_id] = Server(
        server_id, name or free_name(f"SDS_{entries[0]['ip']}", taken), protection_domain_id, fault_set_id,
        entries, port, attributes=attributes or {},
    )  # fmt: skip
    return {"id": server_id}


def rename_server(state: State, *, server_id: str, name: str) -> dict[str, Any]:
    server = server_of(state, server_id)
    taken = (other.name for other in state.servers.values() if other is not server)
    check_name(name, taken, SERVER_NAME_IN_USE, "SDS")
    server.name = name
    return {}


def set_server_ips(state: State, *, server_id: str, ips: list[dict[str, str]]) -> dict[str, Any]:
    server = server_of(state, server_id)
    _check_ips(state, ips, server.port, server)
    server.ips = [{"ip": entry["ip"], "role": entry.get("role", "all")} for entry in ips]
    return {}


def set_server_port(state: State, *, server_id: str, port: int) -> dict[str, Any]:
    server = server_of(state, server_id)
    _check_ips(state, server.ips, port, server)
    server.port = port
    return {}


def server_emptied(state: State, *, server_id: str) -> dict[str, Any]:
    """A server that is being removed and has no devices left goes away."""
    server = state.servers.get(server_id)
    if server is None:
        return {}
    if server.lifecycle is not Lifecycle.REMOVING:
        refuse(WRONG_PARAMETERS, "The SDS is not being removed")
    if any(device.server_id == server_id for device in state.devices.values()):
        refuse(WRONG_PARAMETERS, "The SDS still has devices")
    del state.servers[server_id]
    return {}
