"""How much healing may disturb applications: concurrent joins of a device, and bytes per second of a join."""

from __future__ import annotations

from artesian.embedded.healing.policy import HealingPolicy
from artesian.embedded.state.live import Live
from artesian.embedded.state.model import CHUNK_BYTES, Join, RebuildPolicy, State, StoragePool

REBUILD_REASONS = ("resync", "rebuild")  # the others go by the pool's rebalance policy


def pool_policy(pool: StoragePool, reason: str) -> tuple[RebuildPolicy, int, int]:
    """The policy for joins of this reason: which, concurrency of a device, limit of a device in bytes/s."""
    if reason in REBUILD_REASONS:
        return pool.rebuild_policy, pool.rebuild_concurrency, pool.rebuild_limit_bytes_per_s
    return pool.rebalance_policy, pool.rebalance_concurrency, pool.rebalance_limit_bytes_per_s


def joins_allowed(
    pool: StoragePool, reason: str, slots_per_slice: int, busy: bool, policy: HealingPolicy
) -> int:
    """How many joins of slices of this size a device may take part in at once."""
    kind, concurrency, _ = pool_policy(pool, reason)
    match kind:
        case RebuildPolicy.UNLIMITED:
            allowed = policy.unlimited_concurrency
        case RebuildPolicy.LIMIT_CONCURRENT:
            allowed = max(1, concurrency)
        case RebuildPolicy.FAVOR_APPLICATIONS:
            allowed = 1
        case RebuildPolicy.DYNAMIC_THROTTLING:
            allowed = 1 if busy else policy.unlimited_concurrency
    slice_bytes = max(1, slots_per_slice * CHUNK_BYTES)
    return allowed * max(1, min(policy.batch_limit, policy.batch_bytes // slice_bytes))


def join_limit_bytes_per_s(
    state: State,
    live: Live,
    policy: HealingPolicy,
    pool_id: str,
    join: Join,
    earlier: Live | None = None,
) -> int:
    """How fast a join may copy; 0: as fast as it can.

    The pool's limit is one per device: joins of the same kind at the busier end share it. `earlier` is
    what was seen about a second or more ago.
    """
    pool = state.storage_pools[pool_id]
    kind, _, limit = pool_policy(pool, join.reason)
    if kind in (RebuildPolicy.UNLIMITED, RebuildPolicy.LIMIT_CONCURRENT) or limit <= 0:
        return 0
    if kind is RebuildPolicy.DYNAMIC_THROTTLING and not is_busy(state, live, policy, pool_id, earlier):
        return 0
    sharing = {join.source_device_id: 0, join.target_device_id: 0}
    for item in pool.slices:
        other = item.join
        if other is None or (other.reason in REBUILD_REASONS) != (join.reason in REBUILD_REASONS):
            continue
        for device_id in (other.source_device_id, other.target_device_id):
            if device_id in sharing:
                sharing[device_id] += 1
    return max(1, limit // max(1, *sharing.values()))


def is_busy(
    state: State, live: Live, policy: HealingPolicy, pool_id: str, earlier: Live | None = None
) -> bool:
    """Whether applications read or write a pool: by what its devices counted since `earlier`.

    Nothing to compare with, or counters that went back because a server restarted, mean busy.
    """
    if earlier is None or live.now_s <= earlier.now_s:
        return True
    operations = transferred = 0
    for device in state.devices.values():
        if device.storage_pool_id != pool_id:
            continue
        now, then = live.devices.get(device.id), earlier.devices.get(device.id)
        if now is None or then is None:
            continue
        done = now.read_count + now.write_count - then.read_count - then.write_count
        if done < 0:
            return True
        operations += done
        transferred += now.read_bytes + now.write_bytes - then.read_bytes - then.write_bytes
    seconds = live.now_s - earlier.now_s
    return (
        operations > policy.busy_operations_per_s * seconds or transferred > policy.busy_bytes_per_s * seconds
    )
