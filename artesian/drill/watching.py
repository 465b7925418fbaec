"""What is seen of a drill's fault and its remedy: when each came about, and what is still missing. Pure."""

from __future__ import annotations

from dataclasses import replace

from artesian.drill.facts import DrillFacts, Stall
from artesian.drill.health import raised_since
from artesian.model.drill import ON_NODES, Drill, DrillKind, Moment, SeenFault
from artesian.model.engine import EngineSeen
from artesian.model.names import device_name
from artesian.model.node import NodeState
from artesian.model.remedy import Remedy, RemedyState
from artesian.remedy.words import rough_duration

SETTLED_S = 3.0  # after its fault is over, within which whoever is to notice something late notices it
NOTICED_S = 6.0  # a fault that is held so long has to be noticed


def seen_fault(drill: Drill, facts: DrillFacts) -> SeenFault | None:
    """What its node says of the fault now."""
    told = facts.told_by(drill.node)
    faults = told.faults if told is not None else ()
    return next((one for one in faults if one.id == drill.id), None)


def cannot_provoke(drill: Drill, facts: DrillFacts) -> str | None:
    """What the node, or the provider, says against the fault."""
    fault = seen_fault(drill, facts)
    return fault.problem if fault is not None and fault.problem else None


def is_provoked(drill: Drill, facts: DrillFacts) -> bool:
    """Whether the fault is there now, or has been."""
    if drill.kind is DrillKind.KILL_SCHEDULER:
        return bool(drill.killer) and facts.scheduler != drill.killer
    if drill.kind is DrillKind.STALL_PROVIDER:
        return facts.stall is not None
    node = facts.seen.node(drill.node) if drill.node is not None else None
    silent = node is not None and node.state is NodeState.SILENT and drill.node not in facts.seen.unheard
    return seen_fault(drill, facts) is not None or (drill.kind is DrillKind.CUT_OFF_NODE and silent)


def is_over(drill: Drill, facts: DrillFacts) -> bool:
    """Whether the fault itself is gone; one that lasts as long as the drill is not before that is undone."""
    if drill.kind is DrillKind.KILL_SCHEDULER:
        return not facts.seen.unheard
    if drill.kind is DrillKind.STALL_PROVIDER:
        return facts.stall is Stall.ANSWERED
    fault = seen_fault(drill, facts)
    return fault is not None and fault.over


def with_moments(drill: Drill, facts: DrillFacts) -> Drill:
    """The drill with the times of what is seen for the first time."""
    times = dict(drill.times)
    remedies = raised_since(drill, facts)
    if Moment.DETECTED not in times and (remedies or _is_noticed(drill, facts)):
        times[Moment.DETECTED] = min([facts.now_s, *(one.created_s for one in remedies)])
    moving = _is_healing(facts.seen.engine)
    if Moment.DECIDED not in times and (remedies or moving):
        times[Moment.DECIDED] = min([facts.now_s, *(one.created_s for one in remedies)])
    at_work = [one for one in remedies if one.state not in (RemedyState.ASKING, RemedyState.HELD)]
    if Moment.ACTED not in times and (at_work or moving):
        times[Moment.ACTED] = facts.now_s
    if Moment.OVER not in times and is_over(drill, facts):
        times[Moment.OVER] = facts.now_s
    return replace(drill, times=times) if times != drill.times else drill


def missing(drill: Drill, facts: DrillFacts) -> str | None:
    """What is still to come before everything is well again; None if nothing is."""
    return (
        _fault_missing(drill, facts)
        or _engine_missing(drill, facts)
        or _remedy_missing(drill, facts)
        or _notice_missing(drill)
    )


def asks_in_time(drill: Drill, facts: DrillFacts) -> list[Remedy]:
    """Remedies that somebody has to agree to: nobody did, and that they asked is what was to be seen."""
    return [one for one in raised_since(drill, facts) if one.state is RemedyState.ASKING]


def _fault_missing(drill: Drill, facts: DrillFacts) -> str | None:
    node = facts.seen.node(drill.node) if drill.node is not None else None
    if node is not None and node.state is not NodeState.ALIVE:
        return f"node {node.name} is {node.state}"
    if drill.kind is DrillKind.FILL_POOL:
        fault = seen_fault(drill, facts)
        done = fault.done_bytes if fault is not None else 0
        return f"{drill.thing} is still being filled" if done < drill.amount_bytes else None
    if drill.kind is DrillKind.FAIL_DISK:
        return None  # it stays out until everything is undone
    over_s = drill.times.get(Moment.OVER)
    if over_s is None:
        return "the fault is still there"
    if drill.kind in ON_NODES and facts.now_s - over_s < SETTLED_S:
        return "the fault is only just over"
    return None


def _engine_missing(drill: Drill, facts: DrillFacts) -> str | None:
    engine = facts.seen.engine
    if engine is None:
        return f"the engine does not answer: {facts.seen.engine_problem}"
    for manager in engine.managers:
        if not manager.healthy:
            return f"manager {manager.name} is away"
    gone = device_name(drill.target) if drill.kind is DrillKind.FAIL_DISK else None
    for device in engine.devices:
        if device.trouble is not None and device.name != gone:
            return device.trouble
    if any(not one.connected for one in engine.servers):
        return "a server is away"
    for pool in engine.pools:
        if not pool.is_settled and not engine.has_one_copy_only(pool.name):
            return f"pool {pool.name} is not whole and at rest"
    if facts.decision.guarded.ready:
        return f"there is something to do: {facts.decision.guarded.ready[0].because}"
    return None


def _remedy_missing(drill: Drill, facts: DrillFacts) -> str | None:
    raised = raised_since(drill, facts)
    for remedy in raised:
        if remedy.state is RemedyState.ASKING and not drill.wait_approval:
            continue
        if remedy.state.is_open:
            return f"remedy {remedy.id} ({remedy.kind} of {remedy.shown}) is {remedy.state}"
    if drill.expects and not any(one.rule in drill.expects for one in raised):
        return f"no remedy was raised, and rule {drill.expects[0]} should have fired"
    return None


def _notice_missing(drill: Drill) -> str | None:
    """A fault that nobody has noticed is no pass. One that is held for moments only may be missed."""
    held = drill.kind in ON_NODES and drill.kind is not DrillKind.FILL_POOL and drill.hold_s >= NOTICED_S
    if held and Moment.DETECTED not in drill.times:
        return f"nobody has noticed a fault of {rough_duration(drill.hold_s)}"
    return None


def _is_noticed(drill: Drill, facts: DrillFacts) -> bool:
    """Whether what is seen shows that something is wrong with what was hit."""
    if drill.kind in (DrillKind.KILL_SCHEDULER, DrillKind.STALL_PROVIDER):
        return True  # whoever looks has seen it
    engine = facts.seen.engine
    node = facts.seen.node(drill.node) if drill.node is not None else None
    if node is not None and node.state is not NodeState.ALIVE:
        return True
    if engine is None or drill.kind is DrillKind.FILL_POOL:
        return engine is None
    servers = {one.name for one in facts.servers_of(drill.node or "")}
    return (
        any(not one.healthy for one in engine.managers)
        or any(not one.connected for one in engine.servers if one.name in servers)
        or any(one.failed for one in engine.devices if one.server in servers)
        or any(pool.degraded_bytes for pool in engine.pools if not engine.has_one_copy_only(pool.name))
    )


def _is_healing(engine: EngineSeen | None) -> bool:
    return engine is not None and any(pool.moving_bytes for pool in engine.pools)
