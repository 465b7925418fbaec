"""The machine of a remedy that adds a node: what it is, whether it may be got, how far it has come. Pure.

It is stored with the remedy, under a name made of the remedy's id, before the substrate hears of it: asked
again, after a crash too, the substrate finds that there is one of this name, and makes no second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from artesian.model.names import device_name
from artesian.model.node import NodeState
from artesian.model.remedy import Machine, Remedy
from artesian.model.rule import RemedyKind
from artesian.model.sizes import format_size
from artesian.model.state import FrameworkState
from artesian.remedy.expanding import typical_disk_bytes
from artesian.remedy.facts import RemedyFacts
from artesian.remedy.holding import DAY_S

NODES_PER_DAY = 1  # what the budget allows where it says nothing
NODES_TOTAL = 3
DEFAULT_DISKS = 1


def wanted_machine(remedy: Remedy, facts: RemedyFacts) -> Machine:
    """The machine that a remedy is to get."""
    disks = int(remedy.parameters.get("disks", DEFAULT_DISKS))
    return Machine(f"node-{remedy.id}", disks, _disk_bytes(remedy, facts), facts.now_s)


def _disk_bytes(remedy: Remedy, facts: RemedyFacts) -> int:
    """As the rule says, else as large as the pool's other disks, or those of all pools, mostly are."""
    asked = remedy.parameters.get("disk_size_bytes")
    if asked is not None:
        return int(asked)
    engine = facts.seen.engine
    typical = typical_disk_bytes(engine, remedy.pool) if engine is not None else 0
    return max(typical, facts.spec.minimum_disk_bytes)


def begun(remedy: Remedy, facts: RemedyFacts) -> Remedy:
    """The remedy as it is stored when it begins."""
    if remedy.kind is not RemedyKind.ADD_NODE:
        return remedy
    return replace(remedy, machine=wanted_machine(remedy, facts))


def cannot_add(remedy: Remedy, facts: RemedyFacts) -> str | None:
    """Why no machine may be got now: the budget, of all rules and of the remedy's own."""
    rule = facts.rule(remedy.rule)
    budget = facts.spec.budget
    everything = list(_counting(facts))
    of_rule = [one for name, one in _counting(facts) if name == remedy.rule]
    today = [one for _, one in everything if facts.now_s - one.asked_s < DAY_S]
    limits: list[tuple[int | None, int, str, str]] = [
        (_or(budget.nodes_per_day, NODES_PER_DAY), len(today), "the budget", "in a day"),
        (_or(budget.nodes_total, NODES_TOTAL), len(everything), "the budget", "in all"),
    ]
    if rule is not None:
        name = f"the budget of rule {rule.name}"
        today_of_rule = [one for one in of_rule if facts.now_s - one.asked_s < DAY_S]
        limits.append((rule.budget.nodes_per_day, len(today_of_rule), name, "in a day"))
        limits.append((rule.budget.nodes_total, len(of_rule), name, "in all"))
    for limit, had, name, when in limits:
        if limit is not None and had >= limit:
            nodes = "1 new node" if limit == 1 else f"{limit} new nodes"
            return f"{name} allows {nodes} {when}, and {had} {'was' if had == 1 else 'were'} asked for"
    return None


def _or(limit: int | None, otherwise: int) -> int:
    return limit if limit is not None else otherwise


def _counting(facts: RemedyFacts) -> Iterator[tuple[str, Machine]]:
    """Machines that there are, or may be, with their rules. One that has left the cluster for good, as the
    substrate knows it no more, counts on the day of its making only."""
    known = {node.name for node in facts.seen.nodes}
    for one in facts.state.remedies.values():
        machine = one.machine
        if machine is None or machine.refused:
            continue
        has_left = machine.is_made and machine.name not in known
        if not has_left or facts.now_s - machine.asked_s < DAY_S:
            yield one.rule, machine


def machine_missing(remedy: Remedy, facts: RemedyFacts) -> str | None:
    """What has not come about yet; None when the node is in use with all its disks."""
    machine, engine = remedy.machine, facts.seen.engine
    if machine is None:
        return "its machine was never chosen"
    if not machine.is_made:
        return machine.detail or f"machine {machine.name} is being made"
    node = facts.seen.node(machine.name)
    if node is None or node.state is not NodeState.ALIVE or machine.name in facts.seen.unheard:
        return f"node {machine.name} does not report yet"
    if not facts.state.node(machine.name).joined:
        return f"node {machine.name} is not used yet"
    if engine is None:
        return "the engine does not answer"
    working = {device.name for device in engine.devices if not device.failed}
    claims = [one for one in facts.state.claims.values() if one.node == machine.name]
    mine = [one for one in claims if device_name(one.identity) in working and remedy.pool in (None, one.pool)]
    if len(mine) < machine.disks:
        where = f" in pool {remedy.pool}" if remedy.pool is not None else ""
        return f"{len(mine)} of {machine.disks} disks of node {machine.name} are in use{where}"
    return None


def with_machine(state: FrameworkState, remedy_id: str, machine: Machine) -> FrameworkState:
    """The state with a remedy's machine as it is now."""
    remedy = state.remedies.get(remedy_id)
    if remedy is None:
        return state
    return state.with_remedy(replace(remedy, machine=machine))


def described(machine: Machine) -> str:
    """What it is, for people."""
    disks = "1 disk" if machine.disks == 1 else f"{machine.disks} disks"
    return f"machine {machine.name} with {disks} of {format_size(machine.disk_bytes)}"
