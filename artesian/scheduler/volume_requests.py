"""What users ask of volumes, as changes of the state.

Every function gives a state out of a state, or raises NotThere, Conflict or NotPossible, and then nothing has
changed.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from artesian.model.disk import PoolName
from artesian.model.drill import DrillState
from artesian.model.engine import SnapshotId
from artesian.model.errors import Conflict, NotPossible, NotThere
from artesian.model.observation import Observation
from artesian.model.state import FrameworkState
from artesian.model.volume_names import name_problem
from artesian.model.wishes import FEWEST_IOPS, MOST_IOPS, SnapshotWish, VolumeWish
from artesian.remedy.checking import read_whole_spec
from artesian.scheduler.node_requests import known_node

_GIB = 1 << 30
_MIB = 1 << 20
_MOST_BYTES = 1 << 50


def create_volume(state: FrameworkState, seen: Observation, wish: VolumeWish) -> FrameworkState:
    """A new volume; one that begins with a snapshot has the size of that."""
    if (problem := name_problem(wish.name)) is not None:
        raise NotPossible(problem)
    if wish.name in state.volumes:
        raise Conflict(f"there is a volume {wish.name} already")
    if seen.engine is not None and seen.engine.volume(wish.name) is not None:
        raise Conflict(f"the engine has a volume {wish.name} that is not ours")
    if seen.engine is not None and seen.engine.pool(wish.pool) is None:
        known = ", ".join(str(pool.name) for pool in seen.engine.pools) or "none"
        raise NotThere(f"there is no pool {wish.pool}; there are {known}")
    if wish.thick and _is_ceph(state):
        raise NotPossible(
            "Ceph takes space as it is written to, so there are no thick volumes, only thin ones"
        )
    if wish.source is None:
        _check_size(wish.size_bytes)
    _check_limits(wish)
    if wish.node is not None:
        _attachable(state, seen, wish.node)
    _check_mount_path(state, wish)
    return state.with_volume(wish)


def _is_ceph(state: FrameworkState) -> bool:
    """Whether volumes are made in a Ceph cluster, be it one that is still to be made."""
    return (state.engine or read_whole_spec(state.spec_text)).ceph is not None


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
    wish = volume_of_a_user(state, name)
    _check_size(size_bytes)
    volume = seen.engine.volume_with_id(wish.engine_id) if seen.engine is not None else None
    has_bytes = volume.size_bytes if volume is not None else wish.size_bytes
    if size_bytes < has_bytes:
        raise NotPossible(
            f"volume {name} has {has_bytes // _GIB} GiB, and volumes do not shrink: data would be lost"
        )
    return state.with_volume(replace(wish, size_bytes=size_bytes))


def limit_volume(
    state: FrameworkState, name: str, iops: int | None, bandwidth_bytes_per_s: int | None
) -> FrameworkState:
    """Limit what may be done with a volume in a second; 0: no limit, None: as it was."""
    wish = find_volume(state, name)
    wanted = replace(
        wish,
        limit_iops=wish.limit_iops if iops is None else iops,
        limit_bandwidth_bytes_per_s=(
            wish.limit_bandwidth_bytes_per_s if bandwidth_bytes_per_s is None else bandwidth_bytes_per_s
        ),
    )
    _check_limits(wanted)
    return state.with_volume(wanted)


def rename_volume(state: FrameworkState, seen: Observation, name: str, new_name: str) -> FrameworkState:
    """Give a volume another name; whoever uses it is not disturbed."""
    wish = volume_of_a_user(state, name, also_undone=True)
    if wish.engine_id is None:
        raise Conflict(f"volume {name} is still being made")
    if new_name in state.volumes:
        raise Conflict(f"there is a volume {new_name} already")
    if (problem := name_problem(new_name)) is not None:
        raise NotPossible(problem)
    if seen.engine is not None and seen.engine.volume(new_name) is not None:
        raise Conflict(f"the engine has a volume {new_name} that is not ours")
    volumes = {key: value for key, value in state.volumes.items() if key != name}
    renamed = replace(wish, name=new_name)
    return replace(state, volumes=MappingProxyType({**volumes, new_name: renamed}))


def delete_volume(state: FrameworkState, name: str, *, with_snapshots: bool = False) -> FrameworkState:
    """Delete a volume that nobody uses, and all that is in it; snapshots only if that is said."""
    wish = volume_of_a_user(state, name)
    if wish.node is not None:
        raise Conflict(f"volume {name} is on node {wish.node}: detach it first")
    kept = [one for one in wish.snapshots if not one.deleted]
    if kept and not with_snapshots:
        raise Conflict(
            f"volume {name} has snapshots ({', '.join(one.name for one in kept)}): delete them first "
            f"(artesian volume delete-snapshot), or with it (artesian volume delete {name} --with-snapshots)"
        )
    for one in kept:
        check_not_copied(state, wish, one)
    gone = tuple(replace(one, deleted=True) for one in wish.snapshots)
    return state.with_volume(replace(wish, snapshots=gone, deleted=True))


def check_not_copied(state: FrameworkState, wish: VolumeWish, snapshot: SnapshotWish) -> None:
    """Raises Conflict as long as volumes are made of a snapshot. Those that are there do without it."""
    source = wish.id_of(snapshot)
    waiting = [name for name, one in sorted(state.volumes.items()) if is_being_made_of(one, source)]
    if waiting:
        raise Conflict(
            f"snapshot {snapshot.name} of volume {wish.name} is being copied to volume {waiting[0]}: "
            "wait until that is there, or delete it"
        )


def is_being_made_of(wish: VolumeWish, source: SnapshotId) -> bool:
    """Whether a volume is to begin with a snapshot, and is not there yet."""
    return wish.source == source and wish.engine_id is None


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
    wish = volume_of_a_user(state, name)
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
        hold="",
    )
    _check_mount_path(state, wanted)
    return state.with_volume(wanted)


def detach_volume(state: FrameworkState, seen: Observation, name: str, *, force: bool) -> FrameworkState:
    """Let a volume be nowhere."""
    wish = volume_of_a_user(state, name)
    forced_from = _holder(state, seen, wish, None) if force else wish.forced_from
    return state.with_volume(replace(wish.detached(), forced_from=forced_from))


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


def volume_of_a_user(state: FrameworkState, name: str, *, also_undone: bool = False) -> VolumeWish:
    """Not that of a drill, which it takes away itself, by its name; while that is done, people may help.

    Raises NotThere or Conflict.
    """
    wish = find_volume(state, name)
    drill = next((one for one in state.drills.values() if one.volume == name and one.state.is_open), None)
    if drill is not None and (also_undone or drill.state is not DrillState.UNDOING):
        raise Conflict(f"volume {name} is that of a drill, and goes with it: artesian drill abort ends it")
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


def _check_limits(wish: VolumeWish) -> None:
    iops, bandwidth = wish.limit_iops, wish.limit_bandwidth_bytes_per_s
    if iops and not FEWEST_IOPS <= iops <= MOST_IOPS:
        raise NotPossible(f"a limit is from {FEWEST_IOPS} to {MOST_IOPS} requests a second, or 0 for none")
    if not 0 <= bandwidth <= _MOST_BYTES or bandwidth % _MIB:
        above = min(max(1, -(-bandwidth // _MIB)), _MOST_BYTES // _MIB)
        raise NotPossible(f"a limit of bandwidth is a multiple of 1 MiB a second; the next one is {above}MiB")


def _attachable(state: FrameworkState, seen: Observation, node: str) -> None:
    known_node(state, seen, node)
    if state.node(node).leaving:
        raise Conflict(f"node {node} is being removed")
    if state.node(node).in_maintenance:
        raise Conflict(f"node {node} is in maintenance: artesian node maintain {node} --end")
    if not state.node(node).is_client:
        raise Conflict(f"node {node} has no client yet, so it cannot use volumes")


def _check_mount_path(state: FrameworkState, wish: VolumeWish) -> None:
    """No two volumes at one place."""
    other = state.volume_mounted_at(wish.node, wish.mount_path, but=wish.name)
    if other is not None:
        raise Conflict(f"volume {other.name} is mounted at {other.mount_path} of node {wish.node} already")
