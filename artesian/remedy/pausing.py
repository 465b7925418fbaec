"""Which pause holds a remedy. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from artesian.model import pause
from artesian.model.remedy import Remedy
from artesian.model.rule import RemedyKind
from artesian.model.state import FrameworkState
from artesian.remedy.facts import claim_of_device


def paused(remedy: Remedy, state: FrameworkState) -> str | None:
    """Which pause holds a remedy; None if none does.

    To tell somebody changes nothing: only what is meant for that, its rule or its kind, holds it.
    """
    if not (state.paused or state.pauses):
        return None
    own = (pause.of_kind(remedy.kind), pause.of_rule(remedy.rule))
    if remedy.kind is RemedyKind.NOTIFY:
        return next((one.sentence for one in state.pauses_in_force() if one.scope in own), None)
    return state.paused_because(pause.REMEDIES, *own, *_touched(remedy, state))


def _touched(remedy: Remedy, state: FrameworkState) -> Iterator[str]:
    """The pool and the node that a remedy changes something of, or brings something to."""
    if remedy.pool is not None:
        yield pause.of_pool(remedy.pool)
    if remedy.machine is not None:
        yield pause.of_node(remedy.machine.name)
    match remedy.kind:
        case RemedyKind.REPLACE_DEVICE:
            claim = claim_of_device(state, remedy.thing)
            if claim is not None:
                yield pause.of_node(claim.node)
                yield pause.of_pool(claim.pool)
        case RemedyKind.REPLACE_MANAGER | RemedyKind.REMOVE_NODE | RemedyKind.MOVE_VOLUMES:
            yield pause.of_node(remedy.thing)
        case RemedyKind.GROW_VOLUME:
            wish = state.volumes.get(remedy.thing)
            if wish is not None:
                yield pause.of_pool(wish.pool)
