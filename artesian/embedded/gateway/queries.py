"""Finding objects by name, address and key, in all the ways that clients of different ages use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from artesian.embedded.gateway import failures
from artesian.embedded.gateway.failures import ApiError
from artesian.embedded.gateway.objects import ABSENT_TYPES, TYPES, object_type
from artesian.embedded.gateway.values import Parameters
from artesian.embedded.gateway.view import View
from artesian.embedded.state.refusals import NOT_FOUND

_OLD_NAMES = {"Domain": "ProtectionDomain", "Pool": "StoragePool", "Client": "Sdc"}


def lookup(view: View, type_name: str, by: str, keys: tuple[str, ...]) -> str:
    """The id behind `getByName::KEY` or `getByIp::KEY`. Raises ApiError with the type's not-found code."""
    kind = object_type(_OLD_NAMES.get(type_name, type_name))
    finders: dict[tuple[str, str], Callable[[View, str], str | None]] = {
        ("ProtectionDomain", "getByName"): lambda view, key: _named(
            view.state.protection_domains.values(), key
        ),
        ("StoragePool", "getByName"): _pool_by_domain_and_name,
        ("Volume", "getByName"): lambda view, key: _named(view.state.volumes.values(), key),
        ("Sdc", "getByName"): lambda view, key: _named(view.state.clients.values(), key),
        ("Sdc", "getByIp"): lambda view, key: _client(view, "ip", key),
        ("Sds", "getByName"): lambda view, key: _named(view.state.servers.values(), key),
    }
    find = finders.get((kind.name, by))
    if find is None:
        raise failures.unknown_url()
    for key in keys:
        found = find(view, key)
        if found is not None:
            return found
    raise kind.missing()


def id_by_key(view: View, type_name: str, parameters: Parameters) -> str:
    """The id of the one object with this key. Raises ApiError if it is missing or no key is given."""
    if type_name in ABSENT_TYPES:
        raise ApiError(500, "Not found", NOT_FOUND)
    kind = object_type(type_name)
    found = _by_key(view, type_name, parameters)
    if found is not None:
        return found
    if type_name == "Volume":  # clients take exactly this text for "no such volume"
        raise ApiError(500, "Not found", NOT_FOUND)
    raise kind.missing()


def _by_key(view: View, type_name: str, parameters: Parameters) -> str | None:
    state = view.state
    match type_name:
        case "Volume":
            return _named(state.volumes.values(), parameters.required_text("name"))
        case "ProtectionDomain":
            return _named(state.protection_domains.values(), parameters.required_text("name"))
        case "StoragePool":
            pools = view.relations.pools_of_domain.get(_domain(view, parameters), [])
            return _named(pools, parameters.required_text("name"))
        case "FaultSet":
            fault_sets = view.relations.fault_sets_of_domain.get(_domain(view, parameters), [])
            return _named(fault_sets, parameters.required_text("name"))
        case "Sds":
            return _named(state.servers.values(), parameters.required_text("name"))
        case "Device":
            return _named(state.devices.values(), parameters.required_text("name"))
        case "User":
            return _named(state.users.values(), parameters.required_text("name"))
        case "Sdc":
            return _client_by_key(view, parameters)
        case _:
            raise failures.unknown_url()


def _client_by_key(view: View, parameters: Parameters) -> str | None:
    for field in ("ip", "guid", "name"):
        value = parameters.text(field)
        if value is not None:
            return _client(view, field, value)
    raise failures.missing_one_of("ip", "guid", "name")


def _client(view: View, field: str, value: str) -> str | None:
    wanted = value.upper()
    for client in view.state.clients.values():
        found = {"ip": client.ip, "guid": client.guid, "name": client.name}[field]
        if found == value or (field == "guid" and client.guid.upper() == wanted):
            return client.id
    return None


def _domain(view: View, parameters: Parameters) -> str:
    """The protection domain by id or by name. Raises ApiError if it is missing or neither is given."""
    domain_id = parameters.identifier("protectionDomainId")
    if domain_id is None:
        name = parameters.text("protectionDomainName")
        if name is None:
            raise failures.missing_one_of("protectionDomainId", "protectionDomainName")
        domain_id = _named(view.state.protection_domains.values(), name)
    if domain_id is None or domain_id not in view.state.protection_domains:
        raise TYPES["ProtectionDomain"].missing()
    return domain_id


def _pool_by_domain_and_name(view: View, key: str) -> str | None:
    domain_id, separator, name = key.partition(",")
    if not separator:
        raise failures.bad_request("The key of a pool is <protection domain id>,<name>")
    return _named(view.relations.pools_of_domain.get(domain_id.lower(), []), name)


def _named(objects: Iterable[Any], name: str) -> str | None:
    return next((one.id for one in objects if one.name == name), None)


def selected(view: View, type_name: str, parameters: Parameters) -> list[dict[str, Any]]:
    """The objects of these ids, in their order. Raises ApiError if one is missing."""
    kind = object_type(type_name)
    if "ids" not in parameters:
        raise failures.missing_parameters("ids")
    return [kind.render(view, kind.get(view, one)) for one in parameters.identifiers("ids")]


_LIMITS = (
    # type, smallest, largest, what it is
    ("volumeSizeGb", "1", "1048576", "Volume size in GB"),
    ("capacityAlertThreshold", "0", "100", "Percentage of a capacity alert threshold"),
    ("sparePercentage", "0", "99", "Spare percentage of a storage pool"),
)


def system_limits() -> dict[str, Any]:
    """The answer to querySystemLimits; numbers are texts there."""
    return {
        "systemLimitEntryList": [
            {"type": name, "minVal": smallest, "maxVal": largest, "description": description}
            for name, smallest, largest, description in _LIMITS
        ]
    }
