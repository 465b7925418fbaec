"""The next steps of healing, from what is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from artesian.embedded.healing.leaving import evacuate, release_empty
from artesian.embedded.healing.limits import is_busy
from artesian.embedded.healing.needs import Kind, Need, needs_of
from artesian.embedded.healing.ongoing import settle_joins
from artesian.embedded.healing.placing import place_empty
from artesian.embedded.healing.policy import Decision, HealingPolicy, counted
from artesian.embedded.healing.rebalance import rebalance
from artesian.embedded.healing.repair import mark_damaged, remake, resync
from artesian.embedded.healing.view import PoolView, view_pools
from artesian.embedded.healing.work import Work
from artesian.embedded.state.live import Live
from artesian.embedded.state.model import State


def decide(state: State, live: Live, policy: HealingPolicy, earlier: Live | None = None) -> Decision:
    """What the leading manager should do now for the copies of all pools.

    A pure function, asked several times a second: it looks at what is and takes the next steps; nothing is
    remembered, so that everything may be interrupted and repeated. `earlier` is what was seen a second or
    more ago; it tells whether applications are busy. While `live` is not settled, only that is done which
    needs no knowledge of who is absent: completing and giving up joins by their own reports, distrusting
    damaged devices, placing what is empty, and bringing copies up to date that are back.
    """
    decision = Decision()
    views = view_pools(state, live, policy)
    settle_joins(views, live, policy, decision)
    marked = mark_damaged(views, decision)
    for view in views:
        if view.active:
            busy = is_busy(state, live, policy, view.pool.id, earlier)
            work = Work(view, decision, policy, busy)
            heal_pool(work, live.settled, marked)
            work.close()
    release_empty(state, views, decision)
    return decision


def heal_pool(work: Work, settled: bool, marked: set[str]) -> None:
    """The next steps for one pool; `marked`: devices whose copies are being marked stale."""
    view = work.view
    place_empty(work)
    if not view.has_volumes:
        return
    needs = needs_of(view, marked)
    if settled:
        _warn(work, needs)
    if view.pool.rebuild_enabled:
        resync(work, needs)
        if settled:
            remake(work, needs)
    if settled:
        evacuate(work, needs)
        rebalance(work)


def _warn(work: Work, needs: Sequence[Need]) -> None:
    view = work.view
    kinds = Counter(need.kind for need in needs)
    if kinds[Kind.UNREACHABLE]:
        absent = _absent_holders(view, needs)
        work.warn(
            f"{counted(kinds[Kind.UNREACHABLE], 'slice')} cannot be read or written until one of these is "
            f"back: {', '.join(absent)}"
        )
    if kinds[Kind.SINGLE]:
        work.warn(
            "there is only ONE COPY of the data, as all devices are in one fault set or server; "
            "add devices of another, and second copies are made"
        )
    together = sum(need.kind is Kind.WAIT and _shares_unit(view, need.slice_index) for need in needs)
    if together:
        work.warn(f"both copies of {counted(together, 'slice')} are in one fault set or server")
    if view.in_maintenance:
        names = ", ".join(sorted(view.in_maintenance))
        work.warn(f"in maintenance: {names}; copies that are only away with it are not remade elsewhere")
    broken = kinds[Kind.RESYNC] + kinds[Kind.REMAKE]
    if broken and not view.pool.rebuild_enabled:
        work.warn(f"{counted(broken, 'slice')} have one good copy only, and rebuilding is disabled")


def _shares_unit(view: PoolView, index: int) -> bool:
    units = [view.devices[copy.device_id].unit for copy in view.pool.slices[index].copies]
    return len(set(units)) < len(units)


def _absent_holders(view: PoolView, needs: Sequence[Need]) -> list[str]:
    names = {
        view.devices[copy.device_id].name
        for need in needs
        if need.kind is Kind.UNREACHABLE
        for copy in view.pool.slices[need.slice_index].copies
    }
    shown = sorted(names)
    return [*shown[:4], f"{len(shown) - 4} others"] if len(shown) > 5 else shown
