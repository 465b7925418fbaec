"""Whether a command was carried out although its answer was lost with the connection.

Setters may simply be sent again. What creates, removes, maps or unmaps would be refused the second time,
so it is looked up whether the engine already is as the command wanted it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from artesian.embedded.state.model import Lifecycle, State

# Command → the collection of what it creates, and the fields that tell what was asked for.
_CREATES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "add_protection_domain": ("protection_domains", ("name",)),
    "add_fault_set": ("fault_sets", ("protection_domain_id", "name")),
    "add_storage_pool": ("storage_pools", ("protection_domain_id", "name")),
    "add_server": ("servers", ("protection_domain_id", "ips", "port")),
    "add_device": ("devices", ("server_id", "path")),
    "add_volume": ("volumes", ("name",)),
    "add_user": ("users", ("name",)),
}

# Command → the collection of what it removes, and the argument with the id.
_REMOVES: Mapping[str, tuple[str, str]] = {
    "remove_protection_domain": ("protection_domains", "protection_domain_id"),
    "remove_fault_set": ("fault_sets", "fault_set_id"),
    "remove_storage_pool": ("storage_pools", "storage_pool_id"),
    "remove_server": ("servers", "server_id"),
    "remove_device": ("devices", "device_id"),
    "remove_volume": ("volumes", "volume_id"),
    "remove_client": ("clients", "client_id"),
    "remove_user": ("users", "user_id"),
}


def may_repeat(name: str) -> bool:
    """Whether sending the command twice does the same as sending it once."""
    return name not in _CREATES and name not in _REMOVES and name not in ("map_volume", "unmap_volume")


def result_if_done(name: str, args: Mapping[str, Any], before: State, after: State) -> dict[str, Any] | None:
    """The command's result if the engine has become what it wanted since `before`; None if it has not."""
    if name in _CREATES:
        collection, fields = _CREATES[name]
        if any(args.get(field) is None for field in fields):
            return None  # nothing to recognise it by
        known = getattr(before, collection)
        for object_id, one in getattr(after, collection).items():
            if object_id not in known and all(getattr(one, field) == args[field] for field in fields):
                return {"id": object_id}
        return None
    if name in _REMOVES:
        collection, argument = _REMOVES[name]
        one = getattr(after, collection).get(args[argument])
        gone = one is None or getattr(one, "lifecycle", None) is Lifecycle.REMOVING
        return {} if gone else None
    volume = after.volumes.get(args["volume_id"])
    if volume is None:
        return None
    client_id = args.get("client_id")
    mapped = bool(volume.mappings) if client_id is None else client_id in volume.mappings
    return {} if mapped == (name == "map_volume") else None
