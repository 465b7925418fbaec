"""What users ask of nodes and their disks, as changes of the state.

Every function gives a state out of a state, or raises NotThere, Conflict or NotPossible, and then nothing has
changed.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from artesian.model.disk import Tombstone
from artesian.model.errors import Conflict, NotPossible, NotThere
from artesian.model.names import device_name, server_name
from artesian.model.observation import Observation
from artesian.model.state import FrameworkState, with_item
from artesian.strategy.managers import too_few_nodes_without


def remove_node(state: FrameworkState, seen: Observation, name: str) -> FrameworkState:
    """Take a node out: its data moves away first."""
    known_node(state, seen, name)
    too_few = too_few_nodes_without(name, state, seen)
    if too_few is not None:
        raise NotPossible(f"without node {name} {too_few}")
    _check_copies_fit(state, seen, name)
    users = sorted(wish.name for wish in state.volumes.values() if wish.node == name and not wish.deleted)
    if users:
        raise Conflict(f"volume {', '.join(users)} is on node {name}: move or detach it first")
    return state.with_node(name, leaving=True, in_maintenance=False, drained=False)


def _check_copies_fit(state: FrameworkState, seen: Observation, name: str) -> None:
    """What is in a pool needs two servers among those that stay."""
    engine = seen.engine
    for pool in engine.pools if engine is not None else ():
        servers = (
            {device.server for device in engine.devices if device.pool == pool.name} if engine else set()
        )
        leaving = {
            server_name(node, pool.name.domain)
            for node, record in state.nodes.items()
            if node == name or record.leaving
        }
        if pool.used_bytes and len(servers) > 1 >= len(servers - leaving) and leaving & servers:
            raise NotPossible(
                f"without node {name} all disks of pool {pool.name} would be on one node, and there would be "
                "one copy only of what is in it"
            )


def add_node(state: FrameworkState, seen: Observation, name: str) -> FrameworkState:
    """Use a node (again)."""
    if seen.node(name) is None:
        raise NotThere(f"there is no node {name}; there are {_names(seen)}")
    return state.with_node(name, leaving=False)


def maintain_node(
    state: FrameworkState, seen: Observation, name: str, *, in_maintenance: bool
) -> FrameworkState:
    """Put a node in maintenance, or take it out. What somebody has asked for lasts until somebody ends it."""
    known_node(state, seen, name)
    if in_maintenance and state.node(name).leaving:
        raise Conflict(f"node {name} is being removed")
    if not in_maintenance and state.node(name).drained:
        raise Conflict(f"node {name} is drained, and stays in maintenance until whoever does that ends it")
    users = sorted(wish.name for wish in state.volumes.values() if wish.node == name and not wish.deleted)
    if in_maintenance and users:
        raise Conflict(f"volume {', '.join(users)} is on node {name}: move or detach it first")
    return state.with_node(name, in_maintenance=in_maintenance, drained=False)


def remove_disk(state: FrameworkState, seen: Observation, node: str, disk: str) -> FrameworkState:
    """Take a disk out of its pool, named by its path, its last part, or its identity; it does not come back
    by itself."""
    identity = find_disk(state, seen, node, disk)
    if identity in state.tombstones:
        return state
    tombstone = Tombstone(identity, "somebody has removed it")
    tombstones = with_item(state.tombstones, identity, tombstone)
    return replace(state, tombstones=tombstones, approval=None)  # what was agreed to did not know of this


def return_disk(state: FrameworkState, seen: Observation, node: str, disk: str) -> FrameworkState:
    """Let a disk be taken again that was removed, if it is free, or be used again whose device has failed."""
    identity = find_disk(state, seen, node, disk)
    claim = state.claims.get(identity)
    if identity not in state.tombstones:
        if claim is None or not _has_failed(seen, identity):
            raise Conflict(f"{disk} of node {node} has neither been removed nor failed")
        return replace(state, claims=with_item(state.claims, identity, replace(claim, try_again=True)))
    if claim is not None:
        raise Conflict(f"{disk} of node {node} is still being removed")
    left = {key: value for key, value in state.tombstones.items() if key != identity}
    return replace(state, tombstones=MappingProxyType(left))


def _has_failed(seen: Observation, identity: str) -> bool:
    devices = seen.engine.devices if seen.engine is not None else ()
    return any(one.failed and one.name == device_name(identity) for one in devices)


def find_disk(state: FrameworkState, seen: Observation, node: str, disk: str) -> str:
    """The identity of a node's disk. Raises NotThere."""
    found = seen.node(node)
    for one in found.disks if found is not None else ():
        if one.identity is not None and (
            disk == one.identity or one.is_called(disk) or one.path.endswith(f"/{disk}")
        ):
            return one.identity
    for identity, claim in state.claims.items():
        if claim.node == node and disk in (identity, claim.path, claim.path.rpartition("/")[2]):
            return identity
    raise NotThere(f"node {node} has no disk {disk}; look at: artesian disk list")


def known_node(state: FrameworkState, seen: Observation, name: str) -> None:
    """Raises NotThere for a node that is not in use."""
    if name not in state.nodes:
        raise NotThere(f"there is no node {name} in use; there are {_names(seen)}")


def _names(seen: Observation) -> str:
    return ", ".join(node.name for node in seen.nodes) or "none"
