"""The disks of a remedy: where they are to come from, and how far each has come. Pure.

A part is stored, with its token, before a provider hears of it: whatever a provider makes can be found again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from artesian.model.disk import Claim, Disk, PoolName
from artesian.model.engine import SeenPool
from artesian.model.names import device_name
from artesian.model.provided import DiskRequest, ProvidedDisk, ProvidedState, Quote
from artesian.model.remedy import Part, PartState, Remedy
from artesian.model.rule import RemedyKind
from artesian.model.state import FrameworkState
from artesian.model.topology import VerdictKind
from artesian.remedy.capacity import capacities
from artesian.remedy.expanding import (
    DEFAULT_TARGET_SHARE,
    FEWEST_DISKS,
    Place,
    disks_needed,
    places,
    replacements,
    typical_disk_bytes,
)
from artesian.remedy.facts import RemedyFacts
from artesian.remedy.holding import over_budget
from artesian.remedy.pausing import paused

FORESIGHT_S = 4 * 3600.0  # for so long a pool that grows is given room
ATTEMPTS = 3  # for each disk that is needed
PROVIDER_AWAY_S = 600.0  # for so long a provider that does not answer is asked again, before somebody is told
NOT_SEEN_S = 300.0  # an attached disk that its node does not report, or may not take, for so long is given up

Quoting = Callable[[str, DiskRequest], Quote]


@dataclass(frozen=True, slots=True)
class Choice:
    """Parts to be asked for, or why there are none. `final`: asking again would not help; `enough`: no more
    can be had, and what there is will do."""

    parts: tuple[Part, ...] = ()
    detail: str = ""
    final: bool = False
    enough: bool = False


def needs_disks(remedy: Remedy, facts: RemedyFacts) -> bool:
    """Whether a remedy gets disks from a provider."""
    if remedy.kind is RemedyKind.EXPAND_POOL:
        return True
    return remedy.kind is RemedyKind.REPLACE_DEVICE and bool(facts.spec.providers)


def disks_wanted(remedy: Remedy, facts: RemedyFacts) -> int:
    """How many disks a remedy needs altogether."""
    engine = facts.seen.engine
    pool = engine.pool(remedy.pool) if engine is not None and remedy.pool is not None else None
    if pool is None or remedy.kind is not RemedyKind.EXPAND_POOL:
        return 1
    asked = remedy.parameters.get("disks")
    if asked is not None:
        return int(asked)
    share = float(remedy.parameters.get("target_share", DEFAULT_TARGET_SHARE))
    return disks_needed(pool, disk_bytes(remedy, facts), share, _growth_bytes(remedy, pool, facts))


def _growth_bytes(remedy: Remedy, pool: SeenPool, facts: RemedyFacts) -> float:
    """By how much the pool is to grow in the next hours at the rate at which it did when its rule fired."""
    full_in_s = remedy.saw.get("time_to_full_s", 0.0)
    if full_in_s <= 0 or facts.seen.engine is None:
        return 0.0
    room_bytes = capacities(facts.seen.engine)[pool.name] - pool.used_bytes
    return max(0, room_bytes) / full_in_s * FORESIGHT_S


def disk_bytes(remedy: Remedy, facts: RemedyFacts) -> int:
    """How large its disks are to be."""
    asked = remedy.parameters.get("disk_size_bytes")
    if asked is not None:
        return int(asked)
    said = next(
        (one.disk_size_bytes for one in facts.spec.providers if one.disk_size_bytes is not None), None
    )
    if said is not None and remedy.kind is RemedyKind.EXPAND_POOL:
        return said
    engine, pool = facts.seen.engine, remedy.pool
    lost = facts.claim_of(remedy.thing)
    if lost is not None:
        return lost.size_bytes
    typical = typical_disk_bytes(engine, pool) if engine is not None and pool is not None else 0
    return typical or facts.spec.minimum_disk_bytes


def choose(remedy: Remedy, facts: RemedyFacts, quote: Quoting) -> Choice:
    """The parts that are still lacking, each where a provider can give it at a price that is allowed.

    `quote` asks a provider, by name.
    """
    alive = [part for part in remedy.parts if part.state is not PartState.GIVEN_UP]
    lacking = remedy.disks - len(alive)
    will_do = min(FEWEST_DISKS, remedy.disks)
    if lacking <= 0:
        return Choice()
    if len(remedy.parts) + lacking > ATTEMPTS * max(remedy.disks, FEWEST_DISKS):
        if len(alive) >= will_do:
            return Choice(enough=True)
        return Choice(detail=f"{len(remedy.parts)} disks were tried: {_last_reason(remedy)}", final=True)
    chosen: list[Part] = []
    refusals: list[Quote] = []
    for place in _places(remedy, facts, lacking):
        if len(chosen) == lacking:
            break
        part = _quoted(remedy, facts, place, len(remedy.parts) + len(chosen), quote, refusals)
        if part is None:
            continue
        asking = _asking(remedy, chosen, facts)
        too_much = over_budget(remedy, part, asking)
        if too_much is not None:
            if over_budget(remedy, part, asking, once_given_back=True) is None:
                return Choice(detail=f"{too_much}, until what was given up is given back")
            refusals.append(Quote(refused=too_much))
            break
        chosen.append(part)
    silent = any(one.for_now for one in refusals)
    if len(alive) + len(chosen) < will_do:
        reason = refusals[0].refused if refusals else _last_reason(remedy)
        passes = silent and facts.now_s - remedy.changed_s < PROVIDER_AWAY_S
        return Choice(detail=f"no disk can be had: {reason}", final=not passes)
    return Choice(tuple(chosen), enough=not (chosen or silent))


def can_afford(remedy: Remedy, parts: Sequence[Part], facts: RemedyFacts) -> bool:
    """Whether parts that were chosen a while ago are still within all budgets."""
    return all(
        over_budget(remedy, part, _asking(remedy, parts[:at], facts)) is None for at, part in enumerate(parts)
    )


def _last_reason(remedy: Remedy) -> str:
    """Why the disk that was given up last was given up."""
    lost = [part for part in remedy.parts if part.state is PartState.GIVEN_UP and not part.is_released]
    last = max(lost, key=lambda part: part.since_s, default=None)
    return last.detail if last is not None else "no node can take another disk"


def _asking(remedy: Remedy, parts: Sequence[Part], facts: RemedyFacts) -> RemedyFacts:
    """The facts as they are when the remedy asks for these as well."""
    draft = replace(remedy, parts=(*remedy.parts, *parts))
    return replace(facts, state=facts.state.with_remedy(draft))


def _places(remedy: Remedy, facts: RemedyFacts, lacking: int) -> list[Place]:
    """More than are lacking, as some may be refused."""
    pool = remedy.pool
    if pool is None:
        return []
    size = disk_bytes(remedy, facts)
    tried = frozenset(part.node for part in remedy.parts if part.state is PartState.GIVEN_UP)
    if remedy.kind is RemedyKind.EXPAND_POOL:
        first = places(facts, pool, lacking, size, tried)
        others = [node.name for node in facts.usable_nodes() if node.name not in tried]
        used = {place.node for place in first}
        return [*first, *(Place(name, size) for name in others if name not in used)]
    claim = facts.claim_of(remedy.thing)
    return replacements(facts, claim.node if claim is not None else "", pool.domain, size, tried)


def _quoted(
    remedy: Remedy, facts: RemedyFacts, place: Place, number: int, quote: Quoting, refusals: list[Quote]
) -> Part | None:
    """A part from the first provider that can give it."""
    asked = remedy.parameters.get("provider")
    for provider in facts.spec.providers:
        if asked is not None and provider.name != asked:
            continue
        token = f"{remedy.id}-{number}"
        offer = quote(provider.name, request_for(facts, token, place.node, place.size_bytes))
        if offer.refused:
            refusals.append(replace(offer, refused=f"{provider.name} on node {place.node}: {offer.refused}"))
            continue
        return Part(
            token,
            provider.name,
            place.node,
            offer.size_bytes,
            PartState.ASKED,
            facts.now_s,
            facts.now_s,
            offer.cost_per_month,
        )
    return None


def request_for(facts: RemedyFacts, token: str, node: str, size_bytes: int) -> DiskRequest:
    """What a provider is asked."""
    seen = facts.seen.node(node)
    address = seen.address if seen is not None else facts.state.node(node).address
    attributes = seen.attributes if seen is not None else MappingProxyType({})
    return DiskRequest(token, node, address, size_bytes, attributes)


# --- what became of them


def with_part(remedy: Remedy, part: Part) -> Remedy:
    """The remedy with this part as it is now."""
    return replace(remedy, parts=tuple(part if one.token == part.token else one for one in remedy.parts))


def provided(remedy: Remedy, part: Part, disk: ProvidedDisk, facts: RemedyFacts) -> tuple[Part, Claim | None]:
    """A part after its provider has spoken, and the claim of its disk once its node sees it."""
    known = replace(part, disk_id=disk.id, cost_per_month=disk.cost_per_month, detail=disk.detail)
    if disk.state is ProvidedState.STUCK:
        return given_up(known, disk.detail or "it is stuck", facts.now_s), None
    if disk.state is not ProvidedState.ATTACHED or remedy.pool is None:
        return known, None
    known = replace(known, attached_s=part.attached_s or facts.now_s)
    seen = _seen_as(disk, part.node, facts)
    if seen is None or seen.identity is None:
        return _late(known, "its node does not see it yet", facts.now_s), None
    verdict = next(
        (one for one in facts.topology.verdicts if (one.node, one.identity) == (part.node, seen.identity)),
        None,
    )
    taken = facts.state.claims.get(seen.identity)
    if taken is not None and taken.pool != remedy.pool:
        return given_up(known, f"it was taken for pool {taken.pool}", facts.now_s), None
    if verdict is None or verdict.kind is VerdictKind.REFUSED:
        reason = verdict.because if verdict is not None else "it has not been judged yet"
        return _late(known, f"it may not be taken: {reason}", facts.now_s), None
    there = replace(known, state=PartState.THERE, since_s=facts.now_s, identity=seen.identity, detail="")
    return there, taken or _claim(remedy, remedy.pool, part.node, seen)


def _seen_as(disk: ProvidedDisk, node: str, facts: RemedyFacts) -> Disk | None:
    seen = facts.seen.node(node)
    found = [one for one in seen.disks if disk.is_seen_as(one)] if seen is not None else []
    return found[0] if len(found) == 1 else None


def _claim(remedy: Remedy, pool: PoolName, node: str, disk: Disk) -> Claim:
    assert disk.identity is not None
    because = f"remedy {remedy.id} has got it: {remedy.because}"
    return Claim(disk.identity, node, disk.path, pool, disk.size_bytes, because)


def _late(part: Part, detail: str, now_s: float) -> Part:
    if now_s - part.attached_s > NOT_SEEN_S:
        return given_up(part, detail, now_s)
    return replace(part, detail=detail)


def given_up(part: Part, detail: str, now_s: float) -> Part:
    """Its disk is to be released, wherever it is by now."""
    return replace(part, state=PartState.GIVEN_UP, since_s=now_s, detail=detail)


def settled(part: Part, facts: RemedyFacts) -> Part:
    """A part that needs no provider any more, as the engine and the claims say."""
    engine = facts.seen.engine
    if engine is None or part.state not in (PartState.THERE, PartState.IN_USE):
        return part
    if part.identity not in facts.state.claims:
        return given_up(part, "its disk is in no pool any more", facts.now_s)
    name = device_name(part.identity)
    if part.state is PartState.THERE and any(one.name == name and not one.failed for one in engine.devices):
        return replace(part, state=PartState.IN_USE, since_s=facts.now_s, detail="")
    return part


def identities_of(disk: ProvidedDisk, part: Part, facts: RemedyFacts) -> set[str]:
    """By what names a provider's disk is known, wherever it has turned up."""
    seen = {one.identity for node in facts.seen.nodes for one in node.disks if disk.is_seen_as(one)}
    claimed = {identity for identity in facts.state.claims if identity.partition(":")[2] == disk.name}
    return {one for one in (part.identity, *seen, *claimed) if one}


def may_be_released(disk: ProvidedDisk, state: FrameworkState, facts: RemedyFacts) -> str | None:
    """Why a provider's disk must stay; None when a remedy of ours has given it up, and nothing is on it.

    A disk of which the store knows nothing is never released: the store may be the wrong one.
    """
    remedy, part = next(
        ((it, one) for it in state.remedies.values() for one in it.parts if one.token == disk.token),
        (None, None),
    )
    if remedy is None or part is None:
        return "no remedy that is remembered has asked for it"
    if part.state is not PartState.GIVEN_UP:
        return f"it is {part.state}"
    if (because := paused(remedy, state)) is not None:
        return because
    if facts.seen.unheard:
        return f"node {min(facts.seen.unheard)} has not reported yet, and may have it"
    names = identities_of(disk, part, facts)
    if any(name in state.claims for name in names):
        return "it is claimed"
    engine = facts.seen.engine
    if engine is None:
        return "the engine does not answer"
    if any(device.name == device_name(name) for name in names for device in engine.devices):
        return "the engine still has it"
    return None
