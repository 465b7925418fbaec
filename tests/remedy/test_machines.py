"""The remedy that adds a node: what it gets, what its budget allows, and when it is done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.model.disk import Disk
from artesian.model.node import Node, NodeState
from artesian.model.plan import Consent
from artesian.model.remedy import Machine, Remedy, RemedyState
from artesian.model.rule import Approval, Budget, RemedyKind, Rule, Scope
from artesian.model.spec import Taking
from artesian.remedy.lifecycle import KEPT_CLOSED
from artesian.remedy.machines import with_machine
from tests.planner.situations import GIB, POOL
from tests.remedy.cases import POOL_NAME, Clinic

ADD = Rule(
    "add",
    Scope.POOL,
    "used_share > 85%",
    RemedyKind.ADD_NODE,
    approval=Approval.AUTOMATIC,
    parameters={"disks": 2, "disk_size_bytes": 20 * GIB},
)
WIDEN = replace(ADD, name="widen", scope=Scope.CLUSTER, when="nodes < 4", parameters={})


class Nursery(Clinic):
    """With rules that add nodes, to a cluster that asks before it takes anything."""

    def __init__(self, **spec: object) -> None:
        super().__init__(rules=(ADD, WIDEN), providers=(), **spec)
        self.spec = replace(self.spec, new_disks=Taking.ASK, new_nodes=Taking.ASK)
        self.world.spec = self.spec

    def make(self, disks: int | None = None) -> Machine:
        """As the substrate does it, once it is asked."""
        machine = self.last.machine
        assert machine is not None and not machine.is_made
        count = machine.disks if disks is None else disks
        made = tuple(
            Disk(f"/dev/sd{letter}", f"serial:{machine.name}-{letter}", machine.disk_bytes)
            for letter in "abcd"[:count]
        )
        new = Node(machine.name, f"10.0.1.{len(self.world.nodes)}", NodeState.ALIVE, disks=made)
        self.world.nodes = (*self.world.nodes, new)
        machine = replace(machine, made_s=self.now_s)
        self.world.state = with_machine(self.world.state, self.last.id, machine)
        return machine

    @property
    def last(self) -> Remedy:
        return self.remedies[-1]

    def begin(self, rule: Rule = ADD, thing: str = POOL_NAME) -> Remedy:
        self.fire(rule, thing)
        self.passes(2)
        return self.last

    def close(self) -> None:
        """The remedy is over, and what it was for is well."""
        self.calm()
        self.passes(3)
        self.now_s += 3_600.0


def test_what_it_gets_is_stored_before_anybody_is_asked() -> None:
    remedy = Nursery().begin()
    assert remedy.state is RemedyState.ACTING
    assert remedy.machine is not None and not remedy.machine.is_made
    assert (remedy.machine.name, remedy.machine.disks) == (f"node-{remedy.id}", 2)
    assert remedy.machine.disk_bytes == 20 * GIB
    assert remedy.pool == POOL


def test_without_a_size_its_disks_are_as_others_are() -> None:
    remedy = Nursery().begin(WIDEN, "cluster")
    assert remedy.machine is not None and remedy.pool is None
    assert (remedy.machine.disks, remedy.machine.disk_bytes) == (1, 10 * GIB)


@pytest.mark.parametrize(("rule", "thing"), [(ADD, POOL_NAME), (WIDEN, "cluster")])
def test_its_node_joins_with_its_disks_and_that_is_all(rule: Rule, thing: str) -> None:
    nursery = Nursery()
    remedy = nursery.begin(rule, thing)
    assert nursery.last.detail == f"machine node-{remedy.id} is being made"
    machine = nursery.make()
    nursery.passes(5)
    assert nursery.last.state is RemedyState.CHECKING
    claims = [one for one in nursery.world.state.claims.values() if one.node == machine.name]
    assert len(claims) == machine.disks and {one.pool for one in claims} == {POOL}
    assert nursery.world.state.node(machine.name).joined
    nursery.calm()
    nursery.pass_()
    assert nursery.last.state is RemedyState.HELPED


def test_who_agreed_to_it_did_not_agree_to_other_nodes_or_disks() -> None:
    nursery = Nursery()
    nursery.begin()
    stranger = Node("stranger", "10.0.2.1", disks=(Disk("/dev/sdz", "serial:z", 20 * GIB),))
    nursery.world.nodes = (*nursery.world.nodes, stranger)
    machine = nursery.make(disks=4)
    nursery.passes(5)
    asked = [one for one in nursery.world.decide().plan.steps if one.consent is Consent.NEEDED]
    assert {getattr(one.change, "node", "") for one in asked} == {"stranger", machine.name}
    claims = [one for one in nursery.world.state.claims.values() if one.node == machine.name]
    assert len(claims) == 2, "two were asked for, and it has four"
    assert not nursery.world.state.node("stranger").joined


def test_a_disk_of_another_size_was_not_agreed_to() -> None:
    nursery = Nursery()
    nursery.begin()
    machine = nursery.make(disks=0)
    other = Disk("/dev/sdq", "serial:q", 21 * GIB)
    nursery.world.nodes = (*nursery.world.nodes[:-1], replace(nursery.world.nodes[-1], disks=(other,)))
    nursery.passes(4)
    assert nursery.last.detail == f"0 of 2 disks of node {machine.name} are in use in pool {POOL}"
    assert "serial:q" not in nursery.world.state.claims


def test_after_the_remedy_is_over_its_node_is_like_any_other() -> None:
    nursery = Nursery()
    nursery.begin()
    nursery.make()
    nursery.world.state = nursery.world.state.with_remedy(
        replace(nursery.last, state=RemedyState.FAILED, changed_s=nursery.now_s)
    )
    nursery.passes(3)
    assert not nursery.world.state.node(f"node-{nursery.remedies[0].id}").joined


def test_it_waits_for_a_node_that_does_not_report() -> None:
    nursery = Nursery()
    nursery.begin()
    machine = nursery.make()
    silent = replace(nursery.world.nodes[-1], state=NodeState.SILENT)
    nursery.world.nodes = (*nursery.world.nodes[:-1], silent)
    nursery.passes(2)
    assert nursery.last.detail == f"node {machine.name} does not report yet"


def test_one_in_a_day_and_three_in_all_when_nothing_else_is_said() -> None:
    nursery = Nursery()
    for _ in range(3):
        nursery.begin()
        nursery.make()
        nursery.passes(5)
        nursery.close()
        held = nursery.begin()
        assert held.state is RemedyState.HELD
        assert held.detail == "the budget allows 1 new node in a day, and 1 was asked for"
        nursery.close()
        nursery.now_s += 86_400.0
    held = nursery.begin()
    assert held.detail == "the budget allows 3 new nodes in all, and 3 were asked for"
    gone = {one.name for one in nursery.world.nodes if one.name.startswith(f"node-{nursery.remedies[0].id}")}
    nursery.world.nodes = tuple(one for one in nursery.world.nodes if one.name not in gone)
    nursery.pass_()
    assert nursery.last.state is RemedyState.ACTING, "one has left for good"


def test_a_budget_may_allow_more_and_that_of_a_rule_less() -> None:
    nursery = Nursery(budget=Budget(nodes_per_day=5, nodes_total=9))
    rule = replace(ADD, budget=Budget(nodes_total=1))
    nursery.spec = replace(nursery.spec, rules=(rule, WIDEN))
    nursery.begin(rule)
    nursery.make()
    nursery.passes(5)
    nursery.close()
    held = nursery.begin(rule)
    assert held.detail == "the budget of rule add allows 1 new node in all, and 1 was asked for"
    nursery.fire(WIDEN, "cluster")
    nursery.passes(2)
    assert [one.state for one in nursery.remedies if one.rule == "widen"] == [RemedyState.ACTING]


def test_what_was_refused_does_not_count() -> None:
    nursery = Nursery()
    remedy = nursery.begin()
    assert remedy.machine is not None
    refused = replace(remedy, state=RemedyState.FAILED, machine=replace(remedy.machine, refused=True))
    nursery.world.state = nursery.world.state.with_remedy(refused)
    nursery.close()
    nursery.fire(WIDEN, "cluster")
    nursery.passes(2)
    assert nursery.last.state is RemedyState.ACTING


def test_it_is_remembered_as_long_as_its_node_may_count() -> None:
    nursery = Nursery()
    remedy = nursery.begin()
    over = replace(remedy, state=RemedyState.HELPED, changed_s=1.0)
    state = nursery.world.state.with_remedy(over)
    for number in range(KEPT_CLOSED + 5):
        state = state.with_remedy(replace(over, id=f"r{number}", machine=None, changed_s=2.0))
    nursery.world.state = state
    nursery.calm()
    nursery.pass_()
    assert remedy.id in nursery.world.state.remedies
    assert len(nursery.world.state.remedies) == KEPT_CLOSED + 1
