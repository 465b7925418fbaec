"""How far the clock goes from one pass to the next: short steps while something changes, long ones else.

Nobody skips a pass that would have done something: what is due at a time that somebody knows (an event, the
end of a fault) ends a step, and what becomes due within the product (a timer, a disk that is made) is seen
after four times as long at the latest: a step is at most three times as long as nothing has changed so far.
Time that rules count is walked through in steps that they count in full.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from artesian.model.state import FrameworkState
from artesian.remedy.looking import Look
from artesian.remedy.stopwatch import LONGEST_STEP_S
from artesian.scheduler.verdict import Verdict

if TYPE_CHECKING:
    from tests.simulation.world import World

SHORTEST_S = 10.0
LONGEST_S = 1_800.0
STILL_CALM_S = 120.0
LONGEST_COUNTED_S = 2_700.0  # no rule of the drills waits longer for a node or a manager


@dataclass
class Pace:
    """`calm_s`: for how long nothing has changed, but what applications write."""

    calm_s: float = 0.0
    soon: bool = False  # something has happened, and the next step is a short one
    _before: tuple[object, ...] = ()

    def step_s(self, world: World, known_s: float) -> float:
        """The next step. `known_s`: how long until something happens that is known."""
        step_s = SHORTEST_S if self.soon else min(LONGEST_S, max(SHORTEST_S, 3 * self.calm_s))
        self.soon = False
        if world.scheduler is not None and _is_counting(world.scheduler.remediator.last):
            step_s = min(step_s, LONGEST_STEP_S)
        return max(1.0, min(step_s, known_s))

    def saw(self, world: World, verdict: Verdict | None, step_s: float) -> None:
        """A pass was made after such a step."""
        now = _signature(verdict, world.store.state())
        self.calm_s = self.calm_s + step_s if now == self._before else 0.0
        self._before = now

    def disturb(self) -> None:
        """Something has happened; whether anything changes by it is seen in a moment, or soon after."""
        self.soon, self.calm_s = True, min(self.calm_s, STILL_CALM_S)


def _is_counting(last: Look) -> bool:
    """Whether a rule adds up how long something has been so."""
    if any(one.firing is None and one.holding.at_s is not None for one in last.memory.watched.values()):
        return True
    absences = (*last.absences.nodes.values(), *last.absences.managers.values())
    return any(one.at_s is not None and one.total_s < LONGEST_COUNTED_S for one in absences)


def _signature(verdict: Verdict | None, state: FrameworkState) -> tuple[object, ...]:
    """All but figures that change all the time."""
    remedies = [
        (key, one.state, [(part.state, part.detail) for part in one.parts])
        for key, one in state.remedies.items()
        if one.state.is_open or not all(part.is_released for part in one.parts)
    ]
    stored = (state.nodes, state.claims, state.tombstones, state.volumes, state.pauses, state.paused)
    if verdict is None:
        return (stored, remedies)
    seen, guarded = verdict.seen, verdict.decision.guarded
    engine = seen.engine
    taken = [(one.step.id, one.outcome) for one in verdict.taken]
    of_engine: tuple[object, ...] = ()
    if engine is not None:
        moving = [(pool.degraded_bytes, pool.moving_bytes) for pool in engine.pools]
        of_engine = (engine.managers, engine.servers, engine.devices, engine.clients, engine.volumes, moving)
    steps = [(part.step.id, part.because) for part in (*guarded.held, *guarded.waiting)]
    return (
        stored,
        remedies,
        steps,
        taken,
        seen.nodes,
        seen.attachments,
        seen.unheard,
        seen.behind,
        of_engine,
    )
