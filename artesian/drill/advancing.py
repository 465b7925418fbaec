"""What becomes of a drill in a pass: one step at most, out of what is stored and what is seen. Pure.

    preparing → provoking → watching → verifying → undoing → passed, failed or aborted

Whatever goes wrong leads to undoing, and undoing ends only when nothing is left of the drill. The fault is
assigned to its node in between, and nowhere else; so a crash of anybody is followed by the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from artesian.drill import watching
from artesian.drill.facts import DrillFacts, Stall
from artesian.drill.filling import volume_bytes
from artesian.drill.health import raised_since, trouble, unease, unhealthy
from artesian.drill.words import verdict_of
from artesian.model.drill import ON_NODES, Drill, DrillKind, DrillState, Moment
from artesian.model.errors import Conflict
from artesian.model.event import Event
from artesian.model.node import NodeState
from artesian.model.state import FrameworkState, with_item
from artesian.model.wishes import VolumeWish

PREPARE_S = 120.0
PROVOKE_S = 60.0
VERIFY_S = 180.0
CALM_AGAIN_S = 120.0  # within which the cluster is well again after everything was undone
UNEASY_S = 20.0  # what lasts longer is no moment's weakness
LONGEST_PASS_S = 20.0
WRITTEN_FIRST = 20  # records, before anything is provoked
KEPT_CLOSED = 50


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state after the drill has been looked at, and what is told of it."""

    state: FrameworkState
    events: tuple[Event, ...] = ()


def begin(state: FrameworkState, drill: Drill) -> FrameworkState:
    """The state with a new drill and its volume. Raises Conflict if there is one already."""
    other = state.open_drill
    if other is not None:
        raise Conflict(f"drill {other.id} ({other.kind}) is {other.state}")
    assert drill.pool is not None
    wish = VolumeWish(
        drill.volume, drill.pool, volume_bytes(drill), node=drill.writer_node, mount_path=drill.mount_path
    )
    return with_drill(_pruned(state), drill).with_volume(wish)


def abort(state: FrameworkState, drill: Drill, who: str, now_s: float) -> FrameworkState:
    """End a drill before its time. Raises Conflict if that is being done, or it is over."""
    if not drill.state.is_open:
        raise Conflict(f"drill {drill.id} is over: it has {drill.state}")
    if drill.state is DrillState.UNDOING:
        raise Conflict(f"drill {drill.id} is being undone already")
    return _undoing(state, drill, DrillState.ABORTED, f"{who or 'somebody'} has ended it", now_s)


def advance(facts: DrillFacts) -> Outcome:
    """One step of the drill that is open; the same facts give the same outcome."""
    drill = facts.open
    if drill is None:
        return Outcome(facts.state)
    if drill.state is DrillState.UNDOING:
        return _undo(drill, facts)
    because = trouble(drill, facts)
    if because is not None:
        return _end(drill, facts, DrillState.ABORTED, because)
    calmer = _uneasy(drill, facts)
    if calmer.uneasy_s and facts.now_s - calmer.uneasy_s > _patience_s(drill):
        return _end(drill, facts, DrillState.ABORTED, unease(drill, facts) or "something is wrong")
    facts = replace(facts, state=with_drill(facts.state, calmer))
    told = facts.told_by(drill.writer_node)
    writer = told.writer if told is not None else None
    if writer is not None and writer.drill == drill.id and writer.error:
        lost = f"whoever used the volume has seen an error: {writer.error}"
        return _end(_counted(calmer, facts), facts, DrillState.FAILED, lost)
    return _STEPS[drill.state](calmer, facts)


def with_drill(state: FrameworkState, drill: Drill) -> FrameworkState:
    """The state with this drill as it is now."""
    if state.drills.get(drill.id) == drill:
        return state
    return replace(state, drills=with_item(state.drills, drill.id, drill))


def _pruned(state: FrameworkState) -> FrameworkState:
    """Old drills are forgotten, but for the last of each kind, and the last that the schedule has begun."""
    ordered = sorted(state.drills.values(), key=lambda one: -one.created_s)
    kept, kinds = {}, set()
    for at, one in enumerate(ordered):
        name = (one.kind, one.schedule)
        if at < KEPT_CLOSED or name not in kinds or one.state.is_open:
            kept[one.id] = one
        kinds.add(name)
    return state if len(kept) == len(ordered) else replace(state, drills=kept)


# --- moving from one state to the next


def _moved(drill: Drill, facts: DrillFacts, to: DrillState, because: str, **values: object) -> Outcome:
    after = replace(drill, state=to, changed_s=facts.now_s, **values)  # type: ignore[arg-type]
    state = facts.state.with_new_assignment(*_nodes_of(after))
    event = Event("drill", drill.id, f"{drill.kind} of {drill.thing} is {to}: {because}")
    return Outcome(with_drill(state, after), (event,))


def _nodes_of(drill: Drill) -> list[str]:
    """The node that is hit, if it is one, and the one that writes."""
    return sorted({drill.node or "", drill.writer_node} - {""})


def _stays(drill: Drill, facts: DrillFacts) -> Outcome:
    return Outcome(with_drill(facts.state, drill))


def _end(drill: Drill, facts: DrillFacts, ending: DrillState, verdict: str) -> Outcome:
    state = _undoing(facts.state, drill, ending, verdict, facts.now_s)
    event = Event(
        "drill", drill.id, f"{drill.kind} of {drill.thing} is being undone, as it has {ending}: {verdict}"
    )
    return Outcome(state, (event,))


def _undoing(
    state: FrameworkState, drill: Drill, ending: DrillState, verdict: str, now_s: float
) -> FrameworkState:
    """Nothing is assigned any more, and the volume is to be nowhere."""
    after = replace(drill, state=DrillState.UNDOING, changed_s=now_s, ending=ending, verdict=verdict)
    state = state.with_new_assignment(*_nodes_of(after))
    wish = state.volumes.get(drill.volume)
    if wish is not None and wish.node is not None:
        state = state.with_volume(wish.detached())
    return with_drill(state, after)


def _uneasy(drill: Drill, facts: DrillFacts) -> Drill:
    """With the time since when something is wrong that may be a moment's."""
    if unease(drill, facts) is None:
        return replace(drill, uneasy_s=0.0) if drill.uneasy_s else drill
    return drill if drill.uneasy_s else replace(drill, uneasy_s=facts.now_s)


def _patience_s(drill: Drill) -> float:
    """A manager or a node that is held down may take the engine's leader with it."""
    return UNEASY_S + (drill.hold_s if drill.kind in _TAKING_MANAGERS and drill.state.has_fault else 0.0)


_TAKING_MANAGERS = (DrillKind.KILL_MANAGER, DrillKind.CUT_OFF_NODE)


def _counted(drill: Drill, facts: DrillFacts) -> Drill:
    """With what its writer says of itself, and the remedies that were raised."""
    told = facts.told_by(drill.writer_node)
    remedies = tuple(one.id for one in raised_since(drill, facts))
    drill = replace(drill, remedies=remedies) if remedies != drill.remedies else drill
    writer = told.writer if told is not None else None
    if writer is None or writer.drill != drill.id:
        return drill
    return replace(drill, acknowledged=writer.acknowledged, pause_s=writer.pause_s, verified=writer.verified)


# --- the states


def _prepare(drill: Drill, facts: DrillFacts) -> Outcome:
    told = facts.told_by(drill.writer_node)
    writer = told.writer if told is not None else None
    ready = (
        writer is not None
        and writer.drill == drill.id
        and writer.running
        and writer.acknowledged >= WRITTEN_FIRST
        and drill.writer_node not in facts.seen.behind
    )
    objection = unhealthy(facts, drill) if ready else "its volume is not in use yet"
    if objection is None:
        because = f"everything is well, and {drill.writer_node} writes to volume {drill.volume}"
        return _moved(
            _counted(drill, facts),
            facts,
            DrillState.PROVOKING,
            because,
            killer=facts.scheduler if drill.kind is DrillKind.KILL_SCHEDULER else "",
            begin_by_s=facts.now_s + PROVOKE_S,
            others_bytes=_used_bytes(drill, facts),
        )
    if facts.now_s - drill.changed_s > PREPARE_S:
        problems = [
            one.problem for one in facts.seen.attachments if one.node == drill.writer_node and one.problem
        ]
        return _end(
            drill, facts, DrillState.ABORTED, f"nothing was provoked: {'; '.join(problems) or objection}"
        )
    return _stays(drill, facts)


def _used_bytes(drill: Drill, facts: DrillFacts) -> int:
    engine = facts.seen.engine
    pool = engine.pool(drill.pool) if engine is not None and drill.pool is not None else None
    return pool.used_bytes if pool is not None else 0


def _provoke(drill: Drill, facts: DrillFacts) -> Outcome:
    problem = watching.cannot_provoke(drill, facts)
    if problem is not None:
        return _end(drill, facts, DrillState.FAILED, f"it could not be provoked: {problem}")
    if watching.is_provoked(drill, facts):
        at_s = drill.changed_s if drill.kind is DrillKind.KILL_SCHEDULER else facts.now_s
        times = {**drill.times, Moment.PROVOKED: at_s}
        return _moved(drill, facts, DrillState.WATCHING, "the fault is there", times=times)
    if facts.now_s - drill.changed_s > PROVOKE_S:
        return _end(drill, facts, DrillState.FAILED, "the fault did not come about in time")
    return _stays(drill, facts)


def _watch(drill: Drill, facts: DrillFacts) -> Outcome:
    drill = _counted(watching.with_moments(drill, facts), facts)
    if facts.pass_gap_s > LONGEST_PASS_S and drill.kind is DrillKind.STALL_PROVIDER:
        held_up = f"the scheduler stood still for {facts.pass_gap_s:.0f} s"
        return _end(drill, facts, DrillState.FAILED, held_up)
    problem = watching.cannot_provoke(drill, facts)
    if problem is not None:
        return _end(drill, facts, DrillState.FAILED, problem)
    missing = watching.missing(drill, facts)
    if missing is None:
        times = {**drill.times, Moment.HEALED: facts.now_s}
        return _moved(drill, facts, DrillState.VERIFYING, "everything is well again", times=times)
    if facts.now_s - drill.times[Moment.PROVOKED] > drill.limit_s:
        late = f"after {drill.limit_s:g} s {missing}"
        return _end(drill, facts, DrillState.FAILED, late)
    return _stays(drill, facts)


def _verify(drill: Drill, facts: DrillFacts) -> Outcome:
    drill = _counted(drill, facts)
    fresh = drill.writer_node not in facts.seen.behind
    if fresh and drill.verified is not None:
        if drill.verified == drill.acknowledged:
            return _end(drill, facts, DrillState.PASSED, verdict_of(drill, facts))
        lost = f"of {drill.acknowledged} writes that were acknowledged {drill.verified} are there"
        return _end(drill, facts, DrillState.FAILED, lost)
    if facts.now_s - drill.changed_s > VERIFY_S:
        return _end(drill, facts, DrillState.FAILED, "what was written could not be read back in time")
    return _stays(drill, facts)


_STEPS = {
    DrillState.PREPARING: _prepare,
    DrillState.PROVOKING: _provoke,
    DrillState.WATCHING: _watch,
    DrillState.VERIFYING: _verify,
}


def _undo(drill: Drill, facts: DrillFacts) -> Outcome:
    """Level by level: the fault, then the volume, then the cluster has to be well again."""
    if _fault_left(drill, facts):
        return _stays(drill, facts)
    state = facts.state
    wish = state.volumes.get(drill.volume)
    if wish is not None:
        if wish.node is not None:
            return Outcome(state.with_volume(wish.detached()))
        return (
            _stays(drill, facts) if wish.deleted else Outcome(state.with_volume(replace(wish, deleted=True)))
        )
    assert drill.ending is not None
    left = _not_calm(drill, facts)
    if left is not None and facts.now_s - drill.changed_s <= CALM_AGAIN_S:
        return _stays(drill, facts)
    ending, verdict = drill.ending, drill.verdict
    if left is not None and ending is DrillState.PASSED:
        ending, verdict = DrillState.FAILED, f"everything is undone, and yet {left}"
    after = replace(drill, state=ending, changed_s=facts.now_s, verdict=verdict)
    event = Event("drill", drill.id, f"{drill.kind} of {drill.thing} has {ending}: {verdict}")
    return Outcome(with_drill(state, after), (event,))


def _fault_left(drill: Drill, facts: DrillFacts) -> bool:
    """Whether something of the fault may still be on its node: what is not known may be there."""
    if drill.kind is DrillKind.STALL_PROVIDER:
        return facts.stall is Stall.HANGING
    if drill.kind not in ON_NODES or drill.node is None:
        return False
    told = facts.told_by(drill.node)
    if told is None or drill.node in facts.seen.behind:
        node = facts.seen.node(drill.node)
        off = node is not None and node.state is NodeState.GONE and drill.kind is not DrillKind.FAIL_DISK
        return node is not None and not off  # of what was killed or stopped on it nothing is left
    return any(one.id == drill.id for one in told.faults) or (
        told.writer is not None and told.writer.drill == drill.id
    )


def _not_calm(drill: Drill, facts: DrillFacts) -> str | None:
    """What is not well yet of what the drill has touched."""
    engine = facts.seen.engine
    if engine is None:
        return f"the engine does not answer: {facts.seen.engine_problem}"
    for pool in engine.pools:
        if not pool.is_settled and not engine.has_one_copy_only(pool.name):
            return f"pool {pool.name} is not whole and at rest"
    for manager in engine.managers:
        if not manager.healthy:
            return f"manager {manager.name} is away"
    for device in engine.devices:
        if device.trouble and device.server in {one.name for one in facts.servers_of(drill.node or "")}:
            return device.trouble
    return None
