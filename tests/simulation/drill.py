"""One seed: a cluster is drawn, things happen to it, then they stop, and it has to become healthy."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from artesian.model.disk import EngineLabel
from artesian.model.names import client_guid
from artesian.scheduler.verdict import Verdict
from tests.simulation.events import DISK_FACTS, Events
from tests.simulation.nodes import SimulatedNode, make_disk, make_node
from tests.simulation.rules import FEW_MANAGERS, Violation
from tests.simulation.scheduler import simulated
from tests.simulation.world import World

TICKS = 150
PATIENCE_S = 400
AGENTS_PATIENCE_S = 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a drill was like."""

    seed: int
    story: tuple[str, ...]
    commits: int
    changes: int
    kills: int
    volumes: int
    fault_s: float  # simulated seconds in which at least one fault was active


def run(seed: int, *, nodes: int = 6, ticks: int = TICKS) -> Outcome:
    """One drill. Raises Violation, with its story as notes."""
    chance = random.Random(seed)
    machines, spec = draw_nodes(chance, nodes), draw_spec(chance)
    world = World(machines, spec, seed=seed)
    events = Events(world, random.Random(seed + 1))
    events.tell(f"spec {spec!r}")
    with simulated(world.clock):
        try:
            for _ in range(ticks):
                events.happen()
                world.tick()
            events.stop()
            if world.settle(PATIENCE_S) >= PATIENCE_S:
                world.watch.fail("it does not become healthy", unfinished_steps(world.verdict))
            for _ in range(AGENTS_PATIENCE_S):
                world.tick()
            check_end(world)
        except Exception as error:
            error.add_note(f"seed {seed}")
            error.add_note("\n".join(events.told[-80:]))
            raise
    return Outcome(
        seed,
        tuple(events.told),
        world.store.commits,
        world.faults.changes,
        len(world.kills),
        len(world.system.volumes),
        world.fault_s,
    )


def draw_spec(chance: random.Random) -> str:
    """Who is asked for what."""
    return "\n".join(
        (
            f"new_disks: {chance.choice(['ask', 'take'])}",
            f"new_nodes: {chance.choice(['ask', 'take'])}",
            "minimum_disk: 10GiB",
        )
    )


def draw_nodes(chance: random.Random, count: int) -> list[SimulatedNode]:
    """Nodes with some disks that must not be touched, in fault sets or not."""
    racks = chance.random() < 0.4
    found = []
    for number in range(count):
        attributes = {"scaleio-fault-set": f"rack-{number % 3}"} if racks else {}
        node = make_node(number, chance.randint(1, 3), attributes=attributes)
        for letter in "xyz"[: chance.randint(0, 2)]:
            disk = make_disk(node.name, letter, **chance.choice(DISK_FACTS))
            node.disks[disk.identity or disk.path] = disk
        found.append(node)
    return found


def unfinished_steps(verdict: Verdict | None) -> str:
    """What is still to be done, and why it is not."""
    if verdict is None:
        return "there is no verdict"
    guarded = verdict.decision.guarded
    parts = [f"{one.outcome}: {one.step.change} ({one.detail})" for one in verdict.taken]
    parts += [f"held: {one.step.change} ({one.because})" for one in guarded.held]
    parts += [f"waiting: {one.step.change} ({one.because})" for one in guarded.waiting]
    return "; ".join([*parts, verdict.seen.engine_problem])


def check_end(world: World) -> None:
    """Everything is where somebody wants it, and nothing else is anywhere."""
    state, system = world.store.state(), world.system
    fail = world.watch.fail
    if state.engine is None:
        fail("it does not become healthy", "there is no engine")
        return
    if len(system.managers) != 3:
        fail(FEW_MANAGERS, str(system.managers))
    names = {volume.name: volume for volume in system.volumes.values()}
    if set(names) != set(state.volumes):
        fail("volumes differ from the wishes", f"{sorted(names)}, {sorted(state.volumes)}")
        return
    for name, wish in state.volumes.items():
        guids = [client_guid(state.engine.system_id, wish.node)] if wish.node is not None else []
        if names[name].writers != guids or names[name].size_bytes != wish.size_bytes:
            fail("a volume is not as it is wished", f"{wish}, {names[name]}")
        users = [node.name for node in world.nodes.values() if names[name].id in node.attached]
        if users != ([wish.node] if wish.node is not None else []):
            fail("a volume is not where it is wished", f"{wish}, {users}")
    for identity, claim in state.claims.items():
        disk = world.nodes[claim.node].disks.get(identity)
        if disk is not None and disk.label is None and not disk.signatures and identity not in system.devices:
            fail("a claimed disk is no device", f"{claim}, {disk}")
    if world.scheduler is not None and world.scheduler.memory.state != state:
        fail("the memory differs from the store", "")


def labelled(node: SimulatedNode) -> SimulatedNode:
    """Its first disk belongs to an engine of which nothing is remembered."""
    key = next(iter(node.disks))
    node.disks[key] = replace(node.disks[key], label=EngineLabel("another", "device"))
    return node


__all__ = ["Outcome", "Violation", "check_end", "draw_nodes", "draw_spec", "labelled", "run"]
