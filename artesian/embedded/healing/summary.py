"""How the pools are, for people and displays."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from artesian.embedded.healing.deciding import heal_pool
from artesian.embedded.healing.needs import Kind, needs_of
from artesian.embedded.healing.policy import Decision, HealingPolicy, counted, human_bytes
from artesian.embedded.healing.rebalance import may_rebalance, moves_left
from artesian.embedded.healing.room import average_slots
from artesian.embedded.healing.view import PoolView, in_sync_ids, view_pools
from artesian.embedded.healing.work import Work
from artesian.embedded.state.live import Live
from artesian.embedded.state.model import CHUNK_BYTES, State

REASON_OF_KIND = {
    Kind.RESYNC: "resync",
    Kind.REMAKE: "rebuild",
    Kind.PART: "rebuild",
    Kind.EVACUATE: "evacuate",
}


@dataclass(frozen=True, slots=True)
class JoinProgress:
    """The joins of one reason. `left_bytes` includes what waits; `seconds_left` is None while unknown."""

    reason: str  # "resync" | "rebuild" | "rebalance" | "evacuate"
    under_way: int
    waiting: int
    copied_bytes: int  # by those under way
    total_bytes: int  # of those under way
    left_bytes: int
    rate_bytes_per_s: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class PoolHealth:
    """One pool. Bytes are what the slices hold, counted once, and are estimates.

    A slice is protected when two in-sync copies can be reached, degraded when one can, unavailable when
    none can; `unplaced` slices have no copies and no data.
    """

    pool_id: str
    name: str
    protected_slices: int
    protected_bytes: int
    degraded_slices: int
    degraded_bytes: int
    unavailable_slices: int
    unavailable_bytes: int
    unplaced_slices: int
    joins: tuple[JoinProgress, ...]
    sentences: tuple[str, ...]  # the state first, then what is under way, then warnings

    @property
    def is_healthy(self) -> bool:
        """Everything has two copies within reach and nothing has to move."""
        return not (self.degraded_slices or self.unavailable_slices or self.unplaced_slices or self.joins)


def summarize(state: State, live: Live, policy: HealingPolicy) -> list[PoolHealth]:
    """How every pool is at this moment."""
    return [_summarize(view, live, policy) for view in view_pools(state, live, policy)]


def _summarize(view: PoolView, live: Live, policy: HealingPolicy) -> PoolHealth:
    slices: Counter[str] = Counter()
    chunks: dict[str, float] = {"protected": 0.0, "degraded": 0.0, "unavailable": 0.0}
    for item in view.pool.slices:
        if not item.copies:
            slices["unplaced"] += 1
            continue
        reachable = sum(view.devices[device_id].up for device_id in in_sync_ids(item))
        kind = "protected" if reachable > 1 else "degraded" if reachable else "unavailable"
        slices[kind] += 1
        chunks[kind] += average_slots(view, item)
    size = {kind: round(amount * CHUNK_BYTES) for kind, amount in chunks.items()}
    joins = _progress(view, live, policy)
    decision = Decision()
    heal_pool(Work(view, decision, policy, busy=True), live.settled, set())
    sentences = [_state_sentence(view, slices, size), *map(_join_sentence, joins), *decision.warnings]
    return PoolHealth(
        view.pool.id,
        view.pool.name,
        slices["protected"],
        size["protected"],
        slices["degraded"],
        size["degraded"],
        slices["unavailable"],
        size["unavailable"],
        slices["unplaced"],
        joins,
        tuple(sentences),
    )


def _progress(view: PoolView, live: Live, policy: HealingPolicy) -> tuple[JoinProgress, ...]:
    waiting: Counter[str] = Counter()
    waiting_bytes: dict[str, float] = {}
    for need in needs_of(view, ()):
        reason = REASON_OF_KIND.get(need.kind)
        if reason is not None and view.has_volumes:
            waiting[reason] += 1
            size = average_slots(view, view.pool.slices[need.slice_index]) * CHUNK_BYTES
            waiting_bytes[reason] = waiting_bytes.get(reason, 0.0) + size
    if view.has_volumes and may_rebalance(view):
        moves = moves_left(Work(view, Decision(), policy, busy=True))
        if moves:
            waiting["rebalance"] = moves
            placed = sum(device.copies for device in view.devices.values())
            used = sum(device.used for device in view.devices.values())
            waiting_bytes["rebalance"] = moves * used / max(1, placed) * CHUNK_BYTES
    return tuple(
        progress
        for reason in ("resync", "rebuild", "evacuate", "rebalance")
        if (progress := _progress_of(view, live, reason, waiting[reason], waiting_bytes.get(reason, 0.0)))
    )


def _progress_of(
    view: PoolView, live: Live, reason: str, waiting: int, waiting_bytes: float
) -> JoinProgress | None:
    under_way = copied = total = 0
    rate = 0.0
    for index in view.joining:
        join = view.pool.slices[index].join
        if join is None or join.reason != reason:
            continue
        under_way += 1
        seen = live.joins.get(join.job_id)
        if seen is not None:
            copied += seen.copied_bytes
            total += seen.total_bytes
            rate += seen.rate_bytes_per_s
    if not under_way and not waiting:
        return None
    if reason == "resync" and under_way:
        waiting_bytes = min(waiting_bytes, waiting * total / under_way)  # they lack about as much as these do
    left = max(0, total - copied) + round(waiting_bytes)
    seconds_left = left / rate if rate > 0 else None
    return JoinProgress(reason, under_way, waiting, copied, total, left, rate, seconds_left)


def _state_sentence(view: PoolView, slices: Counter[str], size: dict[str, int]) -> str:
    if slices["unavailable"]:
        data = human_bytes(size["unavailable"])
        return f"{view.label}: {counted(slices['unavailable'], 'slice')} ({data}) cannot be reached."
    if slices["degraded"]:
        data = human_bytes(size["degraded"])
        return (
            f"{view.label}: {counted(slices['degraded'], 'slice')} ({data}) have one good copy within reach."
        )
    if slices["protected"]:
        return f"{view.label}: everything has two good copies."
    return f"{view.label}: no device is in use yet."


def _join_sentence(progress: JoinProgress) -> str:
    doing = {
        "resync": "Bringing copies up to date",
        "rebuild": "Remaking lost copies",
        "evacuate": "Moving data off devices that are being removed",
        "rebalance": "Balancing devices",
    }[progress.reason]
    text = f"{doing}: {progress.under_way} under way, {progress.waiting} waiting"
    text += f", {human_bytes(progress.left_bytes)} left"
    if progress.rate_bytes_per_s > 0:
        text += f" at {human_bytes(progress.rate_bytes_per_s)}/s"
    if progress.seconds_left is not None:
        text += f", about {max(1, round(progress.seconds_left))} s"
    return text + "."
