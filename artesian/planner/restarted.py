"""How far a rolling restart is: what of each node was started under it, and is back. Pure.

Agents say of every process under which restart it was started, and the engine whether it answers; both are
looked at anew each time, so that nothing has to be remembered of what has been restarted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from artesian.model.engine import EngineSeen, ManagerPlace
from artesian.model.names import server_name
from artesian.model.node import NodeState
from artesian.model.observation import Observation
from artesian.model.restart import Restart, RestartPart
from artesian.model.state import FrameworkState
from artesian.model.topology import ManagerRole


@dataclass(frozen=True, slots=True)
class Turn:
    """One part of one node, and its place among all. `missing`: what it lacks to be restarted and back; empty
    if nothing. `begun`: it was told to, or its servers rest for it."""

    node: str
    part: RestartPart
    missing: str
    begun: bool


def turns(state: FrameworkState, seen: Observation, restart: Restart) -> list[Turn]:
    """All parts of the nodes that it is for, in their order: what was begun first, then managers, and of
    these the leader last; then servers, node by node. Nodes that leave or are gone are passed over."""
    found = []
    for node in restart.nodes:
        if passed_over(state, seen, node):
            continue
        for part in parts_of(state, node):
            missing = what_is_missing(state, seen, restart.number, node, part)
            found.append(Turn(node, part, missing, _has_begun(state, restart, node, part)))
    leader = _leader(state, seen.engine)
    return sorted(
        found,
        key=lambda one: (
            not one.begun,
            one.part is RestartPart.SERVERS,
            one.part is RestartPart.MANAGERS and one.node == leader,
            one.node,
        ),
    )


def passed_over(state: FrameworkState, seen: Observation, node: str) -> str:
    """Why a node is not waited for; empty if it is."""
    found = seen.node(node)
    if state.node(node).leaving:
        return f"node {node} is being removed"
    if found is not None and found.state is NodeState.GONE:
        return f"node {node} is gone for certain"
    if node not in state.nodes:
        return f"node {node} is not used any more"
    return ""


def parts_of(state: FrameworkState, node: str) -> Iterator[RestartPart]:
    """What a node has to run, by what was decided."""
    if _place(state, node) is not None:
        yield RestartPart.MANAGERS
    if state.node(node).domains:
        yield RestartPart.SERVERS


def what_is_missing(
    state: FrameworkState, seen: Observation, number: int, node: str, part: RestartPart
) -> str:
    """Why a part does not count as restarted and back; empty if it does."""
    found = seen.node(node)
    missing = _missing_process(state, seen, number, node, part)
    missing = missing or _missing_in_engine(state, seen, node, part)
    if missing and (found is None or found.state is not NodeState.ALIVE):
        return f"node {node} is {found.state if found is not None else 'not there'}"
    return missing


def rests(state: FrameworkState, seen: Observation, node: str) -> bool:
    """Whether the servers of a node are to be in maintenance for a restart that is going on."""
    restart = state.restart
    if restart is None or not restart.is_going or state.node(node).rests_for != restart.number:
        return False
    if passed_over(state, seen, node):
        return False
    return bool(what_is_missing(state, seen, restart.number, node, RestartPart.SERVERS))


def _has_begun(state: FrameworkState, restart: Restart, node: str, part: RestartPart) -> bool:
    record = state.node(node)
    rested = part is RestartPart.SERVERS and record.rests_for == restart.number
    return rested or record.since(part) == restart.number


def _missing_process(
    state: FrameworkState, seen: Observation, number: int, node: str, part: RestartPart
) -> str:
    processes = seen.processes.get(node)
    if processes is None:
        return f"node {node} has not reported yet"
    if any(one.started_under is None for one in processes):
        return f"the agent of node {node} knows nothing of restarts: it is older than this scheduler"
    of_part = sorted((one for one in processes if one.part is part), key=lambda one: one.name)
    for one in of_part:
        if (one.started_under or 0) < number:
            return f"{one.name} of node {node} was started before"
    for one in of_part:
        if not one.running:
            return f"{one.name} of node {node} does not run"
    if len(of_part) < _expected(state, node, part):
        return f"not all {part} of node {node} run"
    for one in of_part:
        if not one.settled:
            return f"{one.name} of node {node} has only just been started"
    return ""


def _expected(state: FrameworkState, node: str, part: RestartPart) -> int:
    """How many processes there are at least."""
    if part is RestartPart.MANAGERS:
        place = _place(state, node)
        return 0 if place is None else 2 if place.role is ManagerRole.MANAGER else 1
    if state.engine is not None and state.engine.ceph is not None:
        return sum(one.node == node for one in state.claims.values())
    return len(state.node(node).domains)


def _missing_in_engine(state: FrameworkState, seen: Observation, node: str, part: RestartPart) -> str:
    engine = seen.engine
    if engine is None:
        return "the engine does not answer"
    if part is RestartPart.MANAGERS:
        place = _place(state, node)
        answers = place is not None and any(
            one.healthy and one.host == place.address for one in engine.managers
        )
        return "" if answers else f"the manager on node {node} does not answer"
    names = {server_name(node, domain) for domain in state.node(node).domains}
    away = [one.name for one in engine.servers if one.name in names and not one.connected]
    if away:
        return f"server {min(away)} is away"
    return _unserved(state, seen, engine, node)


def _unserved(state: FrameworkState, seen: Observation, engine: EngineSeen, node: str) -> str:
    """A device that the engine still takes for what a process served that has ended."""
    if state.engine is None or state.engine.ceph is None:
        return ""
    names = {server_name(node, domain) for domain in state.node(node).domains}
    running = [one.process_id for one in seen.processes.get(node, ()) if one.running]
    for device in engine.devices:
        if device.server in names and not device.failed and not device.is_served_by(running):
            return f"device {device.path} of {device.server} has not come back"
    return ""


def _place(state: FrameworkState, node: str) -> ManagerPlace | None:
    places = state.engine.managers if state.engine is not None else ()
    return next((one for one in places if one.node == node), None)


def _leader(state: FrameworkState, engine: EngineSeen | None) -> str:
    """The node of the leading manager; empty if that is not known."""
    leading = {one.host for one in engine.managers if one.leads} if engine is not None else set()
    places = state.engine.managers if state.engine is not None else ()
    return next((one.node for one in places if one.address in leading), "")
