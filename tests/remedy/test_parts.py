"""The disks of remedies: where they come from, what they may cost, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace

from artesian.model.disk import Claim, Disk
from artesian.model.provided import ProvidedDisk, ProvidedState
from artesian.model.remedy import RELEASED, Part, PartState, Remedy
from artesian.model.rule import Budget, RemedyKind
from artesian.model.state import with_item
from artesian.remedy.facts import RemedyFacts
from artesian.remedy.parts import ATTEMPTS, NOT_SEEN_S, can_afford, choose, may_be_released, provided
from tests.planner.situations import POOL
from tests.remedy.cases import EXPAND, GIB, POOL_NAME, Clinic

MADE = ProvidedDisk("disk-1", "token", "node-1", 10 * GIB, ProvidedState.ATTACHED, "vd-token")


def a_part(state: PartState = PartState.ASKED, **values: object) -> Part:
    """Asked for at the beginning of time."""
    given: dict[str, object] = {"asked_s": 0.0, "since_s": 0.0, **values}
    return Part("token", "files", "node-1", 10 * GIB, state, **given)  # type: ignore[arg-type]


def acting(clinic: Clinic, *parts: Part, disks: int = 2) -> Remedy:
    """An expansion that is stored with these parts."""
    clinic.fire(EXPAND, POOL_NAME)
    clinic.look()
    remedy = replace(clinic.remedy, parts=parts, disks=disks)
    clinic.world.state = replace(
        clinic.world.state, remedies=with_item(clinic.world.state.remedies, remedy.id, remedy)
    )
    return remedy


def on_node(clinic: Clinic, node: str, disk: Disk) -> None:
    """The node reports one more disk."""
    clinic.world.nodes = tuple(
        replace(one, disks=(*one.disks, disk)) if one.name == node else one for one in clinic.world.nodes
    )


def facts_at(clinic: Clinic, now_s: float) -> RemedyFacts:
    return replace(clinic.facts, now_s=now_s)


def test_a_disk_that_took_long_to_make_is_waited_for_as_long_as_any_other() -> None:
    """Its node has had no time to see it when its provider says for the first time that it is attached."""
    clinic = Clinic()
    part = a_part()
    remedy = acting(clinic, part)
    part, claim = provided(remedy, part, MADE, facts_at(clinic, 10 * NOT_SEEN_S))
    assert (part.state, claim) == (PartState.ASKED, None)
    part, _ = provided(remedy, part, MADE, facts_at(clinic, 11 * NOT_SEEN_S))
    assert part.state is PartState.ASKED
    part, _ = provided(remedy, part, MADE, facts_at(clinic, 11 * NOT_SEEN_S + 1))
    assert part.state is PartState.GIVEN_UP


def test_a_disk_that_was_given_up_is_released() -> None:
    clinic = Clinic()
    acting(clinic, a_part(PartState.GIVEN_UP))
    assert may_be_released(MADE, clinic.world.state, clinic.facts) is None


def test_a_disk_that_turned_up_on_another_node_and_is_in_use_there_is_not_released() -> None:
    clinic = Clinic()
    acting(clinic, a_part(PartState.GIVEN_UP))
    on_node(clinic, "node-2", Disk("/dev/sdz", "serial:vd-token", 10 * GIB))
    claim = Claim("serial:vd-token", "node-2", "/dev/sdz", POOL, 10 * GIB, "it is free")
    state = replace(clinic.world.state, claims=with_item(clinic.world.state.claims, claim.identity, claim))
    assert may_be_released(MADE, state, clinic.facts) == "it is claimed"


def test_a_claimed_disk_that_no_node_shows_is_not_released() -> None:
    clinic = Clinic()
    acting(clinic, a_part(PartState.GIVEN_UP))
    claim = Claim("serial:vd-token", "node-2", "/dev/sdz", POOL, 10 * GIB, "it is free")
    clinic.world.state = replace(
        clinic.world.state, claims=with_item(clinic.world.state.claims, claim.identity, claim)
    )
    assert may_be_released(MADE, clinic.world.state, clinic.facts) == "it is claimed"


def test_nothing_is_released_before_every_node_has_been_heard_of() -> None:
    clinic = Clinic()
    acting(clinic, a_part(PartState.GIVEN_UP))
    facts = clinic.facts
    unheard = replace(facts, seen=replace(facts.seen, unheard=frozenset({"node-2"})))
    assert "node-2 has not reported yet" in str(may_be_released(MADE, clinic.world.state, unheard))


def test_nothing_is_released_while_everything_is_paused() -> None:
    clinic = Clinic()
    acting(clinic, a_part(PartState.GIVEN_UP))
    paused = replace(clinic.world.state, paused=True)
    assert may_be_released(MADE, paused, clinic.facts) == "everything is paused"


def test_parts_that_were_chosen_at_the_same_time_for_two_pools_do_not_share_a_budget() -> None:
    clinic = Clinic(budget=Budget(disks_total=2))
    remedy = acting(clinic)
    first = [a_part(), replace(a_part(), token="token-2")]
    assert can_afford(remedy, first, clinic.facts)
    other = replace(remedy, id="other", parts=(replace(a_part(), token="theirs"),))
    state = replace(clinic.world.state, remedies=with_item(clinic.world.state.remedies, "other", other))
    assert not can_afford(remedy, first, replace(clinic.facts, state=state))


def test_a_disk_that_was_given_up_is_paid_for_until_it_is_gone() -> None:
    clinic = Clinic(budget=Budget(disks_total=2))
    lost = a_part(PartState.GIVEN_UP, detail="it is stuck", disk_id="disk-1")
    kept = replace(a_part(PartState.IN_USE), token="kept")
    remedy = acting(clinic, lost, kept)
    choice = choose(remedy, clinic.facts, lambda _name, request: clinic.quote(request))
    assert not choice.parts and not choice.final
    assert "until what was given up is given back" in choice.detail
    remedy = acting(clinic, replace(lost, detail=RELEASED), kept)
    assert choose(remedy, clinic.facts, lambda _name, request: clinic.quote(request)).parts


def test_what_was_refused_costs_nothing() -> None:
    clinic = Clinic(budget=Budget(disks_total=2))
    refused = a_part(PartState.GIVEN_UP, detail="the quota is used up", refused=True)
    remedy = acting(clinic, refused, replace(a_part(PartState.IN_USE), token="kept"))
    assert choose(remedy, clinic.facts, lambda _name, request: clinic.quote(request)).parts


def test_the_reason_of_the_last_disk_that_was_given_up_is_told() -> None:
    clinic = Clinic()
    parts = [
        replace(a_part(PartState.GIVEN_UP, detail=f"reason {at}", since_s=float(at)), token=f"token-{at}")
        for at in range(2 * ATTEMPTS - 1)
    ]
    remedy = acting(clinic, *parts, replace(a_part(), token="last"), disks=2)
    choice = choose(remedy, clinic.facts, lambda _name, request: clinic.quote(request))
    assert choice.final and choice.detail == "6 disks were tried: reason 4"


def test_a_remedy_knows_its_pool_while_the_engine_does_not_answer() -> None:
    clinic = Clinic()
    clinic.world.engine = None
    clinic.fire(EXPAND, POOL_NAME)
    clinic.look()
    assert (clinic.remedy.kind, clinic.remedy.pool) == (RemedyKind.EXPAND_POOL, POOL)
