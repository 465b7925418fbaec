"""How well data is protected and what is being done about it, in PowerFlex' names: pure functions.

The managers know slices, servers report devices: what a slice holds on a device is taken to be the device's
used chunks divided by its slices. PowerFlex' kinds of healing: forward rebuild makes a copy on another
device, backward rebuild brings back one that was away, rebalance moves good copies.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from typing import Any

from artesian.embedded.provisioning import answers
from artesian.embedded.state.live import JoinLive, Live
from artesian.embedded.state.model import (
    CHUNK_BYTES,
    Copy,
    CopyState,
    Join,
    Lifecycle,
    Slice,
    State,
    StoragePool,
)

CHUNK_KB = CHUNK_BYTES // 1024
RATE_S = 5  # PowerFlex' rates are sums over some seconds
KINDS = ("FwdRebuild", "BckRebuild", "NormRebuild", "Rebalance")
KIND_OF_REASON = {
    "resync": "BckRebuild",
    "rebuild": "FwdRebuild",
    "rebalance": "Rebalance",
    "evacuate": "Rebalance",
}
_NO_REPORT = JoinLive("copying")


def condition(state: State, live: Live, one: Slice) -> str:
    """ "protected" | "degraded" | "healing" (degraded, and a copy is being made) | "unavailable"."""
    in_sync = [copy for copy in one.copies if copy.state is CopyState.IN_SYNC]
    answering = sum(answers(state, live, copy.device_id) for copy in in_sync)
    if in_sync and not answering:
        return "unavailable"
    if answering > 1:
        return "protected"
    return "healing" if one.join is not None else "degraded"


def protection_figures(
    state: State, live: Live, pools: Collection[StoragePool], device_ids: Collection[str]
) -> dict[str, int]:
    """What these devices hold of the pools' slices, by how well it is protected."""
    totals: defaultdict[str, float] = defaultdict(float)
    for pool in pools:
        sizes = _Sizes(live, pool)
        for one in pool.slices:
            kind = condition(state, live, one)
            totals["lost"] += _lost_kb(sizes, one, kind, device_ids)
            for copy in one.copies:
                if copy.state is not CopyState.IN_SYNC or copy.device_id not in device_ids:
                    continue
                if kind == "unavailable" or answers(state, live, copy.device_id):
                    totals[kind] += sizes.of_device(copy.device_id)
                elif kind != "protected":
                    totals["lost"] += sizes.of_slice(one)
    return {
        "protectedCapacityInKb": round(totals["protected"]),
        "degradedHealthyCapacityInKb": round(totals["degraded"]),
        "degradedFailedCapacityInKb": round(totals["lost"]),
        "semiProtectedCapacityInKb": round(totals["healing"]),
        "failedCapacityInKb": round(totals["unavailable"]),
    }


class _Sizes:
    """About how many KB slices hold, by device and by slice."""

    def __init__(self, live: Live, pool: StoragePool) -> None:
        held = Counter(copy.device_id for one in pool.slices for copy in one.copies)
        self._by_device = {
            device_id: live.devices[device_id].used_slots * CHUNK_KB / count
            for device_id, count in held.items()
            if device_id in live.devices
        }

    def of_device(self, device_id: str) -> float:
        """What one slice holds on this device."""
        return self._by_device.get(device_id, 0.0)

    def of_slice(self, one: Slice) -> float:
        """What one copy of the slice holds: as much as its fuller good copy."""
        good = [copy.device_id for copy in one.copies if copy.state is CopyState.IN_SYNC]
        return max((self.of_device(device_id) for device_id in good), default=0.0)


def _lost_kb(sizes: _Sizes, one: Slice, kind: str, device_ids: Collection[str]) -> float:
    """The share of a stale copy; one that was never made counts with the copy that there is."""
    if kind not in ("degraded", "healing"):
        return 0.0
    stale = sum(copy.state is CopyState.STALE and copy.device_id in device_ids for copy in one.copies)
    lacks = len(one.copies) == 1 and one.copies[0].device_id in device_ids
    return sizes.of_slice(one) * (stale + lacks)


def healing_figures(
    state: State, live: Live, pools: Collection[StoragePool], device_ids: Collection[str]
) -> dict[str, Any]:
    """Joins that these devices take part in, and what waits to be done for them."""
    sums = _HealingSums(live, device_ids)
    for pool in pools:
        sizes = _Sizes(live, pool)
        for one in pool.slices:
            if one.join is not None:
                sums.add_join(one.join)
            elif any(copy.device_id in device_ids for copy in one.copies):
                sums.add_pending(state, one, sizes)
    return sums.figures()


class _HealingSums:
    def __init__(self, live: Live, device_ids: Collection[str]) -> None:
        self._live = live
        self._device_ids = device_ids
        self._active: Counter[str] = Counter()
        self._pending: Counter[str] = Counter()
        self._pending_jobs: Counter[str] = Counter()
        self._jobs: Counter[tuple[str, str]] = Counter()
        self._rates: Counter[tuple[str, str]] = Counter()

    def add_join(self, join: Join) -> None:
        kind = KIND_OF_REASON[join.reason]
        seen = self._live.joins.get(join.job_id, _NO_REPORT)
        ends = {"Out": join.source_device_id, "In": join.target_device_id}
        here = [way for way, device_id in ends.items() if device_id in self._device_ids]
        if here:
            self._active[kind] += max(0, seen.total_bytes - seen.copied_bytes) // 1024
        for way in here:
            self._jobs[way, kind] += 1
            self._rates[way, kind] += round(seen.rate_bytes_per_s)

    def add_pending(self, state: State, one: Slice, sizes: _Sizes) -> None:
        kind = self._kind_needed(state, one)
        if kind is not None:
            self._pending[kind] += round(sizes.of_slice(one))
            self._pending_jobs[kind] += 1

    def _kind_needed(self, state: State, one: Slice) -> str | None:
        """The kind of healing that a slice without a join waits for, if any can be done."""
        how = condition(state, self._live, one)
        if how == "unavailable" or not one.copies:
            return None
        if how == "degraded":
            back = any(
                copy.state is CopyState.STALE and answers(state, self._live, copy.device_id)
                for copy in one.copies
            )
            if not back and any(_is_excused(state, self._live, copy) for copy in one.copies):
                return None
            return "BckRebuild" if back else "FwdRebuild"
        return "Rebalance" if any(_leaves(state, copy) for copy in one.copies) else None

    def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for kind in KINDS:
            lower = kind[0].lower() + kind[1:]
            active, pending = self._active[kind], self._pending[kind]
            found |= {
                f"{lower}CapacityInKb": active + pending,
                f"active{kind}CapacityInKb": active,
                f"pending{kind}CapacityInKb": pending,
                f"{lower}ReadBwc": bandwidth(self._rates["Out", kind], self._jobs["Out", kind]),
                f"{lower}WriteBwc": bandwidth(self._rates["In", kind], self._jobs["In", kind]),
                f"activeMovingIn{kind}Jobs": self._jobs["In", kind],
                f"activeMovingOut{kind}Jobs": self._jobs["Out", kind],
                f"pendingMovingIn{kind}Jobs": self._pending_jobs[kind],
            }
        active_kb, pending_kb = sum(self._active.values()), sum(self._pending.values())
        return found | {
            "activeMovingRebalanceJobs": self._jobs["In", "Rebalance"],
            "pendingMovingRebalanceJobs": self._pending_jobs["Rebalance"],
            "movingCapacityInKb": active_kb + pending_kb,
            "activeMovingCapacityInKb": active_kb,
            "pendingMovingCapacityInKb": pending_kb,
        }


def _is_excused(state: State, live: Live, copy: Copy) -> bool:
    """Whether a copy is out of reach for maintenance, so that nobody remakes it."""
    device = state.devices[copy.device_id]
    away = device.error is None and not answers(state, live, device.id)
    return away and state.servers[device.server_id].in_maintenance


def _leaves(state: State, copy: Copy) -> bool:
    device = state.devices[copy.device_id]
    return Lifecycle.REMOVING in (device.lifecycle, state.servers[device.server_id].lifecycle)


def bandwidth(bytes_per_s: float, operations_per_s: float = 0) -> dict[str, int]:
    """PowerFlex' way of saying a rate."""
    return {
        "numSeconds": RATE_S,
        "totalWeightInKb": round(bytes_per_s * RATE_S / 1024),
        "numOccured": round(operations_per_s * RATE_S),
    }
