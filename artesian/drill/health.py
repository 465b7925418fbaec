"""Whether a cluster is well enough for a drill, and what else goes wrong while one is under way. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from artesian.drill.facts import DrillFacts
from artesian.drill.pausing import paused
from artesian.model.drill import Drill, DrillKind, Moment
from artesian.model.engine import EngineSeen
from artesian.model.node import NodeState
from artesian.model.remedy import Remedy
from artesian.model.state import Stopping
from artesian.remedy.capacity import capacities, used_share

OTHERS_MARGIN = 0.05  # of a pool's size: as much may others write while a drill fills it
FULLEST_SHARE = 0.96
_LEAST_MARGIN_BYTES = 256 << 20
_SAID_LATE_BYTES = 512 << 20  # written by the drill itself before its node says so


def unhealthy(facts: DrillFacts, own: Drill | None = None) -> str | None:
    """Why no fault is provoked now; None if all is well. `own`: a drill that is under way already."""
    return next(_complaints(facts, own), None)


def _complaints(facts: DrillFacts, own: Drill | None) -> Iterator[str]:
    yield from asked_to_rest(facts)
    other = facts.open
    if other is not None and (own is None or other.id != own.id):
        yield f"drill {other.id} ({other.kind}) is {other.state}"
    if facts.seen.unheard:
        yield f"node {min(facts.seen.unheard)} has not reported yet"
    yield from _nodes(facts)
    engine = facts.seen.engine
    if engine is None:
        yield f"the engine does not answer: {facts.seen.engine_problem}"
        return
    yield from _engine(facts, engine)
    for remedy in sorted(facts.state.remedies.values(), key=lambda one: one.id):
        if remedy.state.is_open:
            yield f"remedy {remedy.id} ({remedy.kind} of {remedy.shown}) is {remedy.state}"
    for _, firing in sorted(facts.firings.items()):
        yield f"rule {firing.rule} fires: {firing.because}"
    volume = own.volume if own is not None else None
    for step in facts.decision.plan.steps:
        if volume is None or getattr(step.change, "volume", None) != volume:
            yield f"the plan has a step that is not done: {step.because}"
    for attachment in facts.seen.attachments:
        if attachment.problem and attachment.device:
            yield f"a volume on node {attachment.node}: {attachment.problem}"


def asked_to_rest(facts: DrillFacts) -> Iterator[str]:
    """What people have asked for, and a drill contradicts."""
    if facts.state.stopping is not Stopping.NO:
        yield "everything is being stopped"
    if (because := facts.state.paused_because()) is not None:
        yield because


def _nodes(facts: DrillFacts) -> Iterator[str]:
    for node in facts.seen.nodes:
        if node.state is not NodeState.ALIVE:
            yield f"node {node.name} is {node.state}"
    for name, record in sorted(facts.state.nodes.items()):
        if record.in_maintenance:
            yield f"node {name} is in maintenance"
        if _is_leaving(facts, name):
            yield f"node {name} is being removed"


def _is_leaving(facts: DrillFacts, name: str) -> bool:
    """Whether something of a node has still to go: one that is removed stays marked, and disturbs nothing."""
    record, engine = facts.state.node(name), facts.state.engine
    has_manager = engine is not None and any(place.node == name for place in engine.managers)
    return record.leaving and bool(record.domains or record.is_client or has_manager)


def _engine(facts: DrillFacts, engine: EngineSeen) -> Iterator[str]:
    if not engine.managers:
        yield "no manager is seen"
    for manager in engine.managers:
        if not manager.healthy:
            yield f"manager {manager.name} is away"
    for server in engine.servers:
        if not server.connected:
            yield f"server {server.name} is away"
        if server.in_maintenance:
            yield f"server {server.name} is in maintenance"
    for device in engine.devices:
        if device.trouble is not None:
            yield device.trouble
    for pool in engine.pools:
        if engine.has_one_copy_only(pool.name):
            if pool.failed_bytes:
                yield f"pool {pool.name} has lost data"
        elif not pool.is_whole:
            yield f"pool {pool.name} is degraded"
        elif pool.moving_bytes:
            yield f"data is moving in pool {pool.name}"


# --- while a drill is under way


def trouble(drill: Drill, facts: DrillFacts) -> str | None:
    """What a drill's own fault does not explain, and ends it at once."""
    return next(_troubles(drill, facts), None)


def unease(drill: Drill, facts: DrillFacts) -> str | None:
    """What may be a moment's, and ends a drill when it lasts."""
    engine = facts.seen.engine
    if engine is None:
        return f"the engine does not answer: {facts.seen.engine_problem}"
    hit = _hit(drill)
    for name in sorted(facts.seen.unheard - {hit}):
        return f"node {name} has not reported since the scheduler was started"
    address = facts.state.node(hit).address if hit else ""
    seen = facts.seen.node(hit) if hit else None
    mine = {address, seen.address if seen is not None else ""}
    for manager in engine.managers:
        if not manager.healthy and manager.host not in mine:
            return f"manager {manager.name} is away, which is none of this drill's"
    servers = {one.name for one in facts.servers_of(hit)} if hit else set()
    for server in engine.servers:
        if not server.connected and server.name not in servers:
            return f"server {server.name} is away, which is none of this drill's"
    return None


def _hit(drill: Drill) -> str:
    """The node on which something may be wrong because of the drill."""
    if drill.kind in (DrillKind.FILL_POOL, DrillKind.STALL_PROVIDER) or not drill.state.has_fault:
        return ""
    return drill.node or ""


def _troubles(drill: Drill, facts: DrillFacts) -> Iterator[str]:
    yield from asked_to_rest(facts)
    if (because := paused(drill, facts)) is not None:
        yield because
    hit = _hit(drill)
    for node in facts.seen.nodes:
        if node.state is not NodeState.ALIVE and node.name != hit and node.name not in facts.seen.unheard:
            yield f"node {node.name} is {node.state}, which is none of this drill's"
        if node.state is NodeState.GONE and node.name == hit:
            yield f"node {node.name} is gone for certain, which is more than this drill does"
    for name, record in sorted(facts.state.nodes.items()):
        if (leaving := _is_leaving(facts, name)) or record.in_maintenance:
            yield f"node {name} is being {'removed' if leaving else 'put in maintenance'}"
    engine = facts.seen.engine
    if engine is not None:
        servers = {one.name for one in facts.servers_of(hit)} if hit else set()
        for pool in engine.pools:
            if pool.failed_bytes and not engine.has_one_copy_only(pool.name):
                yield f"data of pool {pool.name} is out of reach"
        for device in engine.devices:
            if device.failed and device.server not in servers:
                yield f"{device.trouble}, which is none of this drill's"
    for remedy in raised_since(drill, facts):
        if remedy.state.is_open and not _is_own(remedy, drill, facts):
            yield f"remedy {remedy.id} was raised, which is none of this drill's: {remedy.because}"
    yield from _needs_of_others(drill, facts)


def raised_since(drill: Drill, facts: DrillFacts) -> list[Remedy]:
    """The remedies that were raised since a drill began, by their time."""
    began_s = drill.created_s
    raised = [one for one in facts.state.remedies.values() if one.created_s >= began_s]
    return sorted(raised, key=lambda one: (one.created_s, one.id))


def _is_own(remedy: Remedy, drill: Drill, facts: DrillFacts) -> bool:
    """Whether what a remedy is for may be wrong because of the drill."""
    engine = facts.seen.engine
    hit = _hit(drill)
    if drill.pool is not None and (remedy.pool == drill.pool or remedy.thing == str(drill.pool)):
        return True
    if remedy.thing in ("cluster", drill.volume):
        return True
    if not hit:
        return False
    servers = {one.name for one in facts.servers_of(hit)}
    devices = {one.name for one in engine.devices if one.server in servers} if engine is not None else set()
    return remedy.thing == hit or remedy.thing in devices or remedy.thing == drill.target


def _needs_of_others(drill: Drill, facts: DrillFacts) -> Iterator[str]:
    """A pool is filled as long as others do not need it more than they did."""
    if drill.kind is not DrillKind.FILL_POOL or Moment.PROVOKED not in drill.times or drill.pool is None:
        return
    engine, told = facts.seen.engine, facts.told_by(drill.node)
    pool = engine.pool(drill.pool) if engine is not None else None
    fault = next((one for one in told.faults if one.id == drill.id), None) if told is not None else None
    if pool is None or fault is None:
        return
    others = pool.used_bytes - 2 * fault.done_bytes - drill.others_bytes
    margin = max(OTHERS_MARGIN * pool.size_bytes, _LEAST_MARGIN_BYTES)
    if fault.done_bytes < drill.amount_bytes:
        margin += _SAID_LATE_BYTES
    if others > margin:
        yield f"others write to pool {pool.name} as well: it is theirs, and is not filled any further"
    assert engine is not None
    share = used_share(pool, capacities(engine).get(pool.name, 0))
    if share is not None and share > FULLEST_SHARE:
        yield f"pool {pool.name} is {100 * share:.0f}% full, more than it was to be: it is filled unevenly"
