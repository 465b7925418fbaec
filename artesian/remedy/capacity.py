"""How much may be written to pools, whatever is promised to volumes: what fills up in the end."""

from __future__ import annotations

from collections import Counter, defaultdict

from artesian.model.disk import PoolName
from artesian.model.engine import EngineSeen, SeenDevice, SeenPool
from artesian.strategy.capacity import two_copies_bytes

_EVEN_BELOW = 0.5


def capacities(engine: EngineSeen) -> dict[PoolName, int]:
    """Bytes that each pool may hold, both copies counted.

    That is what its devices have, without those that have failed or leave, without the spare share, and
    without what its largest fault unit has alone. A node that is away for a while changes nothing. A pool of
    which one device is fuller than the others is full when that one is: it counts once that device is half
    full, as small amounts are never even.
    """
    units = {server.name: server.fault_set or server.name for server in engine.servers}
    good: defaultdict[PoolName, Counter[str]] = defaultdict(Counter)
    every = Counter[PoolName]()
    fullest: defaultdict[PoolName, float] = defaultdict(float)
    for device in engine.devices:
        every[device.pool] += device.size_bytes
        if not (device.failed or device.leaving):
            good[device.pool][units.get(device.server, device.server)] += device.size_bytes
            share = _share(device)
            if share > fullest[device.pool]:
                fullest[device.pool] = share
    return {
        pool.name: _capacity(pool, good[pool.name], every[pool.name], fullest[pool.name])
        for pool in engine.pools
    }


def _share(device: SeenDevice) -> float:
    """How much of what applications may write to a device is written; 0 if that is not known."""
    if device.used_bytes is None or device.room_bytes is None or device.used_bytes <= 0:
        return 0.0
    return device.used_bytes / (device.used_bytes + device.room_bytes)


def _capacity(pool: SeenPool, raw_by_unit: Counter[str], every_bytes: int, fullest: float) -> int:
    whole = 2 * two_copies_bytes(raw_by_unit, pool.spare_percentage)
    if 0 < pool.size_bytes < every_bytes:
        whole = whole * pool.size_bytes // every_bytes  # devices may be limited to less than they have
    if fullest >= _EVEN_BELOW:
        return min(whole, int(pool.used_bytes / fullest))
    return whole


def used_share(pool: SeenPool, capacity: int) -> float | None:
    """How full a pool is, 0 to 1; None if no two copies have a place: then it is broken, and not full."""
    return min(1.0, pool.used_bytes / capacity) if capacity > 0 else None
