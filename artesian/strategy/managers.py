"""Where managers run: on different nodes, in different fault sets where there are any, and where they stay.

A manager that is there stays where it is, even if its node is silent: replacing it is a remedy, which has its
own patience. Personas decide first, then the spread over fault sets, then what a node can spare.
"""

from __future__ import annotations

from collections import Counter

from artesian.model.node import Node, NodeState
from artesian.model.observation import Observation
from artesian.model.state import FrameworkState
from artesian.model.topology import ManagerRole, WantedManager
from artesian.strategy.situation import Situation

ALLOWED_COUNTS = (1, 3, 5)
DEFAULT_MANAGERS = 3
PERSONA_ROLES = {
    "primary": ManagerRole.MANAGER,
    "secondary": ManagerRole.MANAGER,
    "tiebreaker": ManagerRole.TIEBREAKER,
}


def wanted_managers(situation: Situation) -> tuple[list[WantedManager], list[str]]:
    """The managers, by node, and what is missing for them."""
    eligible = [node for node in situation.nodes if _may_manage(situation, node)]
    asked = situation.spec.managers.count
    count = asked if asked is not None else DEFAULT_MANAGERS
    possible = max((one for one in ALLOWED_COUNTS if one <= min(count, len(eligible))), default=0)
    shortfalls = []
    if possible < count:
        shortfalls.append(
            f"{count} managers are wanted, on as many nodes, and {len(eligible)} can have one: there will be "
            f"{possible}, and the loss of {'a node' if possible < 3 else 'two nodes'} stops all changes"
        )
    chosen = _choose(situation, eligible, possible)
    return sorted(_with_roles(situation, chosen), key=lambda one: one.node), shortfalls


def too_few_nodes_without(name: str, state: FrameworkState, seen: Observation) -> str | None:
    """What would be so without a node, if its managers' engine needs it: each needs a node of its own among
    those that stay. None if there are enough."""
    managers = len(state.engine.managers) if state.engine is not None else 0
    staying = [
        node
        for node in seen.nodes
        if node.name != name
        and node.state is not NodeState.GONE
        and state.node(node.name).joined
        and not state.node(node.name).leaving
    ]
    if len(staying) >= managers:
        return None
    return f"there would be {len(staying)} nodes, and {managers} managers need as many"


def _may_manage(situation: Situation, node: Node) -> bool:
    if node.name in situation.managers:
        return True
    return (
        node.state is NodeState.ALIVE
        and node.joined
        and not node.in_maintenance
        and situation.said_of(node.name).persona != "data"
        and situation.spec.managers.nodes.selects(node)
    )


def _choose(situation: Situation, eligible: list[Node], count: int) -> list[tuple[Node, str]]:
    """Nodes and why each was chosen, the best first."""
    chosen: list[tuple[Node, str]] = []
    used = Counter[str]()
    left = list(eligible)
    while len(chosen) < count:
        best = min(left, key=lambda node: _rank(situation, node, used))
        left.remove(best)
        chosen.append((best, _reason(situation, best, used)))
        used[_fault_set(situation, best)] += 1
    return chosen


def _fault_set(situation: Situation, node: Node) -> str:
    return situation.said_of(node.name).fault_set or f"node {node.name}"


def _rank(situation: Situation, node: Node, used: Counter[str]) -> tuple[object, ...]:
    persona = situation.said_of(node.name).persona
    return (
        persona not in PERSONA_ROLES,
        node.name not in situation.managers,
        used[_fault_set(situation, node)],
        -node.cpus,
        -node.memory_bytes,
        node.name,
    )


def _reason(situation: Situation, node: Node, used: Counter[str]) -> str:
    attributes = situation.said_of(node.name)
    if attributes.persona in PERSONA_ROLES:
        return f"node {node.name} has the persona {attributes.persona}"
    if node.name in situation.managers:
        return f"node {node.name} has one already"
    if attributes.fault_set is not None and not used[_fault_set(situation, node)]:
        return f"no other manager is in fault set {attributes.fault_set}"
    return f"node {node.name} has most to spare of those without one"


def _with_roles(situation: Situation, chosen: list[tuple[Node, str]]) -> list[WantedManager]:
    """Tiebreakers are those of which a persona says so, and never all: whoever can lead should."""
    roles = {
        node.name: PERSONA_ROLES.get(situation.said_of(node.name).persona or "", ManagerRole.MANAGER)
        for node, _ in chosen
    }
    if chosen and ManagerRole.MANAGER not in roles.values():
        roles[chosen[0][0].name] = ManagerRole.MANAGER
    return [WantedManager(node.name, roles[node.name], because) for node, because in chosen]
