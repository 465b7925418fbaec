"""What drills hit, and what keeps them from being run."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from artesian.drill.choosing import choose, impossible
from artesian.drill.facts import DrillFacts
from artesian.model.changes import AddClient
from artesian.model.drill import DrillKind, DrillState, DrillWish
from artesian.model.errors import Conflict, NotPossible, NotThere
from artesian.model.names import device_name
from artesian.model.node import NodeState
from artesian.model.plan import GuardedPlan, Plan, Step
from artesian.model.remedy import RemedyState
from artesian.model.rule import Scope
from artesian.model.state import Stopping
from artesian.model.topology import Topology
from artesian.model.wishes import VolumeWish
from artesian.planner.planning import Decision
from artesian.remedy.checking import read_whole_spec
from artesian.remedy.firing import Firing
from tests.drill.cases import (
    GIB,
    NAMES,
    NOW_S,
    POOL,
    SPEC,
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
    with_drills,
    with_record,
    with_remedy,
)


def wish(kind: DrillKind, **values: Any) -> DrillWish:
    return DrillWish(kind, **{"restarts_scheduler": True, **values})


@pytest.mark.parametrize("kind", list(DrillKind))
def test_every_drill_is_possible_on_a_whole_cluster(kind: DrillKind) -> None:
    drill = choose(wish(kind), facts())
    assert drill.state is DrillState.PREPARING and drill.pool == POOL
    assert drill.writer_node in NAMES
    assert kind is DrillKind.FILL_POOL or drill.writer_node != drill.node
    assert drill.mount_path == f"/mounts/{drill.writer_node}/drill-{drill.id}"
    assert drill.node != "n4" or kind is DrillKind.FILL_POOL, "somebody's volume is in use there"
    assert impossible(kind, facts()) is None


# --- unless everything is well, nothing is provoked


def half_done() -> DrillFacts:
    plan = Plan((Step(AddClient("n1"), "n1 has no client"),))
    return facts(decision=Decision(Topology(), GuardedPlan(plan, plan.steps)))


ILL: dict[str, DrillFacts] = {
    "everything is paused": facts(state=state(paused=True)),
    "everything is being stopped": facts(state=state(stopping=Stopping.VOLUMES)),
    "drill d1": facts(state=with_drills(state(), a_drill())),
    "node n1 has not reported": facts(seen=seen(unheard=frozenset({"n1"}))),
    "node n2 is silent": facts(
        seen=seen(
            nodes=tuple(
                node(one, state=NodeState.SILENT if one == "n2" else NodeState.ALIVE) for one in NAMES
            )
        )
    ),
    "node n1 is in maintenance": facts(state=with_record(state(), "n1", in_maintenance=True)),
    "node n1 is being removed": facts(state=with_record(state(), "n1", leaving=True)),
    "engine": facts(seen=seen(engine=None, engine_problem="no")),
    "manager mdm-n3 is away": facts(
        seen=seen(engine=engine(managers=(manager("n1"), manager("n2"), manager("n3", healthy=False))))
    ),
    "server n2.default is away": facts(
        seen=seen(engine=engine(servers=tuple(server(one, connected=one != "n2") for one in NAMES)))
    ),
    "in maintenance": facts(
        seen=seen(engine=engine(servers=tuple(server(one, in_maintenance=one == "n2") for one in NAMES)))
    ),
    "has failed": facts(
        seen=seen(engine=engine(devices=tuple(device(one, failed=one == "n2") for one in NAMES)))
    ),
    "n2.default is away": facts(
        seen=seen(engine=engine(devices=tuple(device(one, away=one == "n2") for one in NAMES)))
    ),
    "is degraded": facts(seen=seen(engine=engine(pools=(pool(degraded_bytes=1),)))),
    "data is moving": facts(seen=seen(engine=engine(pools=(pool(moving_bytes=1),)))),
    "remedy r1": facts(state=with_remedy(state(), remedy("n1"))),
    "rule x fires": facts(firings={("x", "n1"): Firing("x", "n1", Scope.NODE, "it is so")}),
    "a step that is not done": half_done(),
}


@pytest.mark.parametrize("kind", [DrillKind.KILL_MANAGER, DrillKind.FILL_POOL])
@pytest.mark.parametrize("words", ILL)
def test_no_drill_while_something_is_wrong(words: str, kind: DrillKind) -> None:
    with pytest.raises((Conflict, NotPossible), match=words):
        choose(wish(kind), ILL[words])


def test_a_node_that_is_removed_for_good_stops_no_drill() -> None:
    removed = with_record(state(), "n4", leaving=True, domains=(), is_client=False)
    three = seen(engine=engine(servers=tuple(map(server, NAMES[:3])), devices=tuple(map(device, NAMES[:3]))))
    assert choose(wish(DrillKind.KILL_MANAGER), facts(state=removed, seen=three)).node in NAMES[:3]


# --- what could be lost is not hit


def test_the_only_copy_is_not_hit() -> None:
    alone = replace(engine(), devices=(device("n1"),), servers=(server("n1"),))
    for kind in (DrillKind.KILL_SERVER, DrillKind.FAIL_DISK, DrillKind.CUT_OFF_NODE):
        with pytest.raises(NotPossible, match="the only copy"):
            choose(wish(kind), facts(seen=seen(engine=alone)))


def test_two_nodes_of_one_fault_set_are_one_copy() -> None:
    rack = engine(servers=tuple(server(one, fault_set="rack") for one in NAMES))
    assert "the only copy" in str(impossible(DrillKind.KILL_SERVER, facts(seen=seen(engine=rack))))


def test_a_majority_of_managers_is_left() -> None:
    one = facts(seen=seen(engine=engine(managers=(manager("n1"),))))
    assert "majority" in str(impossible(DrillKind.KILL_MANAGER, one))
    with pytest.raises(NotPossible, match="nothing that"):
        choose(wish(DrillKind.CUT_OFF_NODE, node="n1"), one)


def test_a_manager_that_does_not_lead_is_gentler() -> None:
    assert choose(wish(DrillKind.KILL_MANAGER), facts()).node == "n2"
    assert choose(wish(DrillKind.KILL_MANAGER, node="n1"), facts()).node == "n1"


def test_a_disk_is_failed_only_if_there_is_room_for_what_is_on_it() -> None:
    full = facts(seen=seen(engine=engine(pools=(pool(used_bytes=30 * GIB),))))
    assert "room elsewhere" in str(impossible(DrillKind.FAIL_DISK, full))
    assert "real ones" in str(impossible(DrillKind.FAIL_DISK, facts(files=False)))


# --- nobody is disturbed unless that is asked for


def busy_everywhere() -> DrillFacts:
    volumes = {f"v-{one}": VolumeWish(f"v-{one}", POOL, GIB, node=one, engine_id=one) for one in NAMES}
    return facts(state=state(volumes=MappingProxyType(volumes)))


def test_a_node_with_a_volume_in_use_is_hit_only_if_somebody_says_so() -> None:
    with pytest.raises(Conflict, match="no gentler target: --disturb"):
        choose(wish(DrillKind.CUT_OFF_NODE), busy_everywhere())
    assert choose(wish(DrillKind.CUT_OFF_NODE, disturb=True), busy_everywhere()).node == "n4"
    with pytest.raises(Conflict, match="volume data is in use on node n4"):
        choose(wish(DrillKind.KILL_SERVER, node="n4"), facts())


def test_somebody_else_has_to_stay_up() -> None:
    only = state()
    for name in NAMES[1:]:
        only = with_record(only, name, is_client=False)
    with pytest.raises(NotPossible, match="no other node"):
        choose(wish(DrillKind.KILL_SERVER, node="n1"), facts(state=only))


# --- what is asked for has to make sense


@pytest.mark.parametrize(
    "values",
    [
        {"hold_s": -1.0},
        {"hold_s": 1e9},
        {"limit_s": 1.0},
        {"share": 0.99},
        {"hold_s": 500.0, "limit_s": 60.0},
    ],
)
def test_times_and_shares_have_bounds(values: dict[str, float]) -> None:
    with pytest.raises(NotPossible):
        choose(wish(DrillKind.KILL_SERVER, **values), facts())


def test_what_is_named_has_to_be_there() -> None:
    with pytest.raises(NotThere):
        choose(wish(DrillKind.KILL_SERVER, node="n9"), facts())
    with pytest.raises(NotThere):
        choose(wish(DrillKind.FILL_POOL, thing="gold"), facts())
    with pytest.raises(NotPossible, match="no provider x"):
        choose(wish(DrillKind.STALL_PROVIDER, thing="x"), facts())
    without = facts(spec=read_whole_spec("default_rules: no"))
    assert impossible(DrillKind.STALL_PROVIDER, without) == "the spec has no providers"


def test_a_scheduler_is_killed_only_if_somebody_starts_it_again() -> None:
    with pytest.raises(Conflict, match="start the scheduler again"):
        choose(DrillWish(DrillKind.KILL_SCHEDULER), facts())


# --- which rule has to notice


def test_a_failed_disk_has_to_be_noticed_by_the_rule_that_replaces_it() -> None:
    drill = choose(wish(DrillKind.FAIL_DISK), facts())
    assert drill.expects == ("replace",)
    silent = read_whole_spec(SPEC.replace("replace-device}", "replace-device, for: 10m}"))
    assert choose(wish(DrillKind.FAIL_DISK), facts(spec=silent)).expects == ()


def test_a_disk_for_which_the_rule_rests_is_not_chosen() -> None:
    chosen = choose(wish(DrillKind.FAIL_DISK), facts())
    past = remedy(device_name(chosen.target), state=RemedyState.HELPED)
    resting = facts(state=with_remedy(state(), past))
    assert choose(wish(DrillKind.FAIL_DISK), resting).target != chosen.target
    with pytest.raises(Conflict, match="rests for"):
        choose(wish(DrillKind.FAIL_DISK, node=chosen.node), resting)
    later = replace(resting, now_s=NOW_S + 601)
    assert choose(wish(DrillKind.FAIL_DISK, node=chosen.node), later).target == chosen.target


def test_a_pool_is_filled_just_until_a_rule_has_to_notice() -> None:
    drill = choose(wish(DrillKind.FILL_POOL, limit_s=1000.0), facts())
    assert drill.expects == ("expand",)
    capacity = 30 * GIB  # without the spare share
    assert 0.70 * capacity < 4 * GIB + 2 * drill.amount_bytes < 0.75 * capacity
    assert drill.target == drill.mount_path and drill.node == drill.writer_node


def test_a_pool_is_not_filled_into_what_others_need() -> None:
    busy = facts(fill_rates=MappingProxyType({str(POOL): 20.0 * (1 << 20)}))
    with pytest.raises(Conflict, match="others fill pool"):
        choose(wish(DrillKind.FILL_POOL, limit_s=1000.0), busy)
    with pytest.raises(Conflict, match="takes longer"):
        choose(wish(DrillKind.FILL_POOL, limit_s=60.0), facts())
    with pytest.raises(Conflict, match="full already"):
        choose(wish(DrillKind.FILL_POOL, share=0.1), facts())
    quiet = facts(spec=read_whole_spec("default_rules: no"))
    with pytest.raises(Conflict, match="--share"):
        choose(wish(DrillKind.FILL_POOL), quiet)
    assert choose(wish(DrillKind.FILL_POOL, share=0.3), quiet).expects == ()


def test_a_disk_is_named_as_people_name_it() -> None:
    drill = choose(wish(DrillKind.FAIL_DISK, node="n3", thing="sdb"), facts())
    assert drill.target == identity("n3")
