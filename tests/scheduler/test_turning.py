"""Whatever becomes worse, or well again, is told once each time."""

from __future__ import annotations

from dataclasses import replace

from artesian.model.disk import PoolName
from artesian.model.engine import EngineSeen, SeenDevice, SeenManager, SeenPool, SeenServer, SeenWarning
from artesian.model.node import Node, NodeState
from artesian.model.observation import Observation, SeenProcess
from artesian.model.restart import RestartPart
from artesian.model.topology import ManagerRole
from artesian.scheduler.turning import Known, turned

GIB = 1 << 30
POOL = SeenPool("p", PoolName("default", "default"))
DEVICES = tuple(SeenDevice(str(at), f"d{at}", f"s{at}", "/dev/x", POOL.name, GIB) for at in (1, 2))
SERVERS = tuple(SeenServer(str(at), f"s{at}", "default", None, connected=True) for at in (1, 2))
MANAGER = SeenManager("m1", "10.0.0.1:6611", ManagerRole.MANAGER, healthy=True, leads=False)
ENGINE = EngineSeen("abc", (MANAGER,), pools=(POOL,), servers=SERVERS, devices=DEVICES)
NODE = Node("n1", "10.0.0.1")
WELL = Observation((NODE, Node("n2", "10.0.0.2")), ENGINE)


def told(*seen: Observation) -> list[str]:
    """By a scheduler that sees this in turn."""
    known, events = Known(), []
    for one in seen:
        found = turned(known, one)
        known = found.known
        events += [f"{event.kind} {event.subject}: {event.because}" for event in found.events]
    return events


def node(**values: object) -> Observation:
    return replace(WELL, nodes=(replace(NODE, **values), WELL.nodes[1]))  # type: ignore[arg-type]


def pool(**values: object) -> Observation:
    assert WELL.engine is not None
    changed = replace(POOL, **values)  # type: ignore[arg-type]
    return replace(WELL, engine=replace(ENGINE, pools=(changed,)))


SILENT = node(state=NodeState.SILENT)
LOST = node(state=NodeState.SILENT, unreachable=True)
DEGRADED = pool(degraded_bytes=GIB)
AWAY = replace(WELL, engine=replace(ENGINE, managers=(replace(MANAGER, healthy=False),)))
BLIND = replace(WELL, engine=None, engine_problem="it does not answer")


def test_a_scheduler_that_has_just_begun_tells_nothing() -> None:
    for one in (WELL, SILENT, LOST, DEGRADED, AWAY, BLIND):
        assert told(one) == []


def test_what_the_engine_warns_of_is_told_when_it_begins_and_when_it_is_over() -> None:
    warning = SeenWarning("MON_CLOCK_SKEW", "clock skew detected on mon.b")
    warned = replace(WELL, engine=replace(ENGINE, warnings=(warning,)))
    assert told(WELL, warned, BLIND, warned, WELL) == [
        "warning MON_CLOCK_SKEW: the engine warns: clock skew detected on mon.b",
        "over MON_CLOCK_SKEW: the engine warns of MON_CLOCK_SKEW no more",
    ]
    assert told(warned, warned) == []


def test_what_stays_as_it_is_is_told_once() -> None:
    for one in (SILENT, LOST, DEGRADED, AWAY):
        assert len(told(WELL, one, one, one)) == 1


def test_the_death_of_a_node_is_told_from_its_silence_to_its_return() -> None:
    assert told(WELL, SILENT, LOST, WELL) == [
        "silent n1: node n1 is silent: its agent does not report any more",
        "unreachable n1: node n1 cannot be reached by what runs the machines; it may well run",
        "back n1: node n1 is back: its agent reports",
    ]
    (gone,) = told(LOST, node(state=NodeState.GONE))
    assert gone.startswith("gone n1: node n1 is gone for certain")


def test_a_node_that_was_lost_is_back_when_it_reports_and_not_before() -> None:
    for lost in (LOST, node(state=NodeState.GONE)):
        assert [one.split()[0] for one in told(lost, SILENT, SILENT, WELL)] == ["back"]
        assert [one.split()[0] for one in told(lost, SILENT, lost)] == []


def test_that_a_node_is_to_be_empty_is_said_with_its_silence() -> None:
    (silent,) = told(WELL, node(state=NodeState.SILENT, leaving=True))
    assert silent.endswith("(it is to be empty)")


def test_a_node_that_only_cannot_be_reached_by_the_substrate_says_so() -> None:
    (lost,) = told(WELL, node(unreachable=True))
    assert "although its agent reports" in lost


def test_a_node_that_has_not_reported_to_this_scheduler_yet_was_not_silent() -> None:
    unheard = replace(SILENT, unheard=frozenset({"n1"}))
    assert told(unheard, unheard, WELL) == []
    (back,) = told(replace(LOST, unheard=frozenset({"n1"})), WELL)
    assert back.startswith("back n1")


def test_a_node_that_is_not_there_any_more_is_forgotten() -> None:
    assert told(SILENT, replace(WELL, nodes=WELL.nodes[1:]), WELL) == []


def test_a_pool_says_how_much_has_one_copy_and_who_is_away() -> None:
    away = (SERVERS[0], replace(SERVERS[1], connected=False))
    engine = DEGRADED.engine
    assert engine is not None
    degraded = replace(DEGRADED, engine=replace(engine, servers=away))
    assert told(WELL, degraded, WELL) == [
        "degraded default/default: pool default/default is degraded: 1.0 GiB with one copy, "
        "as server s2 is away",
        "whole default/default: pool default/default is whole again",
    ]
    resting = (replace(SERVERS[0], in_maintenance=True), SERVERS[1])
    (said,) = told(WELL, replace(DEGRADED, engine=replace(engine, servers=resting)))
    assert said.endswith("as server s1 is in maintenance")


def test_of_many_servers_few_are_named() -> None:
    away = tuple(replace(SERVERS[0], name=f"s{at}", connected=False) for at in range(5))
    assert DEGRADED.engine is not None
    (said,) = told(WELL, replace(DEGRADED, engine=replace(DEGRADED.engine, servers=away)))
    assert said.endswith("as server s0 is away, s1 is away, s2 is away and 2 more")


def test_a_pool_without_any_copy_of_something_has_failed() -> None:
    kinds = [one.split()[0] for one in told(WELL, DEGRADED, pool(failed_bytes=GIB), DEGRADED, WELL)]
    assert kinds == ["degraded", "failed", "degraded", "whole"]


def test_a_pool_on_one_server_never_had_a_second_copy() -> None:
    def alone(seen: Observation) -> Observation:
        assert seen.engine is not None
        return replace(seen, engine=replace(seen.engine, devices=DEVICES[:1]))

    assert told(alone(WELL), alone(DEGRADED)) == []


def test_while_the_engine_does_not_answer_everything_is_as_it_was() -> None:
    assert told(WELL, BLIND, WELL) == []
    assert len(told(WELL, BLIND, DEGRADED, BLIND, DEGRADED)) == 1


def test_a_manager_is_told_of_with_its_node() -> None:
    assert told(WELL, AWAY, WELL) == [
        "away m1: manager m1 on node n1 is away: the engine does not reach it",
        "back m1: manager m1 on node n1 is back",
    ]


def test_what_flaps_is_told_each_time_that_it_changes() -> None:
    assert len(told(WELL, SILENT, WELL, SILENT, SILENT, WELL)) == 4


def runs(process_id: int | None, *, settled: bool = True, started_under: int = 0) -> Observation:
    """The node with one process."""
    process = SeenProcess(
        "osd.3", process_id is not None, process_id, RestartPart.SERVERS, started_under, settled
    )
    return replace(WELL, processes={"n1": (process,)})


def test_a_process_that_ends_is_told_of_once_even_if_it_is_started_at_once() -> None:
    again = "ended n1/osd.3: process osd.3 on node n1 had ended, and has been started again"
    assert told(runs(7), runs(8), runs(8)) == [again]
    assert told(runs(7), runs(8, settled=False), runs(8), runs(9)) == [again, again]
    assert told(runs(7), runs(None), runs(8), runs(8)) == [
        "ended n1/osd.3: process osd.3 on node n1 has ended"
    ]


def test_a_process_that_ends_right_after_each_start_is_told_of_once() -> None:
    assert len(told(runs(7), *(runs(number, settled=False) for number in range(8, 20)))) == 1


def test_processes_that_were_restarted_or_whose_node_was_away_or_are_not_wanted_have_not_died() -> None:
    assert told(runs(7), runs(8, started_under=1)) == []
    assert told(runs(7), WELL, runs(8)) == []
    away = replace(runs(7), nodes=SILENT.nodes)
    assert [line.split()[0] for line in told(runs(7), away, runs(8))] == ["silent", "back"]
