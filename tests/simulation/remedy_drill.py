"""One seed of a longer drill: rules, providers and budgets are drawn, pools fill up, and all of it fails."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from tests.simulation.drill import check_end, unfinished_steps
from tests.simulation.nodes import SimulatedNode, make_node
from tests.simulation.remedy_events import ALL_HAPPENINGS, CALM_HAPPENINGS, RemedyEvents
from tests.simulation.remedy_watch import is_given_back, unfinished
from tests.simulation.scheduler import simulated
from tests.simulation.world import World

TICKS = 240
TICK_S = 10.0
LONG_TICK_S = 30.0
CALM_FILL_S = (2.5 * 2_700, 6.0 * 2_700)  # rules look 45 minutes ahead where new disks take five
PATIENCE_TICKS = 500  # of the long ones: longer than a remedy may be stuck, and than a repeated one
QUIET_TICKS = 12


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a drill was like. `remedies`: how often each kind ended how."""

    seed: int
    story: tuple[str, ...]
    commits: int
    changes: int
    kills: int
    fault_s: float
    begun: int
    disks_made: int
    remedies: Counter[str]


def run(seed: int, *, ticks: int = TICKS) -> Outcome:
    """One drill. Raises Violation, with its story as notes."""
    chance = random.Random(f"remedies {seed}")
    calm = chance.random() < 0.2
    nodes = draw_nodes(chance)
    spec = draw_spec(chance, calm=calm, nodes=len(nodes))
    world = World(nodes, spec, seed=seed, promptness=1.0 if calm else 0.97)
    events = RemedyEvents(world, random.Random(seed + 1), happenings=ALL_HAPPENINGS)
    if calm:
        events.happenings = CALM_HAPPENINGS
        events.fill_s = CALM_FILL_S
    events.tell(f"spec {spec}")
    with simulated(world.clock):
        try:
            _happen(world, events, ticks, calm=calm)
            events.stop()
            world.promptness = 1.0
            settle(world)
            check_end(world)
            world.remedies.at_the_end(world.store.state())
        except Exception as error:
            error.add_note(f"seed {seed}")
            error.add_note("\n".join([*events.told[-100:], *told_by(world)]))
            raise
    watch = world.remedies
    return Outcome(
        seed,
        tuple(events.told),
        world.store.commits,
        world.faults.changes,
        len(world.kills),
        world.fault_s,
        watch.begun,
        world.cloud.made,
        watch.ended,
    )


def _happen(world: World, events: RemedyEvents, ticks: int, *, calm: bool) -> None:
    """First it is made, in peace; then things happen."""
    tick_s = LONG_TICK_S if calm else TICK_S
    spare = "kind: spare" in world.store.state().spec_text
    made = False
    for _ in range(ticks):
        if not made and is_made(world):
            made = True
            if spare:
                events.keep_spares()
        if made:
            events.happen()
            events.operate()
            events.write(tick_s)
            full = [one for one in events.writers.values() if one.refused]
            if calm and full:
                world.remedies.fail("a pool is full although its provider works", str(full))
        else:
            world.approve()
        world.tick(tick_s)


def is_made(world: World) -> bool:
    """Whether there is an engine with disks, and nothing to do."""
    verdict = world.verdict
    return bool(world.system.devices) and verdict is not None and world.is_settled(verdict)


def settle(world: World) -> None:
    """Until nothing is left to do for anybody, in several passes."""
    quiet = 0
    for _ in range(PATIENCE_TICKS):
        verdict = world.tick(LONG_TICK_S)
        if verdict is None:
            quiet = 0
            continue
        world.approve()
        state = world.store.state()
        ready = world.is_settled(verdict) and not unfinished(state) and is_given_back(state, world.cloud)
        quiet = quiet + 1 if ready else 0
        if quiet == QUIET_TICKS:
            return
    state = world.store.state()
    if unfinished(state):
        world.remedies.fail("a remedy never ends", str(unfinished(state)))
    if not is_given_back(state, world.cloud):
        world.remedies.fail("a disk is never given back", str(list(world.cloud.disks.values())))
    world.watch.fail("it does not become healthy", unfinished_steps(world.verdict))


def told_by(world: World) -> list[str]:
    """The last events of the scheduler itself, and all remedies."""
    events = [
        f"{event.at_s:.0f}   {event.kind} {event.subject}: {event.because}" for event in world.store.log
    ]
    remedies = sorted(world.store.state().remedies.values(), key=lambda one: one.created_s)
    return [
        "--- events",
        *events[-80:],
        "--- remedies",
        *map(str, remedies[-12:]),
        f"now {world.clock.now_s:.0f}",
    ]


# --- what is drawn


def draw_nodes(chance: random.Random) -> list[SimulatedNode]:
    """Some of them in fault sets."""
    racks = chance.random() < 0.2
    count = chance.randint(4, 7)
    found = []
    for number in range(count):
        attributes = {"scaleio-fault-set": f"rack-{number % 3}"} if racks else {}
        found.append(make_node(number, chance.randint(1, 2), attributes=attributes))
    return found


def draw_spec(chance: random.Random, *, calm: bool, nodes: int) -> str:
    """`calm`: pools are expanded in time without asking anybody, whatever it costs."""
    lines = [
        f"new_disks: {chance.choice(['ask', 'ask', 'take'])}",
        "new_nodes: take",
        "minimum_disk: 10GiB",
        f"default_rules: {'no' if calm else chance.choice(['no', 'yes'])}",
    ]
    if nodes > 5 and chance.random() < 0.5:
        domain = chance.choice(["engineering", "default"])
        members = ", ".join(f"node-{number:05d}" for number in range(3))
        lines.append("global_pool: default/default")
        lines.append(f"pools: [{{name: {domain}/gold, nodes: {{names: [{members}]}}}}]")
    lines += _providers(chance, calm=calm)
    if not calm and chance.random() < 0.5:
        lines.append(f"budget: {_budget(chance)}")
    lines.append("rules:")
    lines += [f"  - {rule}" for rule in _rules(chance, calm=calm)]
    return "\n".join(lines)


def _providers(chance: random.Random, *, calm: bool) -> list[str]:
    lead = chance.choice(["30s", "2m", "2m", "5m"] if calm else ["30s", "2m", "5m", "15m"])
    size = chance.choice(["", "", ", disk_size: 50GiB", ", disk_size: 200GiB"])
    cloud = f"  - {{name: cloud, kind: ebs, lead_time: {lead}, price_per_gib_month: 0.1{size}}}"
    spare = "  - {name: spare, kind: spare}"
    drawn = chance.random()
    if calm or drawn < 0.7:
        return ["providers:", cloud]
    return (
        ["providers:", cloud, spare]
        if drawn < 0.8
        else ["providers:", spare, *([cloud] if drawn < 0.95 else [])]
    )


def _budget(chance: random.Random) -> str:
    """Enough for one expansion at least."""
    key = chance.choice(
        ["disks_per_day", "disks_total", "bytes_per_day", "bytes_total", "cost_total", "cost_per_day"]
    )
    disks = chance.randint(2, 6)
    value = {"disks": f"{disks}", "bytes": f"{disks * 200}GiB", "cost": f"{disks * 20}"}[
        key.partition("_")[0]
    ]
    return f"{{{key}: {value}}}"


def _rules(chance: random.Random, *, calm: bool) -> list[str]:
    def common(kind: str, *, ask: float = 0.3) -> str:
        approval = "ask" if not calm and chance.random() < ask else "automatic"
        parts = [
            f"name: my-{kind}",
            f"remedy: {kind}",
            f"approval: {approval}",
            f"for: {chance.choice([0, 20, 60])}s",
        ]
        if not calm and chance.random() < 0.15:
            parts.append('quiet_hours: ["00:40-01:10"]')
        parts.append(f"cooldown: {chance.choice(['1m', '10m'])}")
        return ", ".join(parts)

    early = "time_to_full_s < 3 * expansion_lead_s + 30m and forecast_sure >= 50% or used_share > 85%"
    when = early if calm else chance.choice([early, early, "used_share > 70%", "time_to_full_s < 1h"])
    parameters = ["", "disks: 2", "disks: 3", "target_share: 50%", "target_share: 40%"]
    drawn = chance.choice(parameters)
    more = f", parameters: {{{drawn}}}" if drawn and not calm else ""
    if not calm and chance.random() < 0.2:
        more += f", budget: {_budget(chance)}"
    if not calm and chance.random() < 0.2:
        more += ', things: ["default/*"]'
    found = [f"{{{common('expand-pool')}, when: {when}{more}}}"]
    untouched = "not in_maintenance and cluster_degraded_bytes == 0"
    others = (
        ("replace-device", "failed and ours", ""),
        ("replace-manager", "away_s > 3m and ours and not in_maintenance", ""),
        ("remove-node", f"gone and away_s > 5m and in_use and {untouched}", ""),
        ("grow-volume", "size_bytes < 20GiB", ", parameters: {by: 50%, at_most: 32GiB}"),
        ("move-volumes", "silent and away_s > 1m and volumes > 0", ""),
    )  # fmt: skip
    for kind, condition, parameters_of in () if calm else others:
        if chance.random() < 0.6:
            found.append(f"{{{common(kind)}, when: {condition}{parameters_of}}}")
    found.append("{name: tell, remedy: notify, scope: pool, when: used_share > 50%}")
    return found


__all__ = ["TICKS", "Outcome", "draw_nodes", "draw_spec", "run"]
