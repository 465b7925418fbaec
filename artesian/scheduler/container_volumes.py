"""What containers of a node ask of volumes, as changes of the state: a node speaks for itself only.

Everything may be asked again. A volume that somebody has put on a node by himself is used where it is, and
stays there when the containers have ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from artesian.model.disk import PoolName
from artesian.model.errors import Conflict, NotThere
from artesian.model.node import NodeState
from artesian.model.observation import Observation
from artesian.model.state import FrameworkState
from artesian.model.topology import Topology
from artesian.model.wishes import VolumeWish
from artesian.scheduler import volume_requests


@dataclass(frozen=True, slots=True)
class MountWanted:
    """`hold` is what the node shows to take it back. `preempt`: from another node that lives, too, which is
    asked to let go; `force`: even if it does not."""

    node: str
    path: str
    hold: str
    preempt: bool = False
    force: bool = False


def create(state: FrameworkState, seen: Observation, wish: VolumeWish) -> FrameworkState:
    """A new volume; one that is there already stays as it is, but for `preempt`, if that is asked for."""
    there = state.volumes.get(wish.name)
    if there is None:
        return volume_requests.create_volume(state, seen, wish)
    if there.deleted:
        raise Conflict(f"volume {wish.name} is being deleted")
    return state.with_volume(replace(there, preempt=True)) if wish.preempt else state


def mount(state: FrameworkState, seen: Observation, name: str, wanted: MountWanted) -> FrameworkState:
    """A volume is to be mounted on the node that asks."""
    wish = volume_requests.find_volume(state, name)
    is_here = wish.node == wanted.node
    if is_here and wish.mount_path is None:
        raise Conflict(
            f"somebody uses volume {name} on node {wanted.node} as a bare block device: detach it first "
            f"(artesian volume detach {name})"
        )
    force = wanted.force and (wanted.preempt or wish.preempt)
    if not is_here:
        _check_elsewhere(seen, wish, wanted)
    elif not wish.hold and not force:
        return state
    path = wish.mount_path if is_here and not wish.hold else wanted.path
    state = volume_requests.attach_volume(
        state, seen, name, wanted.node, mount_path=path, fstype=None, force=force
    )
    if is_here and not wish.hold:
        return state
    return state.with_volume(replace(state.volumes[name], hold=wanted.hold))


def _check_elsewhere(seen: Observation, wish: VolumeWish, wanted: MountWanted) -> None:
    """Whether a volume may come from where it is. Raises Conflict."""
    if wish.node is None or wanted.preempt or wish.preempt:
        return
    node = seen.node(wish.node)
    if node is not None and node.state is NodeState.GONE:
        return
    used = f"mounted at {wish.mount_path}" if wish.mount_path is not None else "attached as a block device"
    if node is not None and node.state is NodeState.ALIVE:
        raise Conflict(
            f"volume {wish.name} is {used} of node {wish.node}, and is writable on one node at a time: stop "
            "what uses it there, or make it with the option preempt=true to take it from other nodes"
        )
    lost = "is silent" if node is not None else "is not there"
    raise Conflict(
        f"volume {wish.name} is {used} of node {wish.node}, which {lost} and may still write to it: it is "
        "taken over when that node is gone for certain, or by rule take-over-volumes, or by "
        f"artesian volume detach {wish.name} --force, which loses what the node has not flushed"
    )


def release(state: FrameworkState, seen: Observation, name: str, node: str, hold: str) -> FrameworkState:
    """No container of a node uses a volume any more. Nothing changes if it is not there for containers, or
    if they have asked for it anew since, with another hold."""
    wish = state.volumes.get(name)
    if wish is None or wish.deleted or wish.node != node or not wish.hold or wish.hold != hold:
        return state
    return volume_requests.detach_volume(state, seen, name, force=False)


def delete(state: FrameworkState, name: str) -> FrameworkState:
    """Delete a volume that is nowhere, and all that is in it; nothing changes while that is under way."""
    return state if wish_for(state, name).deleted else volume_requests.delete_volume(state, name)


def pool_of(node: str, seen: Observation, topology: Topology) -> PoolName:
    """Where a node's volumes are made if nobody says where: the first pool that it uses, or the only one.

    Raises NotThere or Conflict.
    """
    known = {pool.name for pool in seen.engine.pools} if seen.engine is not None else set()
    uses = next((client.pools for client in topology.clients if client.node == node), ())
    chosen = next((pool for pool in uses if pool in known), None)
    return chosen if chosen is not None else volume_requests.default_pool(seen)


def wish_for(state: FrameworkState, name: str) -> VolumeWish:
    """A volume, also one that is being deleted. Raises NotThere."""
    wish = state.volumes.get(name)
    if wish is None:
        raise NotThere(f"there is no volume {name}")
    return wish
