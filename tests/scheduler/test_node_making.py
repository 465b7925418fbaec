"""Machines that remedies get: asked for under a name that is stored, and never twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Any

import pytest

from artesian.clusters.port import NodeMaker, NodeRefused, Substrate, SubstrateUnusable
from artesian.model.errors import NotPossible
from artesian.model.pause import Pause
from artesian.model.remedy import Machine, Remedy, RemedyState
from artesian.model.rule import RemedyKind
from artesian.model.spec import Spec
from artesian.remedy.checking import read_whole_spec
from artesian.scheduler.memory import Memory
from artesian.scheduler.node_making import NodeMaking, check_makes_nodes
from tests.scheduler.cases import GIB, FakeSubstrate, MemoryStore

MACHINE = Machine("node-r1", 2, 4 * GIB, 1.0)
REMEDY = Remedy(
    "r1", "add", RemedyKind.ADD_NODE, "cluster", "there is no room", RemedyState.ACTING, 1.0, 1.0,
    machine=MACHINE,
)  # fmt: skip
ADDING = "rules: [{name: more, scope: cluster, when: nodes < 4, remedy: add-node}]"


class Making(FakeSubstrate):
    """A substrate that can make machines. `problem` is raised instead; `lost`: after it was made."""

    def __init__(self) -> None:
        super().__init__("n1")
        self.made: dict[str, Sequence[int]] = {}
        self.asked = 0
        self.problem: Exception | None = None
        self.lost: Exception | None = None

    def make_node(self, name: str, disk_bytes: Sequence[int]) -> None:
        self.asked += 1
        if self.problem is not None:
            raise self.problem
        self.made.setdefault(name, disk_bytes)
        if self.lost is not None:
            raise self.lost


class AtOnce(Executor):
    """Calls are over when they were asked."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  whoever asks gets it
            future.set_exception(error)
        return future


class Bench:
    """A memory with one remedy, and whoever carries it out."""

    def __init__(self, substrate: Substrate, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.memory = Memory(self.store)
        self.now_s = 100.0
        self.making = NodeMaking(self.memory, substrate, lambda: None, lambda: self.now_s, AtOnce())

    def begin(self) -> Bench:
        self.memory.change(lambda state: state.with_remedy(REMEDY))
        return self

    def look(self) -> Remedy:
        self.making.look(Spec())
        return self.memory.state.remedies["r1"]


def test_a_machine_is_made_once() -> None:
    substrate = Making()
    bench = Bench(substrate).begin()
    remedy = bench.look()
    assert remedy.machine == replace(MACHINE, made_s=100.0)
    bench.look()
    assert substrate.made == {"node-r1": [4 * GIB, 4 * GIB]} and substrate.asked == 1
    (event,) = bench.memory.last_events(5)
    assert event.because == "machine node-r1 with 2 disks of 4.0 GiB is made: there is no room"


def test_after_a_crash_the_same_one_is_asked_for() -> None:
    substrate = Making()
    bench = Bench(substrate).begin()
    substrate.lost = SubstrateUnusable("the answer was lost")
    remedy = bench.look()
    assert remedy.machine is not None and not remedy.machine.is_made
    bench.store.close()
    substrate.lost = None
    again = Bench(substrate, bench.store)
    assert again.look().machine == replace(remedy.machine, made_s=100.0, detail="")
    assert list(substrate.made) == ["node-r1"] and substrate.asked == 2


def test_a_substrate_that_does_not_answer_is_asked_again_after_a_while() -> None:
    substrate = Making()
    substrate.problem = SubstrateUnusable("it is away")
    bench = Bench(substrate).begin()
    remedy = bench.look()
    assert remedy.state is RemedyState.ACTING and remedy.machine is not None
    assert remedy.machine.detail == "machine node-r1 is asked for again: it is away"
    bench.look()
    assert substrate.asked == 1
    bench.now_s += 6.0
    substrate.problem = None
    made = bench.look().machine
    assert made is not None and made.is_made


def test_a_machine_that_is_refused_ends_the_remedy() -> None:
    substrate = Making()
    substrate.problem = NodeRefused("a local cluster has at most 200 nodes")
    bench = Bench(substrate).begin()
    remedy = bench.look()
    assert (remedy.state, remedy.detail) == (RemedyState.FAILED, "a local cluster has at most 200 nodes")
    assert remedy.machine is not None and remedy.machine.refused
    bench.look()
    assert substrate.asked == 1


def test_a_substrate_that_makes_none_ends_the_remedy_with_a_sentence() -> None:
    remedy = Bench(FakeSubstrate("n1")).begin().look()
    assert remedy.state is RemedyState.FAILED
    assert "this cluster's substrate cannot make machines" in remedy.detail


def test_nothing_is_made_while_it_is_paused() -> None:
    substrate = Making()
    bench = Bench(substrate).begin()
    for scope in ("remedies", "remedy:add-node", "rule:add"):
        bench.memory.change(lambda state, scope=scope: replace(state, pauses={scope: Pause(scope)}))
        bench.look()
    bench.memory.change(lambda state: replace(state, pauses={}, paused=True))
    bench.look()
    assert substrate.asked == 0
    bench.memory.change(lambda state: replace(state, paused=False))
    bench.look()
    assert substrate.asked == 1


def test_a_remedy_that_is_over_makes_nothing() -> None:
    substrate = Making()
    bench = Bench(substrate).begin()
    bench.memory.change(lambda state: state.with_remedy(replace(REMEDY, state=RemedyState.FAILED)))
    bench.look()
    assert substrate.asked == 0


def test_a_spec_that_adds_nodes_is_refused_where_nobody_makes_any() -> None:
    spec = read_whole_spec(ADDING)
    assert isinstance(Making(), NodeMaker)
    check_makes_nodes(spec, Making())
    with pytest.raises(NotPossible, match="rule more adds nodes, and this cluster's substrate cannot"):
        check_makes_nodes(spec, FakeSubstrate("n1"))
    check_makes_nodes(read_whole_spec(""), FakeSubstrate("n1"))
