"""What users ask for, as changes of the state: checked, stored, and made so by the loop.

Every function gives a state out of a state, or raises NotThere, Conflict, NotPossible or SpecError, and then
nothing has changed.
"""

from __future__ import annotations

import re
from dataclasses import replace
from posixpath import normpath
from types import MappingProxyType

from artesian.model.disk import PoolName, Tombstone
from artesian.model.errors import Conflict, NotPossible, NotThere
from artesian.model.names import server_name
from artesian.model.node import NodeState
from artesian.model.observation import Observation
from artesian.model.plan import Consent
from artesian.model.remedy import Remedy, RemedyState
from artesian.model.state import Approval, FrameworkState, Stopping, with_item
from artesian.model.wishes import VolumeWish
from artesian.planner.planning import Decision
from artesian.remedy.checking import read_whole_spec
from artesian.remedy.lifecycle import moved, with_remedy

_VOLUME_NAME = re.compile(r"(?![0-9a-f]{16}$)[A-Za-z0-9][A-Za-z0-9._-]{0,30}")  # and no id
_GIB = 1 << 30
_MOST_BYTES = 1 << 50


def approve(state: FrameworkState, decision: Decision, plan_id: str, who: str) -> FrameworkState:
    """Agree to the plan as it is now, and to no other."""
    if plan_id != decision.plan.id:
        raise Conflict(
            f"the plan is not {plan_id} any more, it is {decision.plan.id}: look at it again and approve that"
        )
    asked = tuple(step.id for step in decision.plan.steps if step.consent is Consent.NEEDED)
    if not asked:
        return state
    return replace(state, approval=Approval(plan_id, asked, who))


def set_spec(state: FrameworkState, text: str) -> FrameworkState:
    """Take another spec. What is claimed stays claimed, and the engine stays the same one."""
    existing = read_whole_spec(text).engine
    engine = state.engine
    if engine is not None and (existing is None) != (engine.adopted is None):
        if engine.adopted is None:
            raise Conflict(
                f"these nodes have an engine of their own, {engine.system_id}, and no other is adopted"
            )
        raise Conflict(
            f"engine {engine.system_id} has been adopted, and the spec does not name it any more: "
            "leave its `engine` section as it is, or take the cluster down with --destroy first"
        )
    if engine is not None and state.engine_seen_once:
        engine = replace(engine, adopted=existing)
    elif existing is not None:
        engine = None  # it has never been used; the plan begins anew
    return replace(state, spec_text=text, engine=engine)


def pause(state: FrameworkState, *, paused: bool) -> FrameworkState:
    """Hold every step back, or no longer."""
    return replace(state, paused=paused)


def stop_everything(state: FrameworkState, stopping: Stopping, *, force: bool = False) -> FrameworkState:
    """Let go of all volumes and end all processes, or begin again.

    `force`: even though others lose the data that these nodes keep for them.
    """
    engine = state.engine
    adopted = engine is not None and engine.adopted is not None
    if stopping is not Stopping.NO and adopted and state.claims and not force:
        assert engine is not None
        nodes = sorted({claim.node for claim in state.claims.values()})
        raise Conflict(
            f"disks of {', '.join(nodes)} are part of engine {engine.system_id}, which others use too: "
            f"let their data move away first, with artesian node remove {nodes[0]}; or use --force"
        )
    return replace(state, stopping=stopping)


# --- nodes and disks


def remove_node(state: FrameworkState, seen: Observation, name: str) -> FrameworkState:
    """Take a node out: its data moves away first."""
    _known_node(state, seen, name)
    _check_managers_fit(state, seen, name)
    _check_copies_fit(state, seen, name)
    users = sorted(wish.name for wish in state.volumes.values() if wish.node == name and not wish.deleted)
    if users:
        raise Conflict(f"volume {', '.join(users)} is on node {name}: move or detach it first")
    return state.with_node(name, leaving=True, in_maintenance=False)


def _check_managers_fit(state: FrameworkState, seen: Observation, name: str) -> None:
    """Each manager needs a node of its own among those that stay."""
    managers = len(state.engine.managers) if state.engine is not None else 0
    staying = [
        node.name
        for node in seen.nodes
        if node.name != name
        and node.state is not NodeState.GONE
        and state.node(node.name).joined
        and not state.node(node.name).leaving
    ]
    if len(staying) < managers:
        raise NotPossible(
            f"without node {name} there would be {len(staying)} nodes, and {managers} managers need as many"
        )


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
    """Put a node in maintenance, or take it out."""
    _known_node(state, seen, name)
    if in_maintenance and state.node(name).leaving:
        raise Conflict(f"node {name} is being removed")
    users = sorted(wish.name for wish in state.volumes.values() if wish.node == name and not wish.deleted)
    if in_maintenance and users:
        raise Conflict(f"volume {', '.join(users)} is on node {name}: move or detach it first")
    return state.with_node(name, in_maintenance=in_maintenance)


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
    """Let a disk that was removed be taken again, if it is free."""
    identity = find_disk(state, seen, node, disk)
    if identity not in state.tombstones:
        raise Conflict(f"{disk} of node {node} has not been removed")
    if identity in state.claims:
        raise Conflict(f"{disk} of node {node} is still being removed")
    left = {key: value for key, value in state.tombstones.items() if key != identity}
    return replace(state, tombstones=MappingProxyType(left))


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


# --- volumes


def create_volume(state: FrameworkState, seen: Observation, wish: VolumeWish) -> FrameworkState:
    """A new volume."""
    if _VOLUME_NAME.fullmatch(wish.name) is None:
        raise NotPossible(
            f"{wish.name!r} is no name for a volume: up to 31 letters, digits, dots, dashes and underscores, "
            "and not 16 hexadecimal digits, as ids are"
        )
    if wish.name in state.volumes:
        raise Conflict(f"there is a volume {wish.name} already")
    if seen.engine is not None and seen.engine.volume(wish.name) is not None:
        raise Conflict(f"the engine has a volume {wish.name} that is not ours")
    if seen.engine is not None and seen.engine.pool(wish.pool) is None:
        known = ", ".join(str(pool.name) for pool in seen.engine.pools) or "none"
        raise NotThere(f"there is no pool {wish.pool}; there are {known}")
    _check_size(wish.size_bytes)
    if wish.node is not None:
        _attachable(state, seen, wish.node)
    _check_mount_path(state, wish)
    return state.with_volume(wish)


def adopt_volume(state: FrameworkState, seen: Observation, name: str) -> FrameworkState:
    """Make a volume that is in the engine already one of ours, as it is. Nobody else may be using it."""
    if name in state.volumes:
        raise Conflict(f"volume {name} is ours already")
    volume = seen.engine.volume(name) if seen.engine is not None else None
    if volume is None:
        ours = {wish.engine_id for wish in state.volumes.values()}
        others = seen.engine.volumes if seen.engine is not None else ()
        known = ", ".join(sorted(one.name for one in others if one.id not in ours)) or "none"
        raise NotThere(f"the engine has no volume {name}; those that are not ours are {known}")
    if volume.mapped_to or volume.mapped_read_only:
        raise Conflict(f"volume {name} is mapped to a client that is not ours: it has to be unmapped first")
    wish = VolumeWish(name, volume.pool, volume.size_bytes, volume.thick, engine_id=volume.id, begun=True)
    return state.with_volume(wish)


def grow_volume(state: FrameworkState, seen: Observation, name: str, size_bytes: int) -> FrameworkState:
    """Make a volume larger. It never becomes smaller; a wish that has not come true can be taken back."""
    wish = find_volume(state, name)
    _check_size(size_bytes)
    volume = seen.engine.volume_with_id(wish.engine_id) if seen.engine is not None else None
    has_bytes = volume.size_bytes if volume is not None else wish.size_bytes
    if size_bytes < has_bytes:
        raise NotPossible(
            f"volume {name} has {has_bytes // _GIB} GiB, and volumes do not shrink: data would be lost"
        )
    return state.with_volume(replace(wish, size_bytes=size_bytes))


def rename_volume(state: FrameworkState, seen: Observation, name: str, new_name: str) -> FrameworkState:
    """Give a volume another name; whoever uses it is not disturbed."""
    wish = find_volume(state, name)
    if wish.engine_id is None:
        raise Conflict(f"volume {name} is still being made")
    if new_name in state.volumes:
        raise Conflict(f"there is a volume {new_name} already")
    if _VOLUME_NAME.fullmatch(new_name) is None:
        raise NotPossible(f"{new_name!r} is no name for a volume")
    if seen.engine is not None and seen.engine.volume(new_name) is not None:
        raise Conflict(f"the engine has a volume {new_name} that is not ours")
    volumes = {key: value for key, value in state.volumes.items() if key != name}
    renamed = replace(wish, name=new_name)
    return replace(state, volumes=MappingProxyType({**volumes, new_name: renamed}))


def delete_volume(state: FrameworkState, name: str) -> FrameworkState:
    """Delete a volume that nobody uses, and all that is in it."""
    wish = find_volume(state, name)
    if wish.node is not None:
        raise Conflict(f"volume {name} is on node {wish.node}: detach it first")
    return state.with_volume(replace(wish, deleted=True))


def attach_volume(
    state: FrameworkState,
    seen: Observation,
    name: str,
    node: str,
    *,
    mount_path: str | None,
    fstype: str | None,
    force: bool,
) -> FrameworkState:
    """Bring a volume to a node; away from where it is. `force` cuts a node off that does not let go."""
    wish = find_volume(state, name)
    _attachable(state, seen, node)
    forced_from = _holder(state, seen, wish, node) if force else wish.forced_from
    if wish.node == node and mount_path is None:
        mount_path = wish.mount_path
    wanted = replace(
        wish,
        node=node,
        mount_path=mount_path,
        fstype=fstype or wish.fstype,
        forced_from=forced_from if forced_from != node else None,
    )
    _check_mount_path(state, wanted)
    return state.with_volume(wanted)


def detach_volume(state: FrameworkState, seen: Observation, name: str, *, force: bool) -> FrameworkState:
    """Let a volume be nowhere."""
    wish = find_volume(state, name)
    forced_from = _holder(state, seen, wish, None) if force else wish.forced_from
    return state.with_volume(replace(wish, node=None, mount_path=None, forced_from=forced_from))


def _holder(state: FrameworkState, seen: Observation, wish: VolumeWish, but: str | None) -> str | None:
    """The node that may write to a volume now, wherever it is wished to be."""
    engine = seen.engine
    volume = engine.volume_with_id(wish.engine_id) if engine is not None else None
    if engine is not None and volume is not None:
        for node in sorted(state.nodes):
            if node != but and state.guid_of(node) in volume.mapped_to:
                return node
    return wish.node if wish.node != but else wish.forced_from


def find_volume(state: FrameworkState, name: str) -> VolumeWish:
    """Raises NotThere."""
    wish = state.volumes.get(name)
    if wish is None or wish.deleted:
        known = ", ".join(sorted(one for one, it in state.volumes.items() if not it.deleted)) or "none"
        raise NotThere(f"there is no volume {name}; there are {known}")
    return wish


def default_pool(seen: Observation) -> PoolName:
    """The only pool. Raises NotThere or Conflict."""
    pools = seen.engine.pools if seen.engine is not None else ()
    if not pools:
        raise NotThere("there is no storage pool yet")
    if len(pools) > 1:
        raise Conflict(f"say which pool: {', '.join(str(pool.name) for pool in pools)}")
    return pools[0].name


def _check_size(size_bytes: int) -> None:
    if size_bytes > _MOST_BYTES:
        raise NotPossible(f"a volume has at most {_MOST_BYTES // _GIB} GiB")
    if size_bytes <= 0 or size_bytes % _GIB:
        above = max(1, -(-size_bytes // _GIB))
        raise NotPossible(f"the size of a volume is a multiple of 1 GiB; the next one is {above}GiB")


def _attachable(state: FrameworkState, seen: Observation, node: str) -> None:
    _known_node(state, seen, node)
    if state.node(node).leaving:
        raise Conflict(f"node {node} is being removed")
    if state.node(node).in_maintenance:
        raise Conflict(f"node {node} is in maintenance: artesian node maintain {node} --end")
    if not state.node(node).is_client:
        raise Conflict(f"node {node} has no client yet, so it cannot use volumes")


def _check_mount_path(state: FrameworkState, wish: VolumeWish) -> None:
    """No two volumes at one place."""
    if wish.node is None or wish.mount_path is None:
        return
    for name, other in sorted(state.volumes.items()):
        there = other.node == wish.node and not other.deleted and name != wish.name
        if there and other.mount_path and normpath(other.mount_path) == normpath(wish.mount_path):
            raise Conflict(f"volume {name} is mounted at {other.mount_path} of node {wish.node} already")


def _known_node(state: FrameworkState, seen: Observation, name: str) -> None:
    if name not in state.nodes:
        raise NotThere(f"there is no node {name} in use; there are {_names(seen)}")


def _names(seen: Observation) -> str:
    return ", ".join(node.name for node in seen.nodes) or "none"


# --- remedies


def find_remedy(state: FrameworkState, remedy_id: str) -> Remedy:
    """By its id, or the beginning of it that no other has. Raises NotThere."""
    found = [one for key, one in state.remedies.items() if remedy_id and key.startswith(remedy_id)]
    if len(found) != 1:
        open_ones = sorted(key for key, one in state.remedies.items() if one.state.is_open)
        known = ", ".join(open_ones) or "none"
        raise NotThere(f"there is no remedy {remedy_id}; those that are open are {known}")
    return found[0]


def approve_remedy(state: FrameworkState, remedy_id: str, who: str) -> FrameworkState:
    """Agree to a remedy that asks; it begins as soon as the guard lets it."""
    remedy = find_remedy(state, remedy_id)
    if remedy.state not in (RemedyState.ASKING, RemedyState.HELD):
        raise Conflict(f"remedy {remedy.id} does not wait for anybody: it is {remedy.state}")
    return with_remedy(state, replace(remedy, approved_by=who or "somebody"))


def reject_remedy(state: FrameworkState, remedy_id: str, who: str, now_s: float) -> FrameworkState:
    """Close a remedy that has not begun; it is not proposed again for a day."""
    remedy = find_remedy(state, remedy_id)
    if remedy.state not in (RemedyState.ASKING, RemedyState.HELD):
        raise Conflict(f"remedy {remedy.id} cannot be rejected any more: it is {remedy.state}")
    return with_remedy(state, moved(remedy, RemedyState.REJECTED, now_s, f"by {who or 'somebody'}"))
