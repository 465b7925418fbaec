"""How far a pool may be filled: until a rule has to notice, not into what others are going to need. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from artesian.drill.expecting import resting, rules_that_fire
from artesian.drill.facts import DrillFacts
from artesian.model.disk import PoolName
from artesian.model.drill import Drill, DrillWish
from artesian.model.engine import EngineSeen, SeenPool
from artesian.model.errors import Conflict, NotPossible, NotThere
from artesian.model.rule import Scope
from artesian.model.sizes import format_size
from artesian.model.spec import DEFAULT_POOL
from artesian.remedy.capacity import capacities
from artesian.remedy.defaults import expansion_lead_s

_GIB = 1 << 30
MOST_SHARE = 0.92
_STEP = 0.05
_SURELY = 0.02  # more than the share, so that rounding does not keep a rule from noticing
_KEPT_SHARE = 0.03  # always left to others
_BYTES_PER_S = 32 << 20  # that a drill surely writes
_FILE_SYSTEM_BYTES = 192 << 20


def fill(
    drill: Drill, wish: DrillWish, facts: DrillFacts, engine: EngineSeen, writer: Callable[[], str]
) -> Drill:
    """The drill with its pool and what is written to it. Raises NotPossible, NotThere or Conflict."""
    pool = _pool(wish, engine)
    capacity = capacities(engine).get(pool.name, 0)
    if capacity <= 0:
        raise NotPossible(f"pool {pool.name} has no room for two copies of anything")
    drill = replace(drill, pool=pool.name, thing=f"pool {pool.name}")
    share = wish.share if wish.share is not None else _noticed_share(drill, facts, pool, capacity)
    aim = min(share + _SURELY, MOST_SHARE)
    amount = (int(aim * capacity) - pool.used_bytes) // 2
    if amount <= 0:
        raise Conflict(f"pool {pool.name} is {100 * pool.used_bytes / capacity:.0f}% full already")
    _check_others(drill, facts, pool, capacity, aim)
    if amount / _BYTES_PER_S > drill.limit_s:
        raise Conflict(
            f"{format_size(2 * amount)} would have to be written to pool {pool.name}, which takes longer "
            f"than {drill.limit_s:g} s: give it a smaller --share or a longer --limit"
        )
    node = writer()
    drill = replace(drill, node=node, writer_node=node, amount_bytes=amount, others_bytes=pool.used_bytes)
    path = f"{facts.mounts.get(node, '/run/artesian')}/{drill.volume}"
    rules = rules_that_fire(facts, Scope.POOL, {"used_share": aim}, pool.name, drill.limit_s)
    rests = resting(rules, str(pool.name), facts)
    if rests is not None:
        raise Conflict(rests)
    because = f"{100 * aim:.0f}% is where {rules[0]} has to fire" if rules else f"up to {100 * aim:.0f}%"
    return replace(drill, mount_path=path, target=path, expects=rules, because=because)


def volume_bytes(drill: Drill) -> int:
    """The size of a drill's own volume: whole GiB with room for its file system."""
    return -(-int(drill.amount_bytes * 1.05 + _FILE_SYSTEM_BYTES) // _GIB) * _GIB


def _pool(wish: DrillWish, engine: EngineSeen) -> SeenPool:
    whole = [one for one in engine.pools if not engine.has_one_copy_only(one.name)]
    if wish.thing is None:
        if not whole:
            raise NotPossible("there is no pool with two copies of everything")
        return whole[0]
    domain, slash, name = wish.thing.partition("/")
    wanted = PoolName(domain, name) if slash else PoolName(DEFAULT_POOL.domain, domain)
    found = next((one for one in engine.pools if one.name == wanted), None)
    if found is None:
        raise NotThere(f"there is no pool {wish.thing}")
    return found


def _noticed_share(drill: Drill, facts: DrillFacts, pool: SeenPool, capacity: int) -> float:
    """The least share at which a rule has to fire."""
    steps = int(MOST_SHARE / _STEP)
    for step in range(1, steps + 1):
        share = step * _STEP
        if share * capacity > pool.used_bytes and rules_that_fire(
            facts, Scope.POOL, {"used_share": share + _SURELY}, pool.name, drill.limit_s
        ):
            return share
    raise Conflict(
        f"no rule has to fire when pool {pool.name} is {100 * steps * _STEP:.0f}% full: "
        "say how far, with --share"
    )


def _check_others(drill: Drill, facts: DrillFacts, pool: SeenPool, capacity: int, aim: float) -> None:
    """What others will write until new disks would be there, at twice their present pace, is left to them."""
    lead_s = expansion_lead_s(facts.spec) or 0.0
    rate = facts.fill_rates.get(str(pool.name), 0.0)
    need = max(2 * rate * (drill.limit_s + lead_s), _KEPT_SHARE * capacity)
    if (1 - aim) * capacity < need:
        raise Conflict(
            f"others fill pool {pool.name} as well, and need {format_size(need)} of it meanwhile: "
            f"it is not filled up to {100 * aim:.0f}%"
        )
