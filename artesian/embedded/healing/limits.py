"""How much healing may disturb applications: how many joins a device takes part in at once."""

from __future__ import annotations

from artesian.embedded.assignment import FAVOR_APPLICATIONS_BYTES_PER_S, REBUILD_REASONS
from artesian.embedded.healing.policy import HealingPolicy
from artesian.embedded.state.live import Live
from artesian.embedded.state.model import CHUNK_BYTES, RebuildPolicy, State, StoragePool

ROUND_S = 0.25  # about how long it takes until finished joins are followed by new ones


def joins_allowed(
    pool: StoragePool, reason: str, slots_per_slice: int, busy: bool, policy: HealingPolicy
) -> int:
    """How many joins of slices of this size a device may take part in at once.

    Small slices count together as one, but never more of them than a device may copy in one round under
    its limit of bytes per second.
    """
    allowed, limit = _measure(pool, reason, busy, policy)
    batch_bytes = min(policy.batch_bytes, int(limit * ROUND_S)) if limit else policy.batch_bytes
    slice_bytes = max(1, slots_per_slice * CHUNK_BYTES)
    return allowed * max(1, min(policy.batch_limit, batch_bytes // slice_bytes))


def _measure(pool: StoragePool, reason: str, busy: bool, policy: HealingPolicy) -> tuple[int, int]:
    """What a device may do for this reason: slices at once, and bytes per second (0: any number)."""
    if reason in REBUILD_REASONS:
        kind, concurrency = pool.rebuild_policy, pool.rebuild_concurrency
        limit = pool.rebuild_limit_bytes_per_s
    else:
        kind, concurrency = pool.rebalance_policy, pool.rebalance_concurrency
        limit = pool.rebalance_limit_bytes_per_s
    match kind:
        case RebuildPolicy.LIMIT_CONCURRENT:
            return max(1, concurrency), limit
        case RebuildPolicy.FAVOR_APPLICATIONS:
            return 1, limit or FAVOR_APPLICATIONS_BYTES_PER_S
        case RebuildPolicy.DYNAMIC_THROTTLING if busy:
            return 1, limit or FAVOR_APPLICATIONS_BYTES_PER_S
        case _:
            return policy.unlimited_concurrency, 0


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
