"""What is told of a step names the disk, whatever its reason says."""

from __future__ import annotations

from artesian.model.changes import AddDevice, AddDomain
from artesian.model.plan import Step
from artesian.scheduler.acting import said_of
from tests.scheduler.cases import GIB, POOL


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
