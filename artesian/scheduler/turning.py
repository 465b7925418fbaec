"""What has become worse or well again since the last pass: nodes, their processes, pools, managers, warnings;
events. Pure.

What is seen for the first time is only remembered, so that a scheduler that has just begun tells nothing; and
what cannot be seen for a while, as the engine does not answer, is still as it was. Whatever changes is told
once each time that it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from artesian.model.engine import EngineSeen, SeenManager, SeenPool
from artesian.model.event import Event
from artesian.model.node import Node, NodeState
from artesian.model.observation import Observation, SeenProcess
from artesian.model.sizes import format_size

_SHOWN = 3  # servers that are named
_BACK = "back"


@dataclass(frozen=True, slots=True)
class Known:
    """The kind of event that each thing would be told of with now, if it had just become so."""

    nodes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    pools: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    managers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    processes: Mapping[tuple[str, str], SeenProcess] = field(  # by node and name, those that had settled
        default_factory=lambda: MappingProxyType({})
    )
    warnings: frozenset[str] | None = None  # of the engine, by their codes; None: it was never asked


@dataclass(frozen=True, slots=True)
class Turned:
    """What is known now, and what is told of it."""

    known: Known = Known()
    events: tuple[Event, ...] = ()


def turned(known: Known, seen: Observation) -> Turned:
    """What is to be told, out of what was known before and what is seen now."""
    nodes = list(_nodes(known.nodes, seen))
    engine = seen.engine
    pools = [_of_pool(engine, one) for one in engine.pools] if engine is not None else []
    managers = [_of_manager(seen, one) for one in engine.managers] if engine is not None else []
    now = Known(
        _kinds(nodes),
        _kinds(pools) if engine is not None else known.pools,
        _kinds(managers) if engine is not None else known.managers,
        _settled_processes(seen),
        frozenset(one.code for one in engine.warnings) if engine is not None else known.warnings,
    )
    events = (
        *_changed(known.nodes, nodes),
        *_deaths(known, seen),
        *_changed(known.managers, managers),
        *_changed(known.pools, pools),
        *_warnings(known.warnings, engine),
    )
    return Turned(now, events)


def _kinds(events: list[Event]) -> Mapping[str, str]:
    return MappingProxyType({one.subject: one.kind for one in events})


def _changed(before: Mapping[str, str], now: list[Event]) -> Iterator[Event]:
    return (one for one in now if before.get(one.subject, one.kind) != one.kind)


def _warnings(before: frozenset[str] | None, engine: EngineSeen | None) -> Iterator[Event]:
    if engine is None or before is None:
        return
    for one in engine.warnings:
        if one.code not in before:
            yield Event("warning", one.code, f"the engine warns: {one.text}")
    for code in sorted(before - {one.code for one in engine.warnings}):
        yield Event("over", code, f"the engine warns of {code} no more")


def _nodes(before: Mapping[str, str], seen: Observation) -> Iterator[Event]:
    """Those of which something is known: a node that this scheduler has only not heard of yet may be well."""
    for node in seen.nodes:
        if node.name in before or node.name not in seen.unheard or node.unreachable:
            event = _of_node(node)
            if event.kind == "silent" and before.get(node.name) in ("gone", "unreachable"):
                event = replace(event, kind=before[node.name])  # it is seen again, and is not back yet
            yield event


def _of_node(node: Node) -> Event:
    drained = " (it is to be empty)" if node.leaving else ""
    if node.state is NodeState.GONE:
        kind, because = "gone", "is gone for certain: nothing on it writes any more"
    elif node.unreachable:
        reports = " although its agent reports" if node.state is NodeState.ALIVE else ""
        kind, because = (
            "unreachable",
            f"cannot be reached by what runs the machines{reports}; it may well run",
        )
    elif node.state is NodeState.SILENT:
        kind, because = "silent", "is silent: its agent does not report any more"
    else:
        kind, because = _BACK, "is back: its agent reports"
    return Event(kind, node.name, f"node {node.name} {because}{drained}")


def _settled_processes(seen: Observation) -> Mapping[tuple[str, str], SeenProcess]:
    """So that one that ends right after each start is told of once."""
    known = {
        (node, one.name): one
        for node, processes in seen.processes.items()
        for one in processes
        if one.running and one.settled
    }
    return MappingProxyType(known)


def _deaths(known: Known, seen: Observation) -> Iterator[Event]:
    """Processes that have ended although nobody wanted it: not those of a restart, nor of a node that was
    away itself."""
    for node, processes in seen.processes.items():
        if known.nodes.get(node) != _BACK:
            continue
        for one in processes:
            before = known.processes.get((node, one.name))
            if before is None or before.started_under != one.started_under:
                continue
            if not one.running:
                because = f"process {one.name} on node {node} has ended"
            elif before.process_id != one.process_id:
                because = f"process {one.name} on node {node} had ended, and has been started again"
            else:
                continue
            yield Event("ended", f"{node}/{one.name}", because)


def _of_pool(engine: EngineSeen, pool: SeenPool) -> Event:
    name = str(pool.name)
    if pool.failed_bytes:
        size = format_size(pool.failed_bytes)
        return Event("failed", name, f"pool {name} has no copy of {size} within reach{_away(engine, pool)}")
    if pool.degraded_bytes and not engine.has_one_copy_only(pool.name):
        size = format_size(pool.degraded_bytes)
        return Event("degraded", name, f"pool {name} is degraded: {size} with one copy{_away(engine, pool)}")
    return Event("whole", name, f"pool {name} is whole again")


def _away(engine: EngineSeen, pool: SeenPool) -> str:
    """Servers of the pool's domain that lack."""
    servers = [one for one in engine.servers if one.domain == pool.name.domain]
    words = [
        f"{one.name} is {'in maintenance' if one.in_maintenance else 'away'}"
        for one in servers
        if one.in_maintenance or not one.connected
    ]
    if not words:
        return ""
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return f", as server {', '.join(words[:_SHOWN])}{more}"


def _of_manager(seen: Observation, manager: SeenManager) -> Event:
    node = next((one.name for one in seen.nodes if one.address == manager.host), None)
    where = f" on node {node}" if node is not None else ""
    if manager.healthy:
        return Event(_BACK, manager.name, f"manager {manager.name}{where} is back")
    return Event("away", manager.name, f"manager {manager.name}{where} is away: the engine does not reach it")
