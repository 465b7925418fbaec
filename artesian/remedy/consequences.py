"""What a request would come to: a pool that promises more than it has, or has less without a disk. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from artesian.model.disk import Claim, PoolName
from artesian.model.engine import EngineSeen
from artesian.model.names import device_name
from artesian.model.sizes import format_size
from artesian.model.state import FrameworkState
from artesian.remedy.capacity import capacities


@dataclass(frozen=True, slots=True)
class Loss:
    """What a pool may hold with and without some devices, both copies counted; `fits`: what it holds now does
    without them. `because` says all of it."""

    pool: PoolName
    has_bytes: int
    left_bytes: int
    used_bytes: int
    fits: bool
    because: str


def loss_of(
    engine: EngineSeen, pool_name: PoolName, devices: Collection[str], called: str = ""
) -> Loss | None:
    """What becomes of a pool without these of its devices, by name; None if it has none of them, or is not
    there. Those that leave already do not count before either. `called`: what people call a single one."""
    pool = engine.pool(pool_name)
    leaving = [one for one in engine.devices if one.pool == pool_name and one.name in devices]
    if pool is None or not leaving:
        return None
    without = tuple(replace(one, leaving=True) if one in leaving else one for one in engine.devices)
    has = capacities(engine).get(pool_name, 0)
    left = capacities(replace(engine, devices=without)).get(pool_name, 0)
    named = (
        f"without {called or leaving[0].path}" if len(leaving) == 1 else f"without these {len(leaving)} disks"
    )
    fits = pool.used_bytes <= left
    words = (
        f"{named} pool {pool_name} may hold {format_size(left)} instead of {format_size(has)} (both copies), "
        f"and holds {format_size(pool.used_bytes)}"
    )
    if not left:
        words = f"{named} pool {pool_name} has no two places left for two copies of anything"
    if not fits:
        words += ": it does not fit; give it another disk first"
    return Loss(pool_name, has, left, pool.used_bytes, fits, words)


def loss_of_disk(engine: EngineSeen, claim: Claim) -> Loss | None:
    """The same of one disk, called as its node calls it: engines have paths of their own."""
    called = f"{claim.path} of node {claim.node}"
    return loss_of(engine, claim.pool, {device_name(claim.identity)}, called)


def promised_too_much(engine: EngineSeen, state: FrameworkState, pool_name: PoolName) -> str:
    """What to say of a pool whose volumes could not all be full; empty if they could, or nobody knows.

    What is wished for counts like what is there. One copy of everything is counted.
    """
    room = capacities(engine).get(pool_name, 0) // 2
    sizes = _sizes(engine, state, pool_name)
    promised = sum(sizes)
    if not room or promised <= room:
        return ""
    volumes = "1 volume" if len(sizes) == 1 else f"{len(sizes)} volumes"
    return (
        f"pool {pool_name} promises {format_size(promised)} to {volumes}, and has room for "
        f"{format_size(room)} of what is written to them: it fills up before they do"
    )


def _sizes(engine: EngineSeen, state: FrameworkState, pool: PoolName) -> list[int]:
    wished = {one.engine_id: one for one in state.volumes.values() if one.engine_id is not None}
    sizes = []
    for volume in engine.volumes:
        wish = wished.get(volume.id)
        if volume.pool == pool:
            sizes.append(max(volume.size_bytes, wish.size_bytes if wish is not None else 0))
    there = {volume.id for volume in engine.volumes}
    sizes += [
        one.size_bytes
        for one in state.volumes.values()
        if one.pool == pool and not one.deleted and one.engine_id not in there
    ]
    return sizes
