"""Whether an engine is whole, so that something of it may be away for a moment: everybody answers, everything
has all its copies, and nothing moves. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from artesian.model.names import server_name
from artesian.model.node import NodeState
from artesian.model.restart import RestartPart
from artesian.planner.facts import Facts

_ONLY_JUST = "has only just been started"


def why_not_restarted(facts: Facts, node: str, part: RestartPart) -> str | None:
    """Why a part of a node is not begun with now; None if it may be."""
    drill = facts.state.open_drill
    if drill is not None:
        return f"drill {drill.id} ({drill.kind}) goes on"
    restart = facts.state.restart
    rests = restart is not None and facts.state.node(node).rests_for == restart.number
    because = why_not_whole(facts, node if rests else "")
    if because is not None:
        return because
    if part is RestartPart.MANAGERS:
        members = len(facts.engine.managers)
        if (members - 1) * 2 <= members:
            return f"only {members - 1} of {members} managers would answer meanwhile, which is no majority"
        return None
    mine = {server_name(node, domain) for domain in facts.state.node(node).domains}
    for pool in facts.engine.pools:
        on = {one.server for one in facts.engine.devices if one.pool == pool.name}
        if on and on <= mine:
            return f"pool {pool.name} is on node {node} alone, and could not be used meanwhile"
    return None


def why_not_whole(facts: Facts, resting: str = "") -> str | None:
    """What is wrong, in a sentence; None if nothing is. The servers of the node that is `resting` may be in
    maintenance."""
    return next(_complaints(facts, resting), None)


def _complaints(facts: Facts, resting: str) -> Iterator[str]:
    if facts.seen.engine is None:
        yield f"the engine does not answer: {facts.seen.engine_problem}"
    yield from _nodes(facts)
    yield from _managers(facts)
    mine = {server_name(resting, domain) for domain in facts.state.node(resting).domains}
    for server in facts.engine.servers:
        if not server.connected:
            yield f"server {server.name} is away"
        if server.leaving:
            yield f"server {server.name} is being removed"
        if server.in_maintenance and server.name not in mine:
            yield f"server {server.name} is in maintenance"
    for device in facts.engine.devices:
        if device.failed:
            yield f"device {device.path} of {device.server} has failed"
        if device.leaving:
            yield f"device {device.path} of {device.server} is being taken out"
    for pool in facts.engine.pools:
        if not pool.is_whole:
            yield f"pool {pool.name} is degraded, and is healed first"
        if pool.moving_bytes:
            yield f"data is moving in pool {pool.name}"


def _nodes(facts: Facts) -> Iterator[str]:
    if facts.seen.unheard:
        yield f"node {min(facts.seen.unheard)} has not reported yet"
    places = facts.state.engine.managers if facts.state.engine is not None else ()
    managing = {place.node for place in places}
    for name, record in sorted(facts.state.nodes.items()):
        if not record.domains and name not in managing:
            continue
        node = facts.nodes.get(name)
        if node is not None and node.state is NodeState.SILENT:
            yield f"node {name} is silent"
        if record.in_maintenance:
            yield f"node {name} is in maintenance"
        for one in facts.seen.processes.get(name, ()):
            if one.part is not None and not (one.running and one.settled):
                yield f"{one.name} of node {name} {_ONLY_JUST if one.running else 'does not run'}"


def _managers(facts: Facts) -> Iterator[str]:
    places = facts.state.engine.managers if facts.state.engine is not None else ()
    healthy = {one.host for one in facts.engine.managers if one.healthy}
    for place in places:
        if place.address not in healthy:
            yield f"the manager on node {place.node} does not answer"
    for manager in facts.engine.managers:
        if not manager.healthy:
            yield f"manager {manager.name} is away"
