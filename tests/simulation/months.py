"""One seed of a long life: a cluster lives for months, and faults last as long as they do in life.

At the end of each month everything that is broken by then is well again, and the cluster has to become so
too; then the next month begins with all that the framework remembers.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from tests.simulation.drill import check_end
from tests.simulation.month_events import MONTH_HAPPENINGS, MonthEvents
from tests.simulation.month_people import DAY_S, HOUR_S
from tests.simulation.remedy_drill import draw_nodes, draw_spec, is_made, settle, told_by
from tests.simulation.scheduler import simulated
from tests.simulation.world import World

BEGIN_S = 1_750_000_000.0
TICK_S = 10.0
GAPS_S = (HOUR_S, 2 * HOUR_S, 4 * HOUR_S)
PROMPTNESS = 0.98  # while steps are short; in a long one every agent has reported that can


@dataclass(frozen=True, slots=True)
class Life:
    """What a life was like. `by_kind` counts each fault for as long as it is in force, also several at once;
    in `fault_s` of `seconds` there was at least one."""

    seed: int
    story: tuple[str, ...]
    seconds: float
    passes: int
    changes: int
    commits: int
    kills: int
    fault_s: float
    by_kind: Counter[str]
    begun: int
    disks_made: int
    machines_made: int
    remedies: Counter[str]


def run(seed: int, *, months: int = 1, days: int = 30) -> Life:
    """One life, of months of so many days. Raises Violation, with its story as notes."""
    chance = random.Random(f"months {seed}")
    nodes = draw_nodes(chance)
    spec = draw_long_spec(chance, len(nodes))
    world = World(nodes, spec, seed=seed, promptness=PROMPTNESS)
    world.clock.now_s = BEGIN_S + chance.uniform(0, 7 * DAY_S)
    began_s = world.clock.now_s
    events = MonthEvents(world, random.Random(seed + 1), happenings=MONTH_HAPPENINGS)
    events.gap_s = chance.choice(GAPS_S)
    events.tell(f"spec {spec}")
    with simulated(world.clock, world.wall):
        try:
            _deploy(world)
            for _ in range(months):
                events.begin_anew()
                _live(world, events, world.clock.now_s + days * DAY_S)
                events.stop()
                settle(world)
                events.join_again()
                settle(world)
                check_end(world)
                world.remedies.at_the_end(world.store.state())
        except Exception as error:
            error.add_note(f"seed {seed}")
            error.add_note("\n".join([*events.told[:1], *events.told[-100:], *told_by(world)]))
            raise
    return Life(
        seed,
        tuple(events.told),
        world.clock.now_s - began_s,
        world.passes,
        world.faults.changes,
        world.store.commits,
        len(world.kills),
        world.fault_s,
        world.fault_s_by_kind,
        world.remedies.begun,
        world.cloud.made,
        world.substrate.made,
        world.remedies.ended,
    )


def _deploy(world: World) -> None:
    """In peace."""
    for _ in range(200):
        world.approve()
        world.tick(TICK_S)
        if is_made(world):
            return
    world.watch.fail("it is never deployed", "")


def _live(world: World, events: MonthEvents, until_s: float) -> None:
    pace = events.pace
    while world.clock.now_s < until_s:
        events.happen()
        events.operate()
        step_s = pace.step_s(world, min(events.due_in_s(), until_s - world.clock.now_s))
        world.promptness = PROMPTNESS if step_s <= TICK_S else 1.0
        events.write(step_s)
        pace.saw(world, world.tick(step_s), step_s)
    world.promptness = 1.0


def draw_long_spec(chance: random.Random, nodes: int) -> str:
    """As for shorter drills, with more rules, and budgets that are not used up on the first day."""
    lines = draw_spec(chance, calm=False, nodes=nodes).splitlines()
    lines = [line for line in lines if not line.startswith("budget:")]
    at = lines.index("rules:")
    if chance.random() < 0.7:
        lines.insert(at, f"budget: {{{chance.choice(_BUDGETS)}}}")
    for rule in _RULES:
        if chance.random() < 0.6:
            approval = chance.choice(("ask", "automatic"))
            lines.append(f"  - {{{rule}, approval: {approval}, cooldown: {chance.choice(('10m', '6h'))}}}")
    return "\n".join(lines)


_BUDGETS = (
    "disks_per_day: 4",
    "disks_per_day: 2, nodes_total: 1",
    "disks_total: 12",
    "bytes_per_day: 600GiB, nodes_per_day: 1, nodes_total: 2",
    "cost_per_day: 80",
    "cost_total: 200",
    "nodes_per_day: 2",
)
_RULES = (
    "name: sick, when: ours and not failed and (error_count > 20 or latency_s > 0.2 and latency_s > 10 * "
    'peers_latency_s), remedy: replace-device, for: 5m, things: ["*"]',
    "name: warned, when: smart_failing and ours and not failed, remedy: replace-device, for: 1m",
    "name: more, when: limited_share > 90%, remedy: change-limit, for: 1m, "
    "parameters: {by: 50%, at_most: 5000}",
    "name: less, when: limited_share < 10%, remedy: change-limit, for: 20m, "
    "parameters: {by: -50%, at_least: 50}",
    "name: machine, when: used_share > 80% and cluster_nodes < 9, remedy: add-node, scope: pool, for: 5m, "
    "parameters: {disks: 2}",
    "name: machines, when: nodes_away > 0 and nodes < 9, remedy: add-node, scope: cluster, for: 20m",
)
