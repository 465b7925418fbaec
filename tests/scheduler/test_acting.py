"""Steps are begun for the spec that they follow from; what is told of one names the disk."""

from __future__ import annotations

from dataclasses import replace

from artesian.model.changes import AddDevice, AddDomain, JoinNode
from artesian.model.plan import Step
from artesian.model.state import EngineIdentity
from artesian.scheduler.acting import Actor, Outcome, said_of
from artesian.scheduler.memory import Memory
from tests.scheduler.cases import GIB, POOL, MemoryStore


def step(change: object, because: str) -> Step:
    return Step(change, because)  # type: ignore[arg-type]


def test_a_disk_is_named_with_its_node() -> None:
    change = AddDevice("n1", "serial:x", "/dev/sdb", POOL, GIB)
    assert said_of(step(change, "it is free")) == "/dev/sdb of node n1: it is free"


def test_once_is_enough() -> None:
    change = AddDevice("n1", "serial:x", "/dev/sdb", POOL, GIB)
    because = "/dev/sdb of node n1 was got for it"
    assert said_of(step(change, because)) == because


def test_of_other_steps_the_reason_says_it() -> None:
    assert said_of(step(AddDomain("default"), "pool p is in it")) == "pool p is in it"


def test_no_step_is_begun_once_another_spec_has_been_given() -> None:
    memory = Memory(MemoryStore())
    before = memory.change(lambda state: replace(state, spec_text="new_nodes: take\n"))
    actor, join = Actor(memory, lambda: 0.0), step(JoinNode("n1"), "it is new")
    identity = EngineIdentity("embedded", "abc", "test")
    assert actor.act([join], None, identity, {"n1": "10.0.0.1"}, "new_nodes: never\n") == []
    assert memory.state == before
    (taken,) = actor.act([join], None, identity, {"n1": "10.0.0.1"}, before.spec_text)
    assert taken.outcome is Outcome.DONE and memory.state.node("n1").joined
