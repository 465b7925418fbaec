"""From a rule that fires to what became of it."""

from __future__ import annotations

from dataclasses import replace

from artesian.model.disk import Tombstone
from artesian.model.names import device_name
from artesian.model.node import NodeState
from artesian.model.provided import ProvidedState
from artesian.model.remedy import PartState, RemedyState
from artesian.model.rule import Approval, Budget, QuietHours
from artesian.model.state import with_item
from artesian.model.wishes import VolumeWish
from artesian.remedy.lifecycle import CHECKING_S, STALLED_S, advance
from artesian.remedy.proposing import NOT_NEEDED_S
from tests.planner.situations import POOL
from tests.remedy.cases import EXPAND, GIB, MANAGER, MOVE, POOL_NAME, REMOVE, REPLACE, RULES, TELL, Clinic

YEAR_S = 365 * 86_400.0


def test_a_full_pool_is_expanded_in_several_units_and_nobody_is_asked_about_the_disks() -> None:
    clinic = Clinic(4)
    clinic.fill(0.9)
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(6)
    assert clinic.remedy.state is RemedyState.CHECKING
    assert {part.state for part in clinic.remedy.parts} == {PartState.IN_USE}
    assert len({part.node for part in clinic.remedy.parts}) >= 2
    clinic.calm()
    clinic.pass_()
    assert clinic.remedy.state is RemedyState.HELPED


def test_everything_that_happens_is_told_with_its_reason() -> None:
    clinic = Clinic()
    clinic.fill(0.9)
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(6)
    clinic.calm()
    clinic.pass_()
    assert clinic.told[0] == "expand-pool of default/default is to begin: default/default is not well"
    assert clinic.told[-1] == "expand-pool of default/default has helped: default/default is not well"


def test_nothing_is_done_before_somebody_agrees_where_the_rule_asks() -> None:
    clinic = Clinic(rules=(replace(EXPAND, approval=Approval.ASK),))
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(5)
    assert clinic.remedy.state is RemedyState.ASKING and not clinic.made
    approved = replace(clinic.remedy, approved_by="me")
    clinic.world.state = replace(clinic.world.state, remedies={approved.id: approved})
    clinic.passes(5)
    assert clinic.made


def test_what_goes_away_by_itself_needs_no_remedy() -> None:
    clinic = Clinic(rules=(replace(EXPAND, approval=Approval.ASK),))
    clinic.fire(EXPAND, POOL_NAME)
    clinic.pass_()
    clinic.calm()
    clinic.pass_()
    assert clinic.remedy.state is RemedyState.NOT_NEEDED


def test_whether_it_helps_is_seen_when_all_has_moved_to_the_new_disks() -> None:
    clinic = Clinic()
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(6)
    engine = clinic.world.engine
    assert engine is not None and clinic.remedy.state is RemedyState.CHECKING
    moving = replace(engine, pools=(replace(engine.pools[0], moving_bytes=GIB),))
    clinic.world.engine = moving
    clinic.passes(5, CHECKING_S)
    assert clinic.remedy.state is RemedyState.CHECKING
    clinic.world.engine = engine
    clinic.pass_(CHECKING_S / 4)
    assert clinic.remedy.state is RemedyState.CHECKING
    clinic.calm()
    clinic.pass_()
    assert clinic.remedy.state is RemedyState.HELPED


def test_one_remedy_at_a_time_for_the_same_thing() -> None:
    clinic = Clinic()
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(4)
    assert len(clinic.remedies) == 1


def test_a_remedy_that_did_not_help_is_not_repeated_blindly() -> None:
    clinic = Clinic()
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(6)
    clinic.pass_(CHECKING_S + 1)
    assert clinic.remedy.state is RemedyState.FAILED
    assert clinic.remedy.detail == "everything was done, and it did not help"
    clinic.pass_(EXPAND.cooldown_s + 1)
    again = clinic.remedies[-1]
    assert again.state is RemedyState.ASKING
    assert "the last remedy did not help" in again.because


def test_what_has_failed_is_not_done_again_unasked_because_it_was_not_needed_for_a_moment() -> None:
    clinic = Clinic()
    clinic.refused = lambda _request: "there are none"
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(4)
    failed = replace(clinic.remedy, state=RemedyState.FAILED)
    clinic.world.state = clinic.world.state.with_remedy(failed)
    clinic.pass_(EXPAND.cooldown_s + 1)
    assert clinic.remedies[-1].state is RemedyState.ASKING
    clinic.calm()
    clinic.pass_()
    assert clinic.remedies[-1].state is RemedyState.NOT_NEEDED
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(3, NOT_NEEDED_S)
    assert len(clinic.remedies) == 3
    assert clinic.remedies[-1].state is RemedyState.ASKING


def test_a_clock_that_was_ahead_silences_nobody_for_long() -> None:
    clinic = Clinic()
    clinic.now_s += YEAR_S
    clinic.fire(TELL, POOL_NAME, since_s=clinic.now_s)
    clinic.passes(4)
    clinic.now_s -= YEAR_S
    clinic.calm()
    clinic.pass_()
    clinic.fire(TELL, POOL_NAME, since_s=clinic.now_s)
    clinic.passes(4)
    assert [one.state for one in clinic.remedies] == [RemedyState.HELPED] * 2
    clinic.passes(4)
    assert len(clinic.remedies) == 2


def test_a_clock_that_was_ahead_keeps_no_remedy_open() -> None:
    clinic = Clinic()
    clinic.state_of_new = ProvidedState.ATTACHING
    clinic.now_s += YEAR_S
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(4)
    clinic.now_s -= YEAR_S
    clinic.pass_()
    clinic.pass_(STALLED_S + 1)
    assert clinic.remedy.state is RemedyState.FAILED


def test_there_is_a_pause_after_each_remedy() -> None:
    clinic = Clinic()
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(6)
    clinic.calm()
    clinic.pass_()
    clinic.fire(EXPAND, POOL_NAME)
    clinic.pass_(EXPAND.cooldown_s - 10)
    assert len(clinic.remedies) == 1
    clinic.pass_(20)
    assert len(clinic.remedies) == 2


def test_what_comes_back_again_and_again_is_shown_to_somebody() -> None:
    clinic = Clinic(rules=(replace(EXPAND, cooldown_s=1.0),))
    for _ in range(4):
        clinic.fire(EXPAND, POOL_NAME)
        clinic.passes(6)
        clinic.calm()
        clinic.pass_(5.0)
    assert [one.state for one in clinic.remedies[:3]] == [RemedyState.HELPED] * 3
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(2, seconds=5.0)
    assert clinic.remedies[-1].state is RemedyState.ASKING
    assert "it keeps coming back" in clinic.remedies[-1].detail


def test_nothing_begins_while_everything_is_paused() -> None:
    clinic = Clinic()
    clinic.world.state = replace(clinic.world.state, paused=True)
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(3)
    assert (clinic.remedy.state, clinic.remedy.detail) == (RemedyState.HELD, "everything is paused")


def test_nothing_begins_in_quiet_hours() -> None:
    clinic = Clinic(rules=(replace(EXPAND, quiet_hours=(QuietHours(0, 24 * 60),)),))
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(3)
    assert clinic.remedy.detail == "these are quiet hours"


def test_nothing_begins_while_the_engine_does_not_answer() -> None:
    clinic = Clinic()
    clinic.world.engine = None
    clinic.fire(EXPAND, POOL_NAME)
    clinic.look()
    clinic.look()
    assert "the engine does not answer" in clinic.remedy.detail and not clinic.made


def test_a_manager_is_not_taken_away_where_no_other_node_can_have_one() -> None:
    clinic = Clinic()
    clinic.fire(MANAGER, "node-1")
    clinic.passes(3)
    assert clinic.remedy.state is RemedyState.HELD
    assert clinic.remedy.detail == "no other node can have a manager"


def test_a_budget_is_not_exceeded() -> None:
    clinic = Clinic(budget=Budget(disks_per_day=1))
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(4)
    assert not clinic.made
    assert "the budget allows 1 disks in a day" in clinic.remedy.detail


def test_a_refusal_of_the_provider_leads_elsewhere() -> None:
    clinic = Clinic(5)
    clinic.refused = lambda request: "no slot is free" if request.node in ("node-1", "node-2") else ""
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(6)
    assert clinic.made and not {one.node for one in clinic.made.values()} & {"node-1", "node-2"}


def test_where_no_disk_can_be_had_nothing_is_made_and_it_is_said() -> None:
    clinic = Clinic()
    clinic.refused = lambda _request: "the quota is used up"
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(3)
    assert not clinic.made
    assert "the quota is used up" in clinic.remedy.detail


def test_a_failed_device_is_replaced_on_its_node() -> None:
    clinic = Clinic()
    assert clinic.world.engine is not None
    lost = clinic.world.engine.devices[0]
    clinic.fire(REPLACE, lost.name)
    clinic.passes(8)
    assert lost.name not in {one.name for one in clinic.world.engine.devices}
    (part,) = clinic.remedy.parts
    assert (part.node, part.size_bytes) == ("node-1", lost.size_bytes)
    assert device_name(part.identity) in {one.name for one in clinic.world.engine.devices}


def test_a_disk_that_is_given_up_when_the_others_are_in_use_is_not_forgotten() -> None:
    clinic = Clinic(4)
    clinic.fill(0.7)
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(5)
    first, second = clinic.remedy.parts
    lost = replace(second, state=PartState.GIVEN_UP, detail="it is stuck")
    acting = replace(clinic.remedy, state=RemedyState.ACTING, parts=(first, lost))
    clinic.world.state = replace(clinic.world.state, remedies={acting.id: acting})
    clinic.look()
    assert (clinic.remedy.state, clinic.remedy.detail) == (
        RemedyState.ACTING,
        "another disk is being looked for",
    )
    clinic.passes(5)
    assert [part.state for part in clinic.remedy.parts].count(PartState.IN_USE) == 2


def test_what_could_be_had_will_do_where_no_more_can() -> None:
    rule = replace(EXPAND, parameters={"disks": 4}, budget=Budget(disks_total=3))
    clinic = Clinic(4, rules=(rule,))
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(8)
    assert clinic.remedy.state is RemedyState.CHECKING
    assert [part.state for part in clinic.remedy.parts] == [PartState.IN_USE] * 3


def test_a_disk_that_was_replaced_stays_out() -> None:
    clinic = Clinic()
    assert clinic.world.engine is not None
    clinic.fire(REPLACE, clinic.world.engine.devices[0].name)
    clinic.passes(8)
    stones = clinic.world.state.tombstones
    assert [type(one) for one in stones.values()] == [Tombstone]


def test_a_lost_manager_goes_before_another_one_comes() -> None:
    clinic = Clinic(4)
    assert clinic.world.engine is not None
    first, *others = clinic.world.engine.managers
    clinic.world.engine = replace(clinic.world.engine, managers=(replace(first, healthy=False), *others))
    clinic.world.nodes = tuple(
        replace(one, state=NodeState.GONE) if one.name == "node-1" else one for one in clinic.world.nodes
    )
    clinic.world.done.clear()
    clinic.fire(MANAGER, "node-1")
    clinic.passes(8)
    names = [type(step.change).__name__ for step in clinic.world.done]
    assert names.index("RemoveManager") < names.index("AddManager")
    assert clinic.world.state.engine is not None
    assert sorted(place.node for place in clinic.world.state.engine.managers) == [
        "node-2",
        "node-3",
        "node-4",
    ]
    assert clinic.remedy.state is RemedyState.CHECKING


def test_a_node_that_is_gone_for_good_is_taken_out_when_everything_is_rebuilt() -> None:
    clinic = Clinic(5)
    assert clinic.world.engine is not None
    clinic.world.nodes = tuple(
        replace(one, state=NodeState.GONE) if one.name == "node-5" else one for one in clinic.world.nodes
    )
    pool = clinic.world.engine.pools[0]
    clinic.world.engine = replace(clinic.world.engine, pools=(replace(pool, moving_bytes=GIB),))
    clinic.fire(REMOVE, "node-5")
    clinic.passes(3)
    assert "is being healed" in clinic.remedy.detail
    clinic.world.engine = replace(clinic.world.engine, pools=(pool,))
    clinic.passes(8)
    assert not [one for one in clinic.world.state.claims.values() if one.node == "node-5"]


def test_a_node_stays_where_managers_would_have_too_few_without_it() -> None:
    clinic = Clinic(3)
    clinic.world.nodes = tuple(
        replace(one, state=NodeState.GONE) if one.name == "node-3" else one for one in clinic.world.nodes
    )
    clinic.fire(REMOVE, "node-3")
    clinic.passes(3)
    assert clinic.remedy.state is RemedyState.HELD
    assert clinic.remedy.detail == "without it there would be 2 nodes, and 3 managers need as many"


def test_volumes_are_moved_away_from_a_sick_node() -> None:
    clinic = Clinic()
    wish = VolumeWish("data", POOL, 2 * GIB, node="node-1", mount_path="/data")
    clinic.world.state = replace(
        clinic.world.state, volumes=with_item(clinic.world.state.volumes, "data", wish)
    )
    clinic.world.converge()
    revision = clinic.world.state.node("node-1").revision
    clinic.fire(MOVE, "node-1")
    clinic.passes(6)
    moved = clinic.world.state.volumes["data"]
    assert (moved.node, moved.mount_path) == ("node-2", "/data")
    assert clinic.world.state.node("node-1").revision == revision + 1


def test_a_volume_that_comes_back_to_where_it_was_forced_from_is_not_forced_from_there_again() -> None:
    """Force would take it from there while it is used, the next time that it is moved."""
    clinic = Clinic()
    wish = VolumeWish("data", POOL, 2 * GIB, node="node-1", forced_from="node-2")
    clinic.world.state = replace(
        clinic.world.state, volumes=with_item(clinic.world.state.volumes, "data", wish)
    )
    clinic.world.converge()
    clinic.fire(MOVE, "node-1")
    clinic.look()
    moved = clinic.world.state.volumes["data"]
    assert (moved.node, moved.forced_from) == ("node-2", None)


def test_two_volumes_are_not_moved_to_one_place() -> None:
    clinic = Clinic(2)
    for name, where in (("data", "node-1"), ("other", "node-2")):
        wish = VolumeWish(name, POOL, 2 * GIB, node=where, mount_path="/data")
        volumes = with_item(clinic.world.state.volumes, name, wish)
        clinic.world.state = replace(clinic.world.state, volumes=volumes)
    clinic.world.converge()
    clinic.fire(MOVE, "node-1")
    clinic.look()
    assert clinic.world.state.volumes["data"].node == "node-1"


def test_the_same_facts_have_the_same_outcome() -> None:
    clinic = Clinic()
    for rule in RULES:
        clinic.fire(rule, POOL_NAME)
    assert advance(clinic.facts) == advance(clinic.facts)


def test_telling_somebody_is_done_at_once_and_not_again() -> None:
    clinic = Clinic()
    clinic.fire(TELL, POOL_NAME)
    clinic.passes(4)
    assert clinic.remedy.state is RemedyState.HELPED


def test_a_remedy_on_which_nothing_moves_for_an_hour_has_failed() -> None:
    clinic = Clinic()
    clinic.state_of_new = ProvidedState.ATTACHING
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(4)
    clinic.pass_(STALLED_S + 1)
    assert clinic.remedy.state is RemedyState.FAILED
    assert "nothing has moved for an hour" in clinic.remedy.detail


def test_a_remedy_does_not_fail_because_everything_was_paused_for_long() -> None:
    clinic = Clinic()
    clinic.state_of_new = ProvidedState.ATTACHING
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(4)
    clinic.world.state = replace(clinic.world.state, paused=True)
    clinic.passes(10, STALLED_S)
    assert clinic.remedy.state is RemedyState.ACTING
    clinic.world.state = replace(clinic.world.state, paused=False)
    clinic.pass_(STALLED_S / 4)
    assert clinic.remedy.state is RemedyState.ACTING
    clinic.pass_(STALLED_S + 1)
    assert clinic.remedy.state is RemedyState.FAILED


def test_a_large_disk_that_takes_hours_to_move_away_has_not_failed() -> None:
    clinic = Clinic()
    engine = clinic.world.engine
    assert engine is not None
    device = engine.devices[0]
    clinic.fire(REPLACE, device.name)
    clinic.look()
    assert clinic.remedy.state is RemedyState.ACTING
    for left in (9, 8, 7, 6):
        clinic.world.engine = replace(engine, pools=(replace(engine.pools[0], moving_bytes=left * GIB),))
        clinic.now_s += STALLED_S * 0.9
        clinic.look()
        assert clinic.remedy.state is RemedyState.ACTING
    clinic.now_s += STALLED_S + 1
    clinic.look()
    assert clinic.remedy.state is RemedyState.FAILED


def test_what_one_rule_has_told_does_not_keep_another_from_telling() -> None:
    graver = replace(TELL, name="the graver one", when="failed_bytes > 0")
    clinic = Clinic(rules=(TELL, graver))
    clinic.fire(TELL, POOL_NAME, since_s=clinic.now_s)
    clinic.fire(graver, POOL_NAME, since_s=clinic.now_s)
    clinic.passes(4)
    assert {one.rule for one in clinic.remedies} == {TELL.name, graver.name}
    assert len(clinic.remedies) == 2


def test_a_remedy_that_is_over_gives_up_the_disks_that_it_still_waits_for() -> None:
    clinic = Clinic()
    clinic.state_of_new = ProvidedState.ATTACHING
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(4)
    assert {part.state for part in clinic.remedy.parts} == {PartState.ASKED}
    clinic.pass_(STALLED_S + 1)
    assert clinic.remedy.state is RemedyState.FAILED
    assert {part.state for part in clinic.remedy.parts} == {PartState.GIVEN_UP}


def test_what_goes_on_is_not_told_again() -> None:
    clinic = Clinic()
    clinic.fire(TELL, POOL_NAME)
    clinic.passes(4)
    clinic.pass_(TELL.cooldown_s + 1)
    assert len(clinic.remedies) == 1
    clinic.calm()
    clinic.pass_()
    clinic.fire(TELL, POOL_NAME, since_s=clinic.now_s)
    clinic.pass_()
    assert len(clinic.remedies) == 2


def test_nobody_has_to_agree_to_being_told_often() -> None:
    clinic = Clinic(rules=(replace(TELL, cooldown_s=1.0),))
    for _ in range(5):
        clinic.fire(TELL, POOL_NAME, since_s=clinic.now_s)
        clinic.passes(4)
        clinic.calm()
        clinic.pass_(5.0)
    assert [one.state for one in clinic.remedies] == [RemedyState.HELPED] * 5


def test_a_condition_that_comes_back_after_nothing_was_done_does_not_wait_out_the_pause() -> None:
    clinic = Clinic(rules=(replace(EXPAND, approval=Approval.ASK),))
    clinic.fire(EXPAND, POOL_NAME)
    clinic.pass_()
    clinic.calm()
    clinic.pass_()
    assert clinic.remedy.state is RemedyState.NOT_NEEDED
    clinic.fire(EXPAND, POOL_NAME)
    clinic.pass_(NOT_NEEDED_S - 1)
    assert len(clinic.remedies) == 1
    clinic.pass_(2.0)
    assert len(clinic.remedies) == 2


def test_where_a_clock_was_wrong_somebody_is_asked_if_any_that_may_have_been_the_last_failed() -> None:
    clinic = Clinic()
    clinic.fire(EXPAND, POOL_NAME)
    clinic.passes(6)
    helped = replace(clinic.remedy, state=RemedyState.HELPED)
    ahead_s = clinic.now_s + YEAR_S
    failed = replace(helped, id="ahead", state=RemedyState.FAILED, changed_s=ahead_s)
    clinic.world.state = clinic.world.state.with_remedy(helped).with_remedy(failed)
    clinic.pass_(EXPAND.cooldown_s + 1)
    assert clinic.remedies[-1].state is RemedyState.ASKING
