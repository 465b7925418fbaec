"""Keeping two good copies of every slice, each on its fair share of devices: decisions only, no I/O.

`decide` is asked again and again by the leading manager; `summarize` tells how things stand.
"""

from artesian.embedded.healing.deciding import decide
from artesian.embedded.healing.limits import is_busy, joins_allowed
from artesian.embedded.healing.policy import Decision, HealingPolicy
from artesian.embedded.healing.room import obstacle_to_removal
from artesian.embedded.healing.summary import JoinProgress, PoolHealth, summarize

__all__ = [
    "Decision",
    "HealingPolicy",
    "JoinProgress",
    "PoolHealth",
    "decide",
    "is_busy",
    "joins_allowed",
    "obstacle_to_removal",
    "summarize",
]
