"""One look after the other: everything together, with the rules that hold by default."""

from __future__ import annotations

from dataclasses import replace

from artesian.model.node import NodeState
from artesian.model.observation import Observation
from artesian.model.spec import Spec
from artesian.model.state import FrameworkState
from artesian.remedy.checking import read_whole_spec
from artesian.remedy.looking import Look, look
from tests.remedy.observed import GIB, MIB, device, engine, manager, nodes, pool, seen, state, with_record

PROVIDED = read_whole_spec("providers: [{kind: ebs, price_per_gib_month: 0.1}]")
BEGAN_S = 1_700_000_000.0


def looked(
    observation: Observation,
    until_s: float,
    spec: Spec = PROVIDED,
    stored: FrameworkState | None = None,
    before: Look | None = None,
    since_s: float = 0.0,
) -> Look:
    """After looks every five seconds."""
    one = before or Look()
    for at in range(int((until_s - since_s) / 5) + 1):
        one = look(one, spec, observation, stored or state(), BEGAN_S + since_s + 5 * at)
    return one


def test_nothing_fires_when_all_is_well() -> None:
    one = looked(seen(), 300)
    assert not one.firings
    unmeasured = {
        "failing-disk",
        "sick-device",
        "grow-volume",
    }  # nobody says how devices and file systems are
    assert {rule for rule, _ in one.memory.watched} == unmeasured
    assert not any(each.holding.total_s for each in one.memory.watched.values())
    assert {str(each.scope) for each in one.measured} == {
        "cluster",
        "node",
        "pool",
        "device",
        "manager",
        "volume",
    }


def test_a_pool_that_fills_up_is_to_be_expanded() -> None:
    one = Look()
    for at in range(60):
        used = 9 * GIB + 50 * MIB * at
        filling = seen(engine=engine(pools=(pool(used_bytes=used),)))
        one = look(one, PROVIDED, filling, state(), BEGAN_S + 5 * at)
    firing = one.firings["expand-pool", "default/default"]
    assert firing.because == "pool default/default is full in 26 min at 10.0 MiB/s, and new disks take 2 min"
    assert firing.saw.keys() == {"time_to_full_s", "expansion_lead_s", "forecast_sure", "used_share"}


def test_a_pool_that_is_nearly_full_is_told_of_without_providers() -> None:
    nearly = seen(engine=engine(pools=(pool(used_bytes=24 * GIB),)))
    one = looked(nearly, 60, read_whole_spec(""))
    assert one.firings.keys() == {("pool-fills-up", "default/default")}
    assert one.firings["pool-fills-up", "default/default"].because == "pool default/default is 89% full"


def test_a_device_that_has_failed_is_to_be_replaced() -> None:
    broken = seen(engine=engine(devices=(device("node-1"), device("node-2", failed=True))))
    one = looked(broken, 60)
    assert [firing.because for firing in one.firings.values()] == [
        "device /dev/sdb of node node-2 has failed"
    ]
    assert one.firings.keys() == {("replace-device", device("node-2").name)}
    assert not looked(broken, 60, stored=state(claims={})).firings


def test_a_manager_that_is_away_is_to_be_replaced_but_not_in_maintenance() -> None:
    away = seen(
        engine=engine(managers=(manager("node-1"), manager("node-2", healthy=False), manager("node-3")))
    )
    assert not looked(away, 600).firings
    one = looked(away, 605)
    assert one.firings.keys() == {("replace-manager", "node-2")}
    because = one.firings["replace-manager", "node-2"].because
    assert because == "the manager on node node-2 has been away for 10 min"
    resting = with_record(state(), "node-2", in_maintenance=True)
    assert not looked(away, 605, stored=resting).firings


def test_a_node_that_is_gone_is_to_be_removed_when_everything_is_rebuilt() -> None:
    gone = nodes(node_2=NodeState.GONE)
    rebuilding = seen(nodes=gone, engine=engine(pools=(pool(moving_bytes=1),)))
    one = looked(rebuilding, 2000)
    assert not one.firings
    one = looked(seen(nodes=gone), 2100, before=one, since_s=2005)
    assert one.firings.keys() == {("remove-node", "node-2")}
    assert one.firings["remove-node", "node-2"].because == (
        "node node-2 is gone for certain, it has been away for 35 min, "
        "and everything in the cluster has two good copies"
    )
    assert not looked(seen(nodes=nodes(node_2=NodeState.SILENT)), 2100).firings


def test_an_engine_that_does_not_answer_begins_nothing_and_ends_nothing() -> None:
    broken = seen(engine=engine(devices=(device("node-2", failed=True),)))
    one = looked(broken, 60)
    blind = looked(seen(engine=None), 120, before=one, since_s=65)
    assert blind.firings == one.firings
    assert blind.history == one.history
    well = looked(seen(), 130, before=blind, since_s=125)
    assert not well.firings
    assert not well.memory.may_be_wrong("replace-device", device("node-2").name)


def test_a_scheduler_that_has_just_begun_knows_what_it_does_not_know() -> None:
    one = look(Look(), PROVIDED, seen(), state(), BEGAN_S)
    assert not one.firings
    assert one.memory.may_be_wrong("expand-pool", "default/default")  # nothing was seen of its growth yet
    assert not one.memory.may_be_wrong("data-out-of-reach", "default/default")


def test_what_is_known_beside_the_engine_is_measured() -> None:
    spec = read_whole_spec(
        "rules: [{name: slow, scope: device, remedy: notify, when: latency_s > 4 * peers_latency_s}]"
    )
    name = device("node-2").name
    health = {name: {"latency_s": 0.05, "peers_latency_s": 0.004}}
    one = look(Look(), spec, seen(), state(), BEGAN_S, device_health=health, verdicts=())
    assert one.firings["slow", name].because == (
        "device /dev/sdb of node node-2 takes 50 ms for a request, and the others of its pool take 4 ms"
    )
    assert {each.values["free_disks"] for each in one.measured if each.scope == "node"} == {0}


def test_the_same_look_is_the_same() -> None:
    filling = replace(seen(), engine=engine(pools=(pool(used_bytes=24 * GIB),)))
    assert looked(filling, 300) == looked(filling, 300)
