"""Rolling restarts: as users ask for them, and looked after by the loop.

Every request gives a state out of a state, or raises NotThere, Conflict or NotPossible, and then nothing has
changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from artesian.model.errors import Conflict, NotPossible
from artesian.model.observation import Observation
from artesian.model.restart import Restart, RestartPart, RestartState
from artesian.model.state import FrameworkState, Stopping
from artesian.planner.restarted import parts_of
from artesian.planner.restarting import awaited, settled
from artesian.scheduler.memory import Memory
from artesian.scheduler.node_requests import known_node

PATIENCE_S = 300.0  # daemons with large disks and much to mend take their time
_FEWEST_MANAGERS = 3

log = structlog.get_logger()


def ask(
    state: FrameworkState, seen: Observation, nodes: Sequence[str], now_s: float, who: str = ""
) -> FrameworkState:
    """Restart the engine's processes on these nodes, or on all that have some."""
    engine, before = state.engine, state.restart
    if engine is None or not state.engine_seen_once:
        raise NotPossible("there is no engine yet whose processes could be restarted")
    if engine.adopted is not None:
        raise NotPossible(
            f"engine {engine.system_id} has been adopted: its managers are not ours, and a restart that does "
            "not know of them could take data away; whoever looks after it restarts it"
        )
    if state.stopping is not Stopping.NO:
        raise Conflict("everything is being stopped, and begins anew with: artesian up")
    if before is not None and before.is_going:
        raise Conflict("a restart goes on already; it ends with: artesian restart --cancel")
    chosen = tuple(sorted(set(nodes))) or tuple(sorted(_with_something(state)))
    for name in chosen:
        known_node(state, seen, name)
        if not any(parts_of(state, name)):
            raise NotPossible(f"node {name} has no manager and no server that could be restarted")
        if nodes and (state.node(name).leaving or state.node(name).in_maintenance):
            raise Conflict(
                f"node {name} is {'being removed' if state.node(name).leaving else 'in maintenance'}"
            )
    if not chosen:
        raise NotPossible("no node has a manager or a server")
    _check_bearable(state, seen, chosen)
    number = max(int(now_s), before.number + 1 if before is not None else 1)
    return replace(state, restart=Restart(number, chosen, who=who))


def _with_something(state: FrameworkState) -> list[str]:
    return [name for name, one in state.nodes.items() if any(parts_of(state, name)) and not one.leaving]


def _check_bearable(state: FrameworkState, seen: Observation, nodes: Sequence[str]) -> None:
    """What would have to wait for ever is refused at once."""
    places = state.engine.managers if state.engine is not None else ()
    managing = any(RestartPart.MANAGERS in parts_of(state, name) for name in nodes)
    if managing and len(places) < _FEWEST_MANAGERS:
        raise NotPossible(
            f"with {len(places)} manager{'s' if len(places) != 1 else ''} none can be away for a moment; "
            "artesian down and artesian up restart everything at once"
        )
    engine = seen.engine
    for pool in engine.pools if engine is not None else ():
        if engine is not None and engine.has_one_copy_only(pool.name):
            raise NotPossible(
                f"pool {pool.name} is on one node alone, and could not be used meanwhile; "
                "artesian down and artesian up restart everything at once"
            )


def cancel(state: FrameworkState) -> FrameworkState:
    """Begin with no other node: one that was begun comes back, and what was restarted stays so."""
    if state.restart is None or not state.restart.is_going:
        raise Conflict("no restart goes on")
    return replace(state, restart=replace(state.restart, state=RestartState.CANCELLED))


def resume(state: FrameworkState) -> FrameworkState:
    """Go on with a restart that has ended before its time: what was restarted under it is not again."""
    restart = state.restart
    if restart is None or restart.state not in (RestartState.CANCELLED, RestartState.STOPPED):
        raise Conflict("there is no restart that has ended before its time")
    if state.stopping is not Stopping.NO:
        raise Conflict("everything is being stopped, and begins anew with: artesian up")
    state = replace(state, restart=replace(restart, state=RestartState.GOING, because=""))
    for name, record in state.nodes.items():
        if restart.number in (record.rests_for, record.managers_since, record.servers_since):
            # Whoever was told to and has not begun is told anew, once its turn has come again.
            state = state.with_node(name, rests_for=0, managers_since=0, servers_since=0)
    return state


class RestartWatch:
    """Looks at each pass how far the restart is, and ends it when somebody does not come back."""

    def __init__(self, memory: Memory, clock: Callable[[], float]) -> None:
        self._memory = memory
        self._clock = clock
        self._awaited: tuple[tuple[int, str, RestartPart], float] | None = None  # since when

    def look(self, seen: Observation) -> None:
        """One pass. Raises StoreUnusable."""
        state = self._memory.state
        if state.restart is None or state.stopping is not Stopping.NO:
            return
        turn, late = awaited(state, seen), None
        if turn is None or state.paused_because() is not None:
            self._awaited = None
        else:
            key = (state.restart.number, turn.node, turn.part)
            if self._awaited is None or self._awaited[0] != key:
                self._awaited = (key, self._clock())
            late = turn if self._clock() - self._awaited[1] > PATIENCE_S else None
        after = settled(state, seen, late)
        if after.state is state:
            return
        self._memory.change(lambda now: settled(now, seen, late).state, after.events)
        for event in after.events:
            log.info(event.kind, subject=event.subject, because=event.because)
