"""What becomes of a drill, step by step, and that nothing is ever left of one."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from artesian.drill.advancing import (
    CALM_AGAIN_S,
    PREPARE_S,
    PROVOKE_S,
    UNEASY_S,
    VERIFY_S,
    Outcome,
    abort,
    advance,
    begin,
)
from artesian.drill.choosing import choose
from artesian.drill.facts import DrillFacts, Stall
from artesian.model.drill import (
    Drill,
    DrillKind,
    DrillState,
    DrillWish,
    Moment,
    SeenFault,
    SeenWriter,
    WriterMode,
)
from artesian.model.errors import Conflict
from artesian.model.names import device_name
from artesian.model.node import NodeState
from artesian.model.remedy import RemedyState
from artesian.planner.assigning import assignment_of
from tests.drill.cases import (
    NAMES,
    NOW_S,
    POOL,
    a_drill,
    device,
    engine,
    facts,
    identity,
    manager,
    node,
    pool,
    remedy,
    seen,
    server,
    state,
    told,
    with_drills,
    with_record,
    with_remedy,
)

WRITING = SeenWriter("d1", running=True, acknowledged=100, pause_s=0.5)
VERIFIED = SeenWriter("d1", running=False, acknowledged=100, pause_s=0.5, verified=100)
ACTING, OVER = SeenFault("d1"), SeenFault("d1", over=True)


def at(
    drill: Drill, fault: SeenFault | None = None, writer: SeenWriter | None = WRITING, **values: object
) -> DrillFacts:
    """A moment at which its node says this of its fault, and n3 that of its writer."""
    said = told([fault] if fault is not None else [], writer, on=drill.node or "", writing_on="n3")
    return facts(**{"state": with_drills(state(), drill), "told": said, **values})


def only(outcome: Outcome) -> Drill:
    (drill,) = outcome.state.drills.values()
    return drill


def after(drill: Drill, *arguments: object, **values: object) -> Drill:
    return only(advance(at(drill, *arguments, **values)))  # type: ignore[arg-type]


# --- the beginning


def test_a_drill_begins_with_a_volume_of_its_own() -> None:
    drill = choose(DrillWish(DrillKind.KILL_SERVER), facts())
    begun = begin(state(), drill)
    wish = begun.volumes[drill.volume]
    assert (wish.node, wish.mount_path, wish.pool) == (drill.writer_node, drill.mount_path, POOL)
    writer = assignment_of(begun, drill.writer_node, "").drill_writer
    assert writer is not None and writer.mode is WriterMode.WRITE
    assert all(assignment_of(begun, one, "").faults == () for one in NAMES)
    with pytest.raises(Conflict, match=drill.id):
        begin(begun, replace(drill, id="other"))


def test_nothing_is_provoked_before_somebody_writes() -> None:
    drill = a_drill(state=DrillState.PREPARING, times={})
    for writer in (None, replace(WRITING, acknowledged=3), replace(WRITING, running=False)):
        assert after(drill, None, writer).state is DrillState.PREPARING
    moved = after(drill)
    assert moved.state is DrillState.PROVOKING and moved.begin_by_s == NOW_S + PROVOKE_S


def test_nothing_is_provoked_while_something_is_wrong() -> None:
    drill = a_drill(state=DrillState.PREPARING, times={})
    moving = seen(engine=engine(pools=(pool(moving_bytes=1),)))
    assert after(drill, seen=moving).state is DrillState.PREPARING
    late = after(drill, seen=moving, now_s=NOW_S + PREPARE_S)
    assert (late.state, late.ending) == (DrillState.UNDOING, DrillState.ABORTED)
    assert "data is moving" in late.verdict


def test_a_fault_is_assigned_to_its_node_alone_until_it_is_to_be_undone() -> None:
    for one in DrillState:
        made = with_drills(state(), a_drill(state=one))
        faults = {name: assignment_of(made, name, "").faults for name in NAMES}
        expected = one in (DrillState.PROVOKING, DrillState.WATCHING, DrillState.VERIFYING)
        assert bool(faults.pop("n2")) is expected
        assert set(faults.values()) == {()}


def test_it_is_watched_once_it_is_there() -> None:
    drill = a_drill(state=DrillState.PROVOKING, times={})
    assert after(drill).state is DrillState.PROVOKING
    moved = after(drill, ACTING)
    assert (moved.state, moved.times) == (DrillState.WATCHING, {Moment.PROVOKED: NOW_S})
    refused = after(drill, SeenFault("d1", over=True, problem="nothing runs here"))
    assert (refused.ending, "nothing runs here" in refused.verdict) == (DrillState.FAILED, True)
    assert after(drill, now_s=NOW_S + PROVOKE_S).ending is DrillState.FAILED


# --- watching


def test_it_is_well_again_when_the_fault_is_over_and_the_engine_whole() -> None:
    away = seen(engine=engine(servers=tuple(server(one, connected=one != "n2") for one in NAMES)))
    noticed = after(a_drill(), ACTING, seen=away)
    assert noticed.state is DrillState.WATCHING and noticed.times[Moment.DETECTED] == NOW_S
    moving = seen(engine=engine(pools=(pool(moving_bytes=5),)))
    healing = after(noticed, OVER, seen=moving, now_s=NOW_S + 1)
    assert {Moment.DECIDED, Moment.ACTED, Moment.OVER} <= healing.times.keys()
    healed = after(healing, OVER, now_s=NOW_S + 9)
    assert (healed.state, healed.times[Moment.HEALED]) == (DrillState.VERIFYING, NOW_S + 9)


def test_a_fault_that_nobody_has_noticed_is_no_pass() -> None:
    drill = a_drill(times={Moment.PROVOKED: NOW_S - 10, Moment.OVER: NOW_S - 5})
    assert after(drill, OVER).state is DrillState.WATCHING
    late = after(drill, OVER, now_s=NOW_S + 300)
    assert late.ending is DrillState.FAILED and "nobody has noticed" in late.verdict
    shortly = replace(drill, hold_s=0.0)
    assert after(shortly, OVER).state is DrillState.VERIFYING


FAILED_DISK = a_drill(DrillKind.FAIL_DISK, target=identity("n2"), hold_s=300.0, expects=("replace",))
WITHOUT_DISK = seen(engine=engine(devices=tuple(device(one, failed=one == "n2") for one in NAMES)))


def test_a_rule_that_has_to_notice_is_waited_for() -> None:
    assert after(FAILED_DISK, ACTING, seen=WITHOUT_DISK).state is DrillState.WATCHING
    late = after(FAILED_DISK, ACTING, seen=WITHOUT_DISK, now_s=NOW_S + 300)
    assert late.ending is DrillState.FAILED and "rule replace should have fired" in late.verdict


@pytest.mark.parametrize(
    ("raised", "waits", "goes_on"),
    [
        (RemedyState.ASKING, False, True),  # it asked in time: that is all that it may do
        (RemedyState.ASKING, True, False),
        (RemedyState.ACTING, False, False),
        (RemedyState.HELPED, False, True),
    ],
)
def test_remedies_are_waited_for_but_not_for_people(raised: RemedyState, waits: bool, goes_on: bool) -> None:
    drill = replace(FAILED_DISK, wait_approval=waits)
    made = with_remedy(with_drills(state(), drill), remedy(device_name(identity("n2")), state=raised))
    moved = after(drill, ACTING, seen=WITHOUT_DISK, state=made)
    assert moved.state is (DrillState.VERIFYING if goes_on else DrillState.WATCHING)
    assert moved.remedies == ("r1",)


def test_a_scheduler_that_was_killed_is_another_one() -> None:
    drill = a_drill(DrillKind.KILL_SCHEDULER, state=DrillState.PROVOKING, times={}, node=None, killer="first")
    assert after(drill).state is DrillState.PROVOKING
    assert after(drill, scheduler="second").state is DrillState.WATCHING


def test_a_provider_hangs_and_answers() -> None:
    drill = a_drill(DrillKind.STALL_PROVIDER, node=None, target="files")
    assert after(drill, stall=Stall.HANGING).state is DrillState.WATCHING
    assert after(drill, stall=Stall.ANSWERED).state is DrillState.VERIFYING
    stuck = after(drill, stall=Stall.HANGING, pass_gap_s=60.0)
    assert stuck.ending is DrillState.FAILED and "stood still" in stuck.verdict


# --- verifying


def test_all_that_was_acknowledged_has_to_be_there() -> None:
    drill = a_drill(state=DrillState.VERIFYING)
    assert after(drill, OVER).state is DrillState.VERIFYING
    passed = after(drill, OVER, VERIFIED)
    assert (passed.state, passed.ending) == (DrillState.UNDOING, DrillState.PASSED)
    assert "all 100 acknowledged writes are there" in passed.verdict
    lost = after(drill, OVER, replace(VERIFIED, verified=99))
    assert lost.ending is DrillState.FAILED
    assert after(drill, OVER, now_s=NOW_S + VERIFY_S).ending is DrillState.FAILED


@pytest.mark.parametrize(
    "when", [DrillState.PREPARING, DrillState.PROVOKING, DrillState.WATCHING, DrillState.VERIFYING]
)
def test_an_error_that_a_writer_has_seen_is_no_pass(when: DrillState) -> None:
    failed = after(a_drill(state=when), ACTING, replace(WRITING, error="input/output error"))
    assert failed.ending is DrillState.FAILED and "input/output error" in failed.verdict


# --- real trouble

TROUBLES: dict[str, dict[str, object]] = {
    "everything is paused": {"state": with_drills(state(paused=True), a_drill())},
    "node n4 is silent": {
        "seen": seen(
            nodes=tuple(
                node(one, state=NodeState.SILENT if one == "n4" else NodeState.ALIVE) for one in NAMES
            )
        )
    },
    "out of reach": {"seen": seen(engine=engine(pools=(pool(failed_bytes=1),)))},
    "n4.default has failed": {
        "seen": seen(engine=engine(devices=tuple(device(one, failed=one == "n4") for one in NAMES)))
    },
    "node n1 is being removed": {"state": with_drills(with_record(state(), "n1", leaving=True), a_drill())},
    "remedy r1 was raised": {"state": with_remedy(with_drills(state(), a_drill()), remedy("n4"))},
}


@pytest.mark.parametrize("words", TROUBLES)
def test_real_trouble_ends_a_drill_at_once(words: str) -> None:
    ended = after(a_drill(), ACTING, **TROUBLES[words])
    assert (ended.state, ended.ending) == (DrillState.UNDOING, DrillState.ABORTED)
    assert words in ended.verdict


def test_what_may_be_a_moments_weakness_ends_it_when_it_lasts() -> None:
    away = seen(engine=engine(managers=(manager("n1", healthy=False), manager("n2"), manager("n3"))))
    uneasy = after(a_drill(), ACTING, seen=away)
    assert (uneasy.state, uneasy.uneasy_s) == (DrillState.WATCHING, NOW_S)
    assert after(uneasy, ACTING, now_s=NOW_S + 5).uneasy_s == 0.0
    ended = after(uneasy, ACTING, seen=away, now_s=NOW_S + UNEASY_S + 1)
    assert ended.ending is DrillState.ABORTED and "manager mdm-n1" in ended.verdict


def test_others_that_need_a_pool_end_its_filling() -> None:
    filling = a_drill(
        DrillKind.FILL_POOL,
        node="n3",
        others_bytes=4 << 30,
        amount_bytes=1 << 30,
        target="/mounts/n3/drill-d1",
    )
    mine = at(
        filling,
        SeenFault("d1", done_bytes=1 << 30),
        seen=seen(engine=engine(pools=(pool(used_bytes=6 << 30),))),
    )
    both = told([SeenFault("d1", done_bytes=1 << 30)], WRITING, on="n3", writing_on="n3")
    said = MappingProxyType({**both, "n3": replace(both["n3"], writer=WRITING)})
    assert only(advance(replace(mine, told=said))).ending is None
    theirs = seen(engine=engine(pools=(pool(used_bytes=9 << 30),)))
    ended = only(advance(replace(mine, told=said, seen=theirs)))
    assert ended.ending is DrillState.ABORTED and "others write" in ended.verdict
    uneven = tuple(device(one, used_bytes=97 if one == "n1" else 1, room_bytes=3) for one in NAMES)
    fuller = seen(engine=engine(pools=(pool(used_bytes=6 << 30),), devices=uneven))
    ended = only(advance(replace(mine, told=said, seen=fuller)))
    assert ended.ending is DrillState.ABORTED and "unevenly" in ended.verdict


# --- undoing

UNDOING = a_drill(state=DrillState.UNDOING, ending=DrillState.PASSED, verdict="all is well")


def test_undoing_goes_on_until_nothing_is_left() -> None:
    drill = choose(DrillWish(DrillKind.KILL_SERVER), facts())
    made = abort(begin(state(), drill), drill, "me", NOW_S)
    assert made.volumes[drill.volume].node is None
    undoing = made.drills[drill.id]
    assert assignment_of(made, drill.writer_node, "").drill_writer is None
    left = told([SeenFault(drill.id)], None, on=drill.node or "")
    assert only(advance(facts(state=made, told=left))) == undoing, "its fault is still there"
    behind = seen(behind=frozenset({drill.node or ""}))
    assert only(advance(facts(state=made, seen=behind))) == undoing, "nobody knows whether it is"
    gone = advance(facts(state=made)).state
    assert gone.volumes[drill.volume].deleted and gone.drills[drill.id].state is DrillState.UNDOING
    empty = replace(gone, volumes=state().volumes)
    assert only(advance(facts(state=empty))).state is DrillState.ABORTED


def test_both_nodes_get_assignments_that_they_have_never_had() -> None:
    before = with_drills(state(), a_drill())
    ended = abort(before, a_drill(), "me", NOW_S)
    for name in ("n2", "n3"):
        assert ended.node(name).revision > before.node(name).revision


def test_a_drill_ends_once() -> None:
    with pytest.raises(Conflict, match="undone already"):
        abort(with_drills(state(), UNDOING), UNDOING, "me", NOW_S)
    over = replace(UNDOING, state=DrillState.PASSED)
    with pytest.raises(Conflict, match="is over"):
        abort(with_drills(state(), over), over, "me", NOW_S)


def test_a_cluster_that_does_not_become_well_again_is_no_pass() -> None:
    moving = seen(engine=engine(pools=(pool(degraded_bytes=1),)))
    assert after(UNDOING, None, None, seen=moving).state is DrillState.UNDOING
    late = after(UNDOING, None, None, seen=moving, now_s=NOW_S + CALM_AGAIN_S)
    assert late.state is DrillState.FAILED and "everything is undone, and yet" in late.verdict
    assert after(UNDOING, None, None).state is DrillState.PASSED


def test_a_silent_node_may_still_have_its_fault() -> None:
    silent = seen(
        nodes=tuple(node(one, state=NodeState.SILENT if one == "n2" else NodeState.ALIVE) for one in NAMES)
    )
    assert after(UNDOING, None, None, seen=silent, now_s=NOW_S + 10_000).state is DrillState.UNDOING
    off = seen(
        nodes=tuple(node(one, state=NodeState.GONE if one == "n2" else NodeState.ALIVE) for one in NAMES)
    )
    assert after(UNDOING, None, None, seen=off).state is DrillState.PASSED
    disk = replace(UNDOING, kind=DrillKind.FAIL_DISK, target=identity("n2"))
    assert after(disk, None, None, seen=off).state is DrillState.UNDOING, "it is put back when the node is"
    removed = seen(nodes=tuple(node(one) for one in NAMES if one != "n2"))
    assert after(UNDOING, None, None, seen=removed).state is DrillState.PASSED
