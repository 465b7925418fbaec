"""Pauses as users ask for them, as changes of the state; and those whose time is over.

Every function gives a state out of a state, or raises NotThere or NotPossible, and then nothing has changed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import MappingProxyType

from artesian.model import pause
from artesian.model.errors import NotPossible, NotThere
from artesian.model.event import Event
from artesian.model.pause import EVERYTHING, KINDS, REMEDIES, Pause
from artesian.model.rule import RemedyKind
from artesian.model.spec import DEFAULT_POOL, Spec
from artesian.model.state import FrameworkState, with_item
from artesian.scheduler.memory import Memory
from artesian.scheduler.verdict import Verdict

LONGEST_S = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class Pausable:
    """What there is: all scopes that can be paused."""

    pools: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    def scope(self, written: str) -> str:
        """A scope as somebody wrote it. Raises NotThere, naming what there is."""
        kind, colon, name = written.partition(":")
        if written in (EVERYTHING, REMEDIES):
            return written
        known: dict[str, tuple[str, tuple[str, ...], Callable[[str], str]]] = {
            "pool": ("pool", self.pools, lambda one: f"pool:{one}"),
            "node": ("node", self.nodes, pause.of_node),
            "remedy": ("kind of remedy", tuple(RemedyKind), pause.of_kind),
            "rule": ("rule", self.rules, pause.of_rule),
        }
        if not colon or kind not in known:
            raise NotThere(f"{written!r} cannot be paused; what can is {', '.join(KINDS)}")
        word, names, scope_of = known[kind]
        if kind == "pool" and "/" not in name:
            name = f"{DEFAULT_POOL.domain}/{name}"
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"; is {near[0]} meant?" if near else ""
            raise NotThere(f"there is no {word} {name}; there are {', '.join(names) or 'none'}{hint}")
        return scope_of(name)


def pausable(spec: Spec, verdict: Verdict | None, state: FrameworkState) -> Pausable:
    """Everything that is seen, wanted or remembered: what does not answer now can be paused, too.

    `verdict` None: nothing has been seen yet.
    """
    pools = {str(one.name) for one in spec.pools} | {str(one.pool) for one in state.claims.values()}
    pools |= {str(spec.global_pool)} if spec.global_pool is not None else set()
    nodes = set(state.nodes)
    if verdict is not None:
        pools |= {str(one.name) for one in verdict.decision.topology.pools}
        pools |= {str(one.name) for one in verdict.seen.engine.pools} if verdict.seen.engine else set()
        nodes |= {one.name for one in verdict.seen.nodes}
    return Pausable(tuple(sorted(pools)), tuple(sorted(nodes)), tuple(one.name for one in spec.rules))


def begin(
    state: FrameworkState,
    there: Pausable,
    scopes: Iterable[str],
    now_s: float,
    *,
    for_s: float | None = None,
    because: str = "",
    who: str = "",
) -> FrameworkState:
    """Pause these, or everything if none is named; a pause that there is already is as it is said now.

    `for_s`: after so long it ends by itself.
    """
    if for_s is not None and not 0 < for_s <= LONGEST_S:
        raise NotPossible("a pause ends by itself after more than nothing and at most 366 days")
    until_s = now_s + for_s if for_s is not None else None
    for scope in [there.scope(one) for one in scopes] or [EVERYTHING]:
        before = state.pauses.get(scope)
        since_s = before.since_s if before is not None else now_s
        made = Pause(scope, since_s, until_s, because, who)
        state = replace(
            state, pauses=with_item(state.pauses, scope, made), paused=state.paused or scope == EVERYTHING
        )
    return state


def end(state: FrameworkState, scopes: Iterable[str]) -> FrameworkState:
    """End these pauses, or that of everything if none is named; what is not paused by name stays as it is."""
    wanted = list(scopes) or [EVERYTHING]
    in_force = {one.scope for one in state.pauses_in_force()}
    for written in wanted:
        kind, _, name = written.partition(":")
        scope = f"pool:{DEFAULT_POOL.domain}/{name}" if kind == "pool" and "/" not in name else written
        if scope not in in_force and scope != EVERYTHING:
            known = ", ".join(sorted(in_force)) or "nothing"
            raise NotThere(f"{written} is not paused by itself; what is paused is {known}")
        state = _without(state, scope)
    return state


def ended(state: FrameworkState, now_s: float) -> tuple[FrameworkState, tuple[Event, ...]]:
    """The state without pauses whose time is over, and what is told of it."""
    told = []
    for scope, one in sorted(state.pauses.items()):
        if one.has_ended(now_s):
            state = _without(state, scope)
            told.append(Event("resumed", scope, f"its time is over: {one.sentence}"))
    return state, tuple(told)


def _without(state: FrameworkState, scope: str) -> FrameworkState:
    left = {key: one for key, one in state.pauses.items() if key != scope}
    return replace(state, pauses=MappingProxyType(left), paused=state.paused and scope != EVERYTHING)


def end_those_that_are_over(memory: Memory, now_s: float) -> None:
    """Before a pass decides anything. `now_s` is Unix time. Raises StoreUnusable."""
    if not any(one.has_ended(now_s) for one in memory.state.pauses.values()):
        return
    _, told = ended(memory.state, now_s)
    memory.change(lambda state: ended(state, now_s)[0], list(told))
