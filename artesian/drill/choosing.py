"""What a drill hits: the gentlest target that shows what it is to show, or why there is none. Pure.

NotPossible says what this cluster cannot do at all, Conflict what speaks against it now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from artesian.drill import filling
from artesian.drill.expecting import expected_rules, resting
from artesian.drill.facts import DrillFacts
from artesian.drill.health import unhealthy
from artesian.drill.pausing import paused
from artesian.model.disk import Claim
from artesian.model.drill import Drill, DrillKind, DrillState, DrillWish
from artesian.model.engine import EngineSeen, SeenManager
from artesian.model.errors import ArtesianError, Conflict, NotPossible, NotThere
from artesian.model.names import device_name, digest
from artesian.model.rule import RemedyKind
from artesian.remedy.capacity import capacities

_GIB = 1 << 30
DEFAULT_HOLD_S: Mapping[DrillKind, float] = {  # others are held as long as the drill
    DrillKind.KILL_SERVER: 8.0,
    DrillKind.CUT_OFF_NODE: 25.0,  # an agent counts as silent after 12
    DrillKind.KILL_MANAGER: 10.0,
    DrillKind.KILL_SCHEDULER: 0.0,
    DrillKind.STALL_PROVIDER: 15.0,
}
LONGEST_HOLD_S = 600.0
DEFAULT_LIMIT_S = 300.0
LONGEST_LIMIT_S = 3_600.0
_SPARE_BYTES = 512 << 20  # what its volume needs of a pool, with its file system

WHAT: Mapping[DrillKind, str] = {
    DrillKind.FILL_POOL: "fills a pool with data until a rule has to notice",
    DrillKind.KILL_SERVER: "kills a node's storage servers, and keeps them down for a while",
    DrillKind.FAIL_DISK: "takes a disk away from a node, with all that is on it",
    DrillKind.CUT_OFF_NODE: "stops everything on a node, and its agent is not heard of",
    DrillKind.KILL_MANAGER: "kills a manager, and keeps it down for a while",
    DrillKind.KILL_SCHEDULER: "the scheduler kills itself, and another one goes on",
    DrillKind.STALL_PROVIDER: "lets a provider of disks not answer for a while",
}
UNDONE: Mapping[DrillKind, str] = {
    DrillKind.FILL_POOL: "the volume with the data is deleted",
    DrillKind.KILL_SERVER: "the node's agent starts them again",
    DrillKind.FAIL_DISK: "the disk is put back; if it was replaced meanwhile, it stays out of its pool",
    DrillKind.CUT_OFF_NODE: "the agent lets everything go on when the time is over",
    DrillKind.KILL_MANAGER: "the node's agent starts it again",
    DrillKind.KILL_SCHEDULER: "whoever asked starts the scheduler again",
    DrillKind.STALL_PROVIDER: "its calls go through when the time is over",
}


@dataclass(frozen=True, slots=True)
class _Target:
    """Something that may be hit, and what speaks for others: less is gentler."""

    node: str | None
    thing: str
    target: str = ""
    weight: tuple[int, ...] = ()
    because: str = ""


def choose(wish: DrillWish, facts: DrillFacts) -> Drill:
    """The drill that a wish leads to now. Raises NotPossible, NotThere or Conflict."""
    check_wish(wish)
    objection = unhealthy(facts)
    if objection is not None:
        raise Conflict(f"no drill while something is wrong: {objection}")
    drill = choose_target(wish, facts)
    in_the_way = paused(drill, facts)
    if in_the_way is not None:
        raise Conflict(f"no drill while something is paused that it needs: {in_the_way}")
    if wish.kind is DrillKind.KILL_SCHEDULER and not wish.restarts_scheduler:
        raise Conflict("nobody has said to start the scheduler again: artesian drill run kill-scheduler does")
    return drill


def check_wish(wish: DrillWish) -> None:
    """Raises NotPossible for times that make no sense."""
    if wish.hold_s is not None and not 0 <= wish.hold_s <= LONGEST_HOLD_S:
        raise NotPossible(f"a fault is held for 0 to {LONGEST_HOLD_S:g} s")
    if wish.limit_s is not None and not 10 <= wish.limit_s <= LONGEST_LIMIT_S:
        raise NotPossible(f"a drill may take 10 to {LONGEST_LIMIT_S:g} s")
    if wish.share is not None and not 0 < wish.share <= filling.MOST_SHARE:
        raise NotPossible(f"a pool is filled up to {100 * filling.MOST_SHARE:g}% at most")
    limit_s = wish.limit_s if wish.limit_s is not None else DEFAULT_LIMIT_S
    if wish.hold_s is not None and wish.hold_s > limit_s:
        raise NotPossible(f"a fault of {wish.hold_s:g} s does not end in the {limit_s:g} s of the drill")


def impossible(kind: DrillKind, facts: DrillFacts) -> str | None:
    """Why a drill cannot be done on this cluster, however well it is; None if it can."""
    try:
        choose_target(DrillWish(kind, disturb=True, restarts_scheduler=True), facts)
    except Conflict:
        return None  # that may change
    except ArtesianError as error:
        return str(error)
    return None


def choose_target(wish: DrillWish, facts: DrillFacts) -> Drill:
    """The same, whether or not the cluster is healthy."""
    engine = facts.seen.engine
    if engine is None or facts.state.engine is None:
        raise NotPossible("there is no engine that answers")
    if wish.node is not None and facts.seen.node(wish.node) is None:
        raise NotThere(f"there is no node {wish.node}")
    limit_s = wish.limit_s if wish.limit_s is not None else DEFAULT_LIMIT_S
    hold_s = wish.hold_s if wish.hold_s is not None else min(DEFAULT_HOLD_S.get(wish.kind, limit_s), limit_s)
    drill_id = digest(f"{wish.kind} {facts.now_s:.6f}")[:8]
    drill = Drill(
        id=drill_id,
        kind=wish.kind,
        state=DrillState.PREPARING,
        created_s=facts.now_s,
        changed_s=facts.now_s,
        thing="",
        hold_s=hold_s if wish.kind is not DrillKind.FILL_POOL else limit_s,
        limit_s=limit_s,
        wait_approval=wish.wait_approval,
        who=wish.who or "somebody",
        schedule=wish.schedule,
    )
    if wish.kind is DrillKind.FILL_POOL:
        return filling.fill(drill, wish, facts, engine, lambda: _writer(drill, facts, wish.node))
    found = _TARGETS[wish.kind](wish, facts, engine)
    best = _gentlest(wish, facts, found)
    drill = replace(drill, node=best.node, thing=best.thing, target=best.target, because=best.because)
    if wish.kind is DrillKind.KILL_SCHEDULER:
        drill = replace(drill, hold_s=0.0)
    drill = _with_pool(drill, engine, facts)
    node = _writer(drill, facts, None)
    drill = replace(drill, writer_node=node, mount_path=mount_path(facts, node, drill))
    drill = replace(drill, expects=expected_rules(drill, facts))
    rests = resting(drill.expects, device_name(drill.target), facts)
    if rests is not None:
        raise Conflict(rests)
    return drill


def mount_path(facts: DrillFacts, node: str, drill: Drill) -> str:
    """Where a drill's volume is mounted on a node."""
    return f"{facts.mounts.get(node, '/run/artesian')}/{drill.volume}"


def _gentlest(wish: DrillWish, facts: DrillFacts, found: Iterable[_Target]) -> _Target:
    """Where fewest volumes are in use. A node with one is hit only if somebody says so."""
    targets = [one for one in found if wish.node in (None, one.node)]
    if not targets:
        raise NotPossible(f"node {wish.node} has nothing that {wish.kind} could hit")

    def weight(one: _Target) -> tuple[object, ...]:
        volumes = len(facts.volumes_on(one.node)) if one.node is not None else 0
        return (volumes, *one.weight, one.node or "", one.target)

    best = min(targets, key=weight)
    volumes = facts.volumes_on(best.node) if best.node is not None else []
    if volumes and not wish.disturb:
        raise Conflict(
            f"volume {volumes[0]} is in use on node {best.node}, and "
            f"{'nothing gentler was asked for' if wish.node else 'there is no gentler target'}: "
            "--disturb does it all the same"
        )
    return best


def _writer(drill: Drill, facts: DrillFacts, node: str | None) -> str:
    """The node that uses the drill's volume: one that stays up."""
    found = [
        one.name
        for one in facts.usable_nodes()
        if facts.state.node(one.name).is_client and one.name != drill.node and node in (None, one.name)
    ]
    if not found:
        raise NotPossible("no other node can use a volume and watch, as it stays up")
    return min(found, key=lambda name: (_is_manager(name, facts), len(facts.volumes_on(name)), name))


def _with_pool(drill: Drill, engine: EngineSeen, facts: DrillFacts) -> Drill:
    """The drill's volume is in a pool that the fault hits, if it hits one, and else in the emptiest."""
    servers = {one.name for one in facts.servers_of(drill.node)} if drill.node is not None else set()
    hit = [one.pool for one in engine.devices if one.server in servers]
    if drill.kind is DrillKind.FAIL_DISK:
        hit = [one.pool for one in engine.devices if one.name == device_name(drill.target)]
    pools = [one for one in engine.pools if one.name in hit] or list(engine.pools)
    pools = [one for one in pools if one.free_bytes >= _SPARE_BYTES]
    if not pools:
        raise NotPossible("no pool has room for the drill's own volume")
    best = min(pools, key=lambda one: (-one.free_bytes, one.name))
    return replace(drill, pool=best.name)


# --- what may be hit


def _serving(facts: DrillFacts, engine: EngineSeen) -> list[str]:
    """Nodes without whose devices every pool still has a copy of everything."""
    reasons, found = [], []
    for node in facts.usable_nodes():
        servers = {one.name for one in facts.servers_of(node.name)}
        pools = {one.pool for one in engine.devices if one.server in servers}
        if not pools:
            continue
        alone = [pool for pool in sorted(pools) if not _has_other_unit(engine, servers, pool)]
        if alone:
            reasons.append(f"node {node.name} holds the only copy of what is in pool {alone[0]}")
        else:
            found.append(node.name)
    if not found:
        raise NotPossible(reasons[0] if reasons else "no node serves disks")
    return found


def _has_other_unit(engine: EngineSeen, servers: set[str], pool: object) -> bool:
    """Whether a pool has devices on another fault unit than that of these servers."""
    units = {one.name: one.fault_set or one.name for one in engine.servers}
    mine = {units.get(name, name) for name in servers}
    others = {
        units.get(one.server, one.server) for one in engine.devices if one.pool == pool and not one.failed
    }
    return bool(others - mine)


def _is_manager(node: str, facts: DrillFacts) -> bool:
    engine = facts.state.engine
    return engine is not None and any(place.node == node for place in engine.managers)


def _managers(facts: DrillFacts, engine: EngineSeen) -> dict[str, SeenManager]:
    """Managers of ours by node; none if the quorum cannot do without one."""
    healthy = sum(one.healthy for one in engine.managers)
    if (healthy - 1) * 2 <= len(engine.managers):
        return {}
    identity = facts.state.engine
    places = {place.address: place.node for place in identity.managers} if identity is not None else {}
    return {places[one.host]: one for one in engine.managers if one.host in places}


def _leads(name: str, managers: Mapping[str, SeenManager]) -> int:
    return int(name in managers and managers[name].leads)


def _servers_targets(wish: DrillWish, facts: DrillFacts, engine: EngineSeen) -> list[_Target]:
    managers = _managers(facts, engine)
    return [
        _Target(
            name, f"the servers of node {name}", "", (int(name in managers),), "others have a copy of all"
        )
        for name in _serving(facts, engine)
    ]


def _cut_off_targets(wish: DrillWish, facts: DrillFacts, engine: EngineSeen) -> list[_Target]:
    serving = _serving(facts, engine)
    managers = _managers(facts, engine)
    found = [
        _Target(
            name,
            f"node {name}",
            "",
            (int(_is_manager(name, facts)), _leads(name, managers)),
            "it can be missed",
        )
        for name in serving
        if name in managers or not _is_manager(name, facts)
    ]
    if not found:
        raise NotPossible("without any of the nodes there would be no majority of managers")
    return found


def _manager_targets(wish: DrillWish, facts: DrillFacts, engine: EngineSeen) -> list[_Target]:
    managers = _managers(facts, engine)
    usable = {node.name for node in facts.usable_nodes()}
    if not managers:
        raise NotPossible(
            f"one of {len(engine.managers)} managers fewer is no majority any more, or they are not ours"
        )
    return [
        _Target(name, f"the manager of node {name}", "", (int(one.leads),), "a majority is left without it")
        for name, one in sorted(managers.items())
        if name in usable
    ]


def _disk_targets(wish: DrillWish, facts: DrillFacts, engine: EngineSeen) -> list[_Target]:
    if not facts.files:
        raise NotPossible("the disks of these nodes are real ones, and nobody can pull them out from here")
    serving = _serving(facts, engine)
    devices = {one.name: one for one in engine.devices if not (one.failed or one.leaving)}
    found = []
    rules = tuple(rule.name for rule in facts.spec.rules if rule.remedy is RemedyKind.REPLACE_DEVICE)
    for claim in facts.state.claims.values():
        device = devices.get(device_name(claim.identity))
        if device is None or claim.node not in serving or not _is_meant(claim, wish.thing):
            continue
        without = replace(
            engine,
            devices=tuple(replace(one, failed=True) if one is device else one for one in engine.devices),
        )
        pool = engine.pool(device.pool)
        if pool is not None and pool.used_bytes <= capacities(without).get(device.pool, 0):
            title = f"disk {claim.path.rpartition('/')[2]} of node {claim.node}"
            rests = int(resting(rules, device.name, facts) is not None)
            weight = (rests, int(_is_manager(claim.node, facts)))
            because = "there is room elsewhere for what is on it"
            found.append(_Target(claim.node, title, claim.identity, weight, because))
    if not found:
        raise NotPossible(
            f"there is no disk {wish.thing or ''} whose data would have room elsewhere".replace("  ", " ")
        )
    return found


def _is_meant(claim: Claim, thing: str | None) -> bool:
    return thing is None or thing in (claim.identity, claim.path, claim.path.rpartition("/")[2])


def _scheduler_targets(wish: DrillWish, facts: DrillFacts, engine: EngineSeen) -> list[_Target]:
    return [_Target(None, "the scheduler", because="storage goes on without it")]


def _provider_targets(wish: DrillWish, facts: DrillFacts, engine: EngineSeen) -> list[_Target]:
    names = [one.name for one in facts.spec.providers if wish.thing in (None, one.name)]
    if not names:
        what = "the spec has no providers" if wish.thing is None else f"there is no provider {wish.thing}"
        raise NotPossible(what)
    return [_Target(None, f"provider {name}", name, (at,), "it is asked") for at, name in enumerate(names)]


_TARGETS: Mapping[DrillKind, Callable[[DrillWish, DrillFacts, EngineSeen], list[_Target]]] = {
    DrillKind.KILL_SERVER: _servers_targets,
    DrillKind.FAIL_DISK: _disk_targets,
    DrillKind.CUT_OFF_NODE: _cut_off_targets,
    DrillKind.KILL_MANAGER: _manager_targets,
    DrillKind.KILL_SCHEDULER: _scheduler_targets,
    DrillKind.STALL_PROVIDER: _provider_targets,
}
