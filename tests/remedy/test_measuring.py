"""What is measured of what is seen."""

from __future__ import annotations

import random
from dataclasses import replace

from artesian.model.disk import PoolName
from artesian.model.names import device_name
from artesian.model.node import NodeState
from artesian.model.observation import Observation
from artesian.model.rule import Scope
from artesian.model.state import FrameworkState
from artesian.model.topology import DiskVerdict, VerdictKind
from artesian.remedy.forecast import Forecast
from artesian.remedy.measuring import Absences, Known, Measured, measure, note_absences
from artesian.remedy.metrics import metrics_of
from artesian.remedy.stopwatch import LONGEST_STEP_S, Stopwatch
from tests.drill.cases import a_drill
from tests.remedy.observed import (
    GIB,
    NAMES,
    POOL,
    device,
    engine,
    identity,
    manager,
    nodes,
    pool,
    seen,
    state,
    with_record,
)


def measured(
    observation: Observation, of: FrameworkState | None = None, known: Known | None = None
) -> dict[tuple[str, str], Measured]:
    """By scope and thing."""
    found = measure(observation, of or state(), known or Known())
    by_name = {(str(one.scope), one.thing): one for one in found}
    assert len(by_name) == len(found)
    return by_name


def test_every_value_is_in_the_catalogue_and_in_its_bounds() -> None:
    known = Known(
        forecasts={POOL: Forecast(60.0, 50.0, 70.0, 5.0, 0.5)},
        expansion_lead_s=120.0,
        device_health={device_name(identity("node-1")): {"error_count": 3.0, "smart_failing": 1.0}},
        verdicts=(),
    )
    for one in measure(seen(), state(), known):
        metrics = metrics_of(one.scope)
        assert one.values.keys() <= metrics.keys()
        assert all(0 <= value <= metrics[name].unit.most for name, value in one.values.items())
        assert one.title


def test_a_pool_is_measured_against_what_may_be_written_to_it() -> None:
    known = Known(forecasts={POOL: Forecast(60.0, 50.0, 70.0, 5.0, 0.5)}, expansion_lead_s=120.0)
    one = measured(seen(), known=known)["pool", "default/default"]
    assert one.values == {
        "size_bytes": 30 * GIB, "used_bytes": 9 * GIB, "free_bytes": 9 * GIB, "used_share": 1 / 3,
        "capacity_bytes": 27 * GIB,
        "degraded_bytes": 0, "failed_bytes": 0, "moving_bytes": 0, "device_count": 3,
        "time_to_full_s": 60.0, "fill_rate": 5.0, "forecast_sure": 0.5, "expansion_lead_s": 120.0,
    }  # fmt: skip
    assert one.other_names == ("default",)


def test_what_is_not_known_is_not_there() -> None:
    found = measured(seen(), known=Known(forecasts={POOL: Forecast()}))
    assert not {"time_to_full_s", "expansion_lead_s"} & found["pool", "default/default"].values.keys()
    assert "free_disks" not in found["node", "node-1"].values
    assert "error_count" not in found["device", device("node-1").name].values
    assert "used_share" not in found["volume", "data"].values


def test_an_engine_that_does_not_answer_leaves_the_nodes() -> None:
    found = measured(seen(engine=None))
    assert {scope for scope, _ in found} == {"cluster", "node"}
    assert found["cluster", "cluster"].values == {"nodes": 3, "nodes_away": 0, "engine_up": 0}


def test_devices_are_found_by_what_people_call_them() -> None:
    failed = device("node-2", failed=True)
    foreign = replace(device("node-3"), name="theirs", server="their-server")
    found = measured(seen(engine=engine(devices=(failed, foreign))))
    ours, theirs = found["device", failed.name], found["device", "theirs"]
    assert ours.values == {"failed": 1, "leaving": 0, "ours": 1, "size_bytes": 10 * GIB}
    assert ours.other_names == (identity("node-2"), "node-2", "node-2:/dev/sdb", "default/default")
    assert ours.title == "device /dev/sdb of node node-2"
    assert theirs.values["ours"] == 0
    assert theirs.title == "device /dev/sdb of server their-server"


def test_what_is_known_of_a_device_beside_the_engine_does_not_overrule_it() -> None:
    failed = device("node-2", failed=True)
    known = Known(device_health={failed.name: {"error_count": 7.0, "failed": 0.0}})
    values = measured(seen(engine=engine(devices=(failed,))), known=known)["device", failed.name].values
    assert (values["error_count"], values["failed"]) == (7.0, 1.0)


def test_managers_are_called_by_their_nodes_when_they_are_ours() -> None:
    theirs = replace(manager("node-2"), name="theirs", address="10.9.9.9:6611")
    resting = with_record(state(), "node-1", in_maintenance=True)
    away = note_absences(
        Absences(), seen(engine=engine(managers=(manager("node-1", healthy=False),))), resting, 0
    )
    found = measured(
        seen(engine=engine(managers=(manager("node-1", healthy=False), theirs))),
        resting,
        Known(
            absences=note_absences(
                away, seen(engine=engine(managers=(manager("node-1", healthy=False),))), resting, 60
            )
        ),
    )
    assert found["manager", "node-1"].values == {"healthy": 0, "away_s": 60, "ours": 1, "in_maintenance": 1}
    assert found["manager", "theirs"].values == {"healthy": 1, "away_s": 0, "ours": 0, "in_maintenance": 0}


def test_volumes_are_called_as_they_are_wished() -> None:
    renamed = replace(state(), volumes={"new": replace(state().volumes["data"], name="new")})
    found = measured(seen(), renamed)
    assert found["volume", "new"].values == {"size_bytes": 4 * GIB, "attached": 1, "ours": 1}
    assert measured(seen(), state(volumes={}))["volume", "data"].values["ours"] == 0


def test_nodes_with_what_is_recorded_of_them() -> None:
    verdicts = tuple(
        DiskVerdict(name, f"/dev/sd{letter}", None, GIB, kind, "")
        for name, letter, kind in (
            ("node-1", "c", VerdictKind.FREE),
            ("node-1", "d", VerdictKind.REFUSED),
            ("node-2", "c", VerdictKind.FREE),
        )
    )
    found = measured(seen(nodes=nodes(node_2=NodeState.GONE)), known=Known(verdicts=verdicts))
    assert found["node", "node-1"].values == {
        "silent": 0, "gone": 0, "away_s": 0, "in_use": 1, "in_maintenance": 0, "leaving": 0, "volumes": 1,
        "free_disks": 1, "unreachable": 0, "drained": 0,
    }  # fmt: skip
    assert found["node", "node-2"].values["gone"] == 1
    assert "free_disks" not in found["node", "node-2"].values
    assert found["cluster", "cluster"].values["nodes_away"] == 1


def test_a_node_that_nobody_mentions_any_more_is_silent() -> None:
    observation = seen(nodes=nodes()[:2])
    absences = note_absences(Absences(), observation, state(), 0)
    absences = note_absences(absences, observation, state(), 90)
    one = measured(observation, known=Known(absences=absences))["node", "node-3"]
    assert (one.values["silent"], one.values["gone"], one.values["away_s"]) == (1, 0, 90)
    stranger = measured(seen(), replace(state(), nodes={}))
    assert stranger["node", "node-3"].values["in_use"] == 1  # its manager is ours
    assert measured(seen(), FrameworkState())["node", "node-3"].values["in_use"] == 0


# --- absences


def test_absences_are_added_up_and_end() -> None:
    away = seen(nodes=nodes(node_2=NodeState.SILENT))
    absences = Absences()
    for now_s in range(0, 601, 5):
        absences = note_absences(absences, away, state(), now_s)
    assert absences.nodes.keys() == {"node-2"}
    assert absences.nodes["node-2"].total_s == 600
    gone = note_absences(absences, seen(nodes=nodes(node_2=NodeState.GONE)), state(), 610)
    assert gone.nodes["node-2"].total_s == 610
    assert note_absences(gone, seen(), state(), 620).nodes == {}


def test_managers_are_not_away_longer_because_nobody_can_ask() -> None:
    lost = seen(engine=engine(managers=(manager("node-1"), manager("node-2", healthy=False))))
    absences = note_absences(note_absences(Absences(), lost, state(), 0), lost, state(), 60)
    blind = note_absences(absences, seen(engine=None), state(), 100)
    again = note_absences(blind, lost, state(), 110)
    assert [one.managers["mdm-node-2"].total_s for one in (absences, blind, again)] == [60, 60, 60]
    assert note_absences(again, lost, state(), 120).managers["mdm-node-2"].total_s == 70
    assert note_absences(again, seen(), state(), 120).managers == {}


def test_a_clock_that_jumps_is_not_time_that_has_passed() -> None:
    watch = Stopwatch().still(1000)
    assert watch.still(5000).total_s == LONGEST_STEP_S
    assert watch.still(10).total_s == 0
    assert watch.still(10).still(20).total_s == 10
    assert watch.unknown().still(1060).total_s == 0


def test_the_order_of_what_is_seen_makes_no_difference() -> None:
    chance = random.Random(1)
    observation = seen(
        nodes=nodes(node_1=NodeState.GONE), engine=engine(pools=(pool(), pool(name=PoolName("a", "b"))))
    )
    straight = measure(observation, state(), Known())
    for _ in range(5):
        mixed = observation.engine
        assert mixed is not None
        parts = {
            name: tuple(chance.sample(getattr(mixed, name), len(getattr(mixed, name))))
            for name in ("managers", "pools", "devices", "volumes")
        }
        shuffled = Observation(tuple(chance.sample(observation.nodes, 3)), replace(mixed, **parts))
        assert measure(shuffled, state(), Known()) == straight
    assert straight[0].scope is Scope.CLUSTER
    assert len([one for one in straight if one.scope is Scope.NODE]) == len(NAMES)


def test_nothing_is_measured_of_a_drills_own_volume() -> None:
    drill = a_drill()
    wish = replace(state().volumes["data"], name=drill.volume)
    during = replace(state(volumes={drill.volume: wish}), drills={drill.id: drill})
    assert not [scope for scope, _ in measured(seen(), during) if scope == "volume"]
