"""The whole topology, from the articles' inputs and from drawn clusters."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.model.disk import Claim, PoolName
from artesian.model.node import Node, NodeState
from artesian.model.spec import DiskSelector, ManagersSpec, NodeSelector, PoolSpec, Spec, Survives, Taking
from artesian.model.topology import ManagerRole, VerdictKind
from artesian.strategy.capacity import usable_bytes
from artesian.strategy.deriving import derive
from artesian.strategy.verdicts import Memory
from tests.strategy.clusters import (
    GIB,
    TIB,
    attributes,
    claims_of,
    disk,
    memories,
    node,
    nodes,
    pools_of,
)

XVDF = disk("/dev/xvdf")


def sixteen() -> list[Node]:
    """The article's cluster: agents 1 to 8 give their disk to one pool, 9 to 16 to another."""
    return [
        node(f"agent-{n:02}", XVDF, attributes=attributes("agents-1-to-8" if n <= 8 else "agents-9-to-16"))
        for n in range(1, 17)
    ]


def test_sixteen_nodes_in_two_pools_of_one_domain() -> None:
    wanted = derive(Spec(), sixteen(), Memory())
    assert wanted.shortfalls == ()
    found = pools_of(wanted)
    assert sorted(found) == ["engineering/development", "engineering/qe"]
    assert found["engineering/qe"] == [f"agent-{n:02}:/dev/xvdf" for n in range(1, 9)]
    assert found["engineering/development"] == [f"agent-{n:02}:/dev/xvdf" for n in range(9, 17)]
    assert len(wanted.servers) == 16
    assert {client.pools for client in wanted.clients} == {
        (PoolName("engineering", "qe"),), (PoolName("engineering", "development"),),
    }  # fmt: skip


def test_two_domains_with_three_pools() -> None:
    disks = [disk(f"/dev/xvd{letter}") for letter in "fghi"]
    wanted = derive(Spec(), [node("a", *disks, attributes=attributes("two-domains"))], Memory())
    assert pools_of(wanted) == {
        "mydomain/mypool": ["a:/dev/xvdf"],
        "myotherdomain/saltwaterpool": ["a:/dev/xvdg", "a:/dev/xvdh"],
        "myotherdomain/freshwaterpool": ["a:/dev/xvdi"],
    }
    assert [(server.node, server.domain) for server in wanted.servers] == [
        ("a", "mydomain"), ("a", "myotherdomain"),
    ]  # fmt: skip
    assert [client.pools for client in wanted.clients] == [(PoolName("mydomain", "mypool"),)]


def test_every_free_disk_goes_into_the_global_pool() -> None:
    cluster = [
        node("a", disk("/dev/sdb"), disk("/dev/sda", is_system=True)),
        node("b", disk("/dev/sdb"), disk("/dev/sdc", signatures=("ext4",))),
    ]
    wanted = derive(Spec(global_pool=PoolName("engineering", "qe")), cluster, Memory())
    assert pools_of(wanted) == {"engineering/qe": ["a:/dev/sdb", "b:/dev/sdb"]}


def test_both_ways_give_the_articles_cluster_the_same_pools() -> None:
    named = [node(f"n{n:02}", XVDF, attributes=attributes("single-pool")) for n in range(16)]
    unnamed = [node(f"n{n:02}", XVDF) for n in range(16)]
    explicit = derive(Spec(), named, Memory())
    derived = derive(Spec(global_pool=PoolName("mydomain", "mypool")), unnamed, Memory())
    assert pools_of(explicit) == pools_of(derived)


def test_explicit_beats_derived_node_by_node() -> None:
    cluster = [
        node("a", XVDF, disk("/dev/sdz"), attributes=attributes("single-pool")),
        node("b", XVDF, disk("/dev/sdz")),
    ]
    assert pools_of(derive(Spec(), cluster, Memory())) == {
        "mydomain/mypool": ["a:/dev/xvdf"],
        "default/default": ["b:/dev/sdz", "b:/dev/xvdf"],
    }


def test_a_typo_in_the_attributes_moves_nothing() -> None:
    good = [node("a", XVDF, attributes=attributes("single-pool")), node("b", XVDF)]
    before = derive(Spec(), good, Memory())
    bad = [
        node("a", XVDF, attributes={**attributes("single-pool"), "scaleio-sds-mypol": "/dev/xvdf"}),
        good[1],
    ]
    after = derive(Spec(), bad, claims_of(before))
    assert pools_of(after) == pools_of(before)
    assert "scaleio-sds-mypol" in after.shortfalls[0]
    assert pools_of(derive(Spec(), bad, Memory())) == {"default/default": ["b:/dev/xvdf"]}


def test_a_disk_that_is_called_otherwise_stays_where_it_is() -> None:
    before = derive(
        Spec(), [node("a", disk("/dev/xvdf", "wwn:1"), attributes=attributes("single-pool"))], Memory()
    )
    renamed = [
        node(
            "a", disk("/dev/xvdf", "wwn:2"), disk("/dev/xvdg", "wwn:1"), attributes=attributes("single-pool")
        )
    ]
    after = derive(Spec(), renamed, claims_of(before))
    assert pools_of(after) == {"mydomain/mypool": ["a:/dev/xvdg"]}


def test_what_a_node_that_is_not_seen_has_given_stays_wanted() -> None:
    cluster = [node(name, XVDF) for name in "abc"]
    before = derive(Spec(), cluster, Memory())
    assert pools_of(derive(Spec(), cluster[:2], claims_of(before))) == pools_of(before)


def test_new_disks_are_left_alone_if_nobody_wants_them_taken() -> None:
    cluster = [node("a", disk("/dev/sdb"))]
    before = derive(Spec(), cluster, Memory())
    more = [node("a", disk("/dev/sdb"), disk("/dev/sdc"))]
    after = derive(Spec(new_disks=Taking.NEVER), more, claims_of(before))
    assert pools_of(after) == {"default/default": ["a:/dev/sdb"]}


# --- fault sets and managers


def racks(*names: str, disks: int = 1) -> list[Node]:
    return [
        node(
            f"n{n}",
            *(disk(f"/dev/sd{letter}") for letter in "bcdefg"[:disks]),
            attributes={"scaleio-fault-set": rack},
        )
        for n, rack in enumerate(names)
    ]


def test_nodes_are_in_the_fault_sets_that_they_name() -> None:
    wanted = derive(Spec(), [*racks("r1", "r1", "r2", "r3"), node("z", XVDF)], Memory())
    assert [server.fault_set for server in wanted.servers] == ["r1", "r1", "r2", "r3", "z"]
    assert wanted.shortfalls == ()


def test_two_fault_sets_are_too_few() -> None:
    wanted = derive(Spec(), racks("r1", "r1", "r2", "r2"), Memory())
    assert {server.fault_set for server in wanted.servers} == {None}
    assert "needs 3 or none" in wanted.shortfalls[0]


def test_managers_are_spread_over_fault_sets() -> None:
    wanted = derive(Spec(), racks("r1", "r1", "r1", "r2", "r3"), Memory())
    assert [manager.node for manager in wanted.managers] == ["n0", "n3", "n4"]
    assert {manager.role for manager in wanted.managers} == {ManagerRole.MANAGER}


def test_personas_say_who_manages() -> None:
    cluster = [
        node("a", attributes={"scaleio-persona": "data"}, cpus=64.0),
        node("b", attributes={"scaleio-persona": "tiebreaker"}),
        node("c", attributes={"scaleio-persona": "primary"}),
        node("d", attributes={"scaleio-persona": "secondary"}),
        node("e", cpus=32.0),
    ]
    wanted = derive(Spec(), cluster, Memory())
    assert [(manager.node, manager.role.value) for manager in wanted.managers] == [
        ("b", "tiebreaker"), ("c", "manager"), ("d", "manager"),
    ]  # fmt: skip


def test_a_manager_stays_where_it_is_even_if_its_node_is_silent() -> None:
    cluster = [node(name, cpus=float(n)) for n, name in enumerate("abcdef")]
    cluster[0] = node("a", state=NodeState.SILENT)
    wanted = derive(Spec(), cluster, Memory(), managers=("a", "b", "c"))
    assert [manager.node for manager in wanted.managers] == ["a", "b", "c"]


def test_too_few_nodes_have_fewer_managers_and_it_is_said() -> None:
    wanted = derive(Spec(managers=ManagersSpec(5)), [node(name) for name in "abcd"], Memory())
    assert len(wanted.managers) == 3
    assert "5 managers are wanted" in wanted.shortfalls[0]
    one = derive(Spec(), [node("a")], Memory())
    assert [manager.role for manager in one.managers] == [ManagerRole.MANAGER]


# --- declarative


def test_a_pool_takes_no_more_disks_than_it_needs_and_keeps_nodes_alike() -> None:
    cluster = [
        node(name, *(disk(f"/dev/sd{letter}", size_bytes=TIB) for letter in "bcde")) for name in "abcd"
    ]
    gold = PoolSpec(PoolName("d", "gold"), usable_bytes=int(2.5 * TIB))
    wanted = derive(Spec(global_pool=None, pools=(gold,)), cluster, Memory())
    per_node = [sum(device.node == name for device in wanted.devices) for name in "abcd"]
    assert sum(per_node) == 8
    assert max(per_node) - min(per_node) <= 1
    assert wanted.shortfalls == ()


def test_selectors_choose_nodes_and_disks() -> None:
    cluster = [
        node(name, disk("/dev/sdb", media="ssd", model="FAST 1"), disk("/dev/sdc", media="hdd"))
        for name in ("web-1", "web-2", "db-1", "db-2")
    ]
    gold = PoolSpec(
        PoolName("d", "gold"), nodes=NodeSelector(("db-*",)), disks=DiskSelector(models=("FAST*",))
    )
    wanted = derive(Spec(global_pool=None, pools=(gold,)), cluster, Memory())
    assert pools_of(wanted) == {"d/gold": ["db-1:/dev/sdb", "db-2:/dev/sdb"]}


def test_what_is_missing_is_said() -> None:
    cluster = [node(name, disk("/dev/sdb", size_bytes=TIB)) for name in "ab"]
    gold = PoolSpec(PoolName("d", "gold"), usable_bytes=10 * TIB)
    wanted = derive(Spec(global_pool=None, pools=(gold,)), cluster, Memory())
    assert "is to hold 10.0 TiB" in wanted.shortfalls[0]
    alone = derive(Spec(global_pool=None, pools=(gold,)), cluster[:1], Memory())
    assert "needs free disks in 2 nodes; there are 1" in alone.shortfalls[0]
    safest = PoolSpec(PoolName("d", "gold"), survives=Survives.FAULT_SET)
    wanted = derive(Spec(global_pool=None, pools=(safest,)), cluster, Memory())
    assert "needs free disks in 3 fault sets; there are 2" in wanted.shortfalls[0]


def test_a_pool_that_is_to_hold_more_gets_more_and_loses_nothing() -> None:
    cluster = [node(name, *(disk(f"/dev/sd{letter}", size_bytes=TIB) for letter in "bcde")) for name in "abc"]

    def spec(tib: float) -> Spec:
        return Spec(global_pool=None, pools=(PoolSpec(PoolName("d", "gold"), usable_bytes=int(tib * TIB)),))

    before = derive(spec(1), cluster, Memory())
    after = derive(spec(3), cluster, claims_of(before))
    assert {device.identity for device in before.devices} < {device.identity for device in after.devices}
    assert len(after.devices) == len(derive(spec(3), cluster, Memory()).devices)


def test_usable_capacity_is_bounded_by_the_largest_unit() -> None:
    size = 100 * GIB
    assert usable_bytes({"a": size, "b": size}, 0) == 97 * GIB
    assert usable_bytes({"a": 10 * size, "b": size}, 0) == 97 * GIB
    assert usable_bytes({"a": size}, 0) == 0
    assert usable_bytes({}, 10) == 0
    assert usable_bytes({"a": size, "b": size, "c": size}, 10) == 96 * GIB  # a third is kept spare


# --- whatever the cluster

SPECS = st.sampled_from(
    [
        Spec(minimum_disk_bytes=GIB),
        Spec(global_pool=None, pools=(PoolSpec(PoolName("d", "all")),)),
        Spec(
            pools=(
                PoolSpec(PoolName("d", "gold"), usable_bytes=TIB, nodes=NodeSelector(("a", "b", "c"))),
                PoolSpec(PoolName("d", "rest"), nodes=NodeSelector(("c", "d"))),
            ),
            managers=ManagersSpec(5),
        ),
        Spec(new_disks=Taking.NEVER),
    ]
)


@given(st.data(), SPECS)
@settings(max_examples=150)
def test_the_order_in_which_nodes_are_seen_does_not_matter(data: st.DataObject, spec: Spec) -> None:
    cluster = list(data.draw(nodes()))
    memory = data.draw(memories(tuple(cluster)))
    first = derive(spec, cluster, memory)
    random.Random(data.draw(st.integers())).shuffle(cluster)
    assert derive(spec, cluster, memory) == first


@given(st.data(), SPECS)
@settings(max_examples=150)
def test_only_free_disks_are_taken_and_disks_in_use_stay_in_their_pool(
    data: st.DataObject, spec: Spec
) -> None:
    cluster = data.draw(nodes())
    memory = data.draw(memories(cluster))
    wanted = derive(spec, cluster, memory)
    verdicts = {(verdict.node, verdict.path): verdict for verdict in wanted.verdicts}
    identities = [device.identity for device in wanted.devices]
    assert len(set(identities)) == len(identities), "a disk in two pools"
    for device in wanted.devices:
        claim = memory.claims.get(device.identity)
        if claim is None:
            assert verdicts[device.node, device.path].kind is VerdictKind.FREE
        else:
            assert device.pool == claim.pool
        assert device.because
    assert {server.node for server in wanted.servers} == {device.node for device in wanted.devices}


@given(st.data(), SPECS)
@settings(max_examples=150)
def test_what_was_carried_out_is_wanted_again(data: st.DataObject, spec: Spec) -> None:
    cluster = data.draw(nodes())
    first = derive(spec, cluster, Memory())
    managers = tuple(manager.node for manager in first.managers)
    again = derive(spec, cluster, claims_of(first), managers=managers)
    assert {device.identity for device in again.devices} == {device.identity for device in first.devices}
    assert {manager.node for manager in again.managers} == {manager.node for manager in first.managers}


@given(st.data())
@settings(max_examples=100)
def test_managers_are_on_different_nodes_and_an_odd_number(data: st.DataObject) -> None:
    cluster = data.draw(nodes())
    count = data.draw(st.sampled_from([None, 1, 3, 5]))
    wanted = derive(Spec(managers=ManagersSpec(count)), cluster, Memory())
    places = [manager.node for manager in wanted.managers]
    assert len(set(places)) == len(places)
    assert len(places) in (0, 1, 3, 5)
    alive = {one.name for one in cluster if one.state is NodeState.ALIVE}
    assert set(places) <= alive


def test_a_disk_that_attributes_name_by_another_of_its_names_stays_in_its_pool() -> None:
    named = replace(disk("/somewhere/xvdf"), other_paths=("/dev/xvdf",))
    given_node = node("n1", named, attributes=attributes("single-pool"))
    first = derive(Spec(), [given_node], Memory())
    again = derive(Spec(), [given_node], claims_of(first))
    assert [device.identity for device in first.devices] == [device.identity for device in again.devices]
    assert not [one for one in again.shortfalls if "xvdf" in one]


def test_a_disk_that_was_got_for_a_pool_belongs_to_it_whatever_is_said_of_its_node() -> None:
    """A remedy has claimed it: neither the attributes nor the selectors of another pool name it."""
    extra = disk("/dev/xvdz")
    imperative = node("a", XVDF, extra, attributes=attributes("single-pool"))
    selected = node("b", XVDF, extra)
    spec = Spec(pools=(PoolSpec(PoolName("gold", "gold"), nodes=NodeSelector(("b",)), usable_bytes=GIB),))
    claims = {
        f"serial:/dev/xvdz@{name}": Claim(
            f"serial:/dev/xvdz@{name}", name, "/dev/xvdz", PoolName("default", "default"), 2 * TIB, "got"
        )
        for name in "ab"
    }
    found = pools_of(derive(spec, [imperative, selected], Memory(claims)))
    assert found["default/default"] == ["a:/dev/xvdz", "b:/dev/xvdz"]
    assert found["mydomain/mypool"] == ["a:/dev/xvdf"]


def test_it_is_said_why_there_is_no_pool() -> None:
    small = [node(name, disk("/dev/sdb", size_bytes=GIB // 2)) for name in "abc"]
    spec = Spec(minimum_disk_bytes=GIB)
    (said,) = derive(spec, small, Memory()).shortfalls
    assert said.startswith("no disk may be taken, so there is no pool: it is too small: 512 MiB")
    assert "3 of 3" in said
    with_a_larger_one = derive(spec, [*small, node("d", disk("/dev/sdb"))], Memory())
    assert not any("no disk may" in one for one in with_a_larger_one.shortfalls)
    assert derive(spec, [node(name) for name in "abc"], Memory()).shortfalls == ()
