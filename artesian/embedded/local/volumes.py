"""Volumes and their mappings, by the names that people use; through the gateway."""

from __future__ import annotations

from typing import Any

from artesian.embedded.errors import ConfigError
from artesian.embedded.local.engine import LocalEngine
from artesian.embedded.local.errors import NotThere
from artesian.embedded.local.layout import POOL
from artesian.embedded.state.model import Client, Mapping, State, Volume

GIB = 1 << 30
_QUERY_TIMEOUT_S = 10.0


def create(engine: LocalEngine, name: str, size_bytes: int, *, thick: bool, pool: str = POOL) -> str:
    """Create a volume; its id. Raises ConfigError for a size off the grid, RestRefused."""
    _check_size(size_bytes)
    with engine.gateway() as gateway:
        parameters = {
            "name": name,
            "storagePoolId": gateway.named("StoragePool", pool)["id"],
            "volumeSizeInKb": str(size_bytes // 1024),
            "volumeType": "ThickProvisioned" if thick else "ThinProvisioned",
        }
        return gateway.create("Volume", parameters)


def grow(engine: LocalEngine, name: str, size_bytes: int) -> str:
    """Give a volume a new, larger size; its id."""
    _check_size(size_bytes)
    return _act(engine, name, "setVolumeSize", {"sizeInGB": str(size_bytes // GIB)})


def rename(engine: LocalEngine, name: str, new_name: str) -> str:
    """Give a volume another name; its id."""
    return _act(engine, name, "setVolumeName", {"newName": new_name})


def delete(engine: LocalEngine, name: str) -> str:
    """Delete a volume that is mapped to nobody, and all its data; its id."""
    return _act(engine, name, "removeVolume", {"removeMode": "ONLY_ME"})


def map_to_node(engine: LocalEngine, name: str, node: int, *, read_only: bool) -> str:
    """Give a node the right to use a volume; the volume's id."""
    parameters = {
        "guid": engine.description.node(node).guid,
        "accessMode": "ReadOnly" if read_only else "ReadWrite",
        "allowMultipleMappings": "true",
    }
    return _act(engine, name, "addMappedSdc", parameters)


def unmap_from_node(engine: LocalEngine, name: str, node: int) -> str:
    """Take the right away: the node's client is fenced; the volume's id."""
    return _act(engine, name, "removeMappedSdc", {"guid": engine.description.node(node).guid})


def find_mapping(engine: LocalEngine, name: str, node: int) -> tuple[Volume, Mapping]:
    """A volume and its mapping to a node, as the managers have it. Raises NotThere."""
    from artesian.embedded.local import managers  # slow to load, and not always needed

    state, _ = managers.query(engine.description.manager_addresses, engine.secret, _QUERY_TIMEOUT_S)
    volume = find(state, name)
    client = _client(state, engine.description.node(node).guid)
    mapping = volume.mappings.get(client.id) if client is not None else None
    if mapping is None:
        raise NotThere(f"volume {volume.name!r} is not mapped to node {node}")
    return volume, mapping


def find(state: State, name: str) -> Volume:
    """The volume with this name or id. Raises NotThere."""
    for volume in state.volumes.values():
        if name in (volume.name, volume.id):
            return volume
    raise NotThere(f"there is no volume named {name!r}")


def _client(state: State, guid: str) -> Client | None:
    return next((client for client in state.clients.values() if client.guid == guid), None)


def _act(engine: LocalEngine, name: str, action: str, parameters: dict[str, Any]) -> str:
    with engine.gateway() as gateway:
        volume_id = str(gateway.named("Volume", name)["id"])
        gateway.act("Volume", volume_id, action, parameters)
        return volume_id


def _check_size(size_bytes: int) -> None:
    if size_bytes <= 0 or size_bytes % GIB:
        above = max(1, -(-size_bytes // GIB))
        raise ConfigError(f"the size of a volume is a multiple of 1 GiB; the next one is {above}GiB")
