"""The remedy `change-limit`: what a volume's limit of requests becomes, and whether that can be. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from artesian.model.engine import SeenLimits
from artesian.model.remedy import Remedy
from artesian.model.state import FrameworkState
from artesian.model.wishes import FEWEST_IOPS, MOST_IOPS
from artesian.remedy.facts import RemedyFacts


def changed_iops(iops: int, parameters: Mapping[str, str | float]) -> int:
    """The new limit: `to`, or the old one and a share of it, by one request at least, within the bounds."""
    to = parameters.get("to_iops")
    if to is not None:
        return int(to)
    by_share = float(parameters.get("by_share", 0.0))
    changed = iops * (1 + by_share)
    changed = math.ceil(changed - 1e-9) if by_share > 0 else math.floor(changed + 1e-9)
    most = min(MOST_IOPS, float(parameters.get("at_most_iops", MOST_IOPS)))
    least = max(FEWEST_IOPS, float(parameters.get("at_least_iops", FEWEST_IOPS)))
    bounded = int(max(least, min(most, changed)))
    # A bound never turns the way round: what is above the most already is not to be lowered by raising it.
    return max(iops, bounded) if by_share > 0 else min(iops, bounded)


def cannot_change(remedy: Remedy, facts: RemedyFacts) -> str | None:
    """Why the limit cannot be changed."""
    wish = facts.state.volumes.get(remedy.thing)
    if wish is None or wish.deleted:
        return f"there is no volume {remedy.thing}"
    if not wish.limit_iops and "to_iops" not in remedy.parameters:
        return f"volume {remedy.thing} has no limit of requests that could be changed"
    if changed_iops(wish.limit_iops, remedy.parameters) == wish.limit_iops:
        return f"volume {remedy.thing} may do {wish.limit_iops} requests a second already, and so it stays"
    return None


def begin_changing(remedy: Remedy, facts: RemedyFacts) -> FrameworkState:
    """Wish for the new limit."""
    wish = facts.state.volumes[remedy.thing]
    iops = changed_iops(wish.limit_iops, remedy.parameters)
    return facts.state.with_volume(replace(wish, limit_iops=iops))


def changing_missing(remedy: Remedy, facts: RemedyFacts) -> str | None:
    """A volume that is attached nowhere has it as soon as it is."""
    wish, engine = facts.state.volumes.get(remedy.thing), facts.seen.engine
    if wish is None or wish.node is None:
        return None
    if engine is None:
        return "the engine does not answer"
    seen = engine.volume_with_id(wish.engine_id)
    limits = seen.limits_of(facts.state.guid_of(wish.node)) if seen is not None else SeenLimits()
    return f"the limit of volume {remedy.thing} is not set yet" if limits.iops != wish.limit_iops else None
