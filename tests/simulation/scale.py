"""A large cluster with prompt agents and no faults: what a pass costs, step by step of a pass."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from artesian.clusters.port import SubstrateNode
from artesian.model.state import EngineIdentity
from artesian.planner.assigning import assignment_of
from artesian.planner.planning import Decision, decide
from artesian.planner.recording import learn
from artesian.scheduler import requests
from artesian.scheduler.acting import Actor, Taken
from artesian.scheduler.memory import Memory
from artesian.scheduler.observing import observe
from artesian.scheduler.reports import Reports
from artesian.strategy.deriver import Deriver
from artesian.strategy.spec_file import read_spec
from tests.simulation import agents
from tests.simulation.engine import EngineFaults, SimulatedEngine
from tests.simulation.nodes import SimulatedNode, SimulatedSubstrate, make_node
from tests.simulation.store import CrashingStore
from tests.simulation.system import System
from tests.simulation.world import Clock

_NO_CHANCE = random.Random(0)
SPEC = "{new_disks: take, new_nodes: take}"
Answer = TypeVar("Answer")


@dataclass
class LargeCluster:
    """Every agent makes its assignment so at once, and reports. `seconds` are those of the last pass."""

    nodes: dict[str, SimulatedNode]
    clock: Clock = field(default_factory=Clock)
    seconds: dict[str, float] = field(default_factory=dict)
    passes: int = 0

    def __post_init__(self) -> None:
        self.system = System(self.nodes)
        self.substrate = SimulatedSubstrate(self.nodes)
        self.memory = Memory(CrashingStore())
        self.memory.change(lambda state: requests.set_spec(state, SPEC))
        self.reports = Reports(self.clock)
        self.actor = Actor(self.memory, self.clock)
        self.deriver = Deriver()
        self.identity = EngineIdentity("simulated", "5ca1e", "simulated")
        self.spec = read_spec(SPEC)
        self.engine: SimulatedEngine | None = None

    def agents(self) -> None:
        """A second of all agents and of the engine."""
        self.clock.now_s += 1.0
        state = self.memory.state
        for node in self.nodes.values():
            node.assignment = assignment_of(state, node.name, node.address)
            node.processes = agents.wanted_processes(node.assignment)
        self.system.tick()
        for node in self.nodes.values():
            self.reports.hear(agents.report_of(node))

    def _generation_of(self, node: SubstrateNode) -> str:
        return self.nodes[node.name].generation

    def one_pass(self) -> tuple[Decision, list[Taken]]:
        """Observe, decide, act; as the scheduler does it, and with a watch in hand."""
        self.passes += 1
        if self.engine is None and self.memory.state.engine is not None:
            self.engine = SimulatedEngine(self.system, self.memory.state.engine, EngineFaults(_NO_CHANCE))
        nodes, spec_text = self.substrate.nodes(), self.memory.state.spec_text
        seen = self._timed("observe", lambda: observe(nodes, self.reports, self.engine, self._generation_of))
        if learn(self.memory.state, seen) is not self.memory.state:
            self.memory.change(lambda state: learn(state, seen))
        decision = self._timed("decide", lambda: decide(self.spec, seen, self.memory.state, self.deriver))
        addresses = {node.name: node.address for node in nodes}
        taken = self._timed(
            "act",
            lambda: self.actor.act(decision.guarded.ready, self.engine, self.identity, addresses, spec_text),
        )
        return decision, taken

    def _timed(self, name: str, work: Callable[[], Answer]) -> Answer:
        began = time.perf_counter()
        answer = work()
        self.seconds[name] = time.perf_counter() - began
        return answer

    def figures(self) -> str:
        """Of the last pass."""
        return ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.seconds.items())


def large_cluster(nodes: int, disks: int) -> LargeCluster:
    """Bare nodes, in thirty racks."""
    made = [make_node(at, disks, attributes={"scaleio-fault-set": f"rack-{at % 30}"}) for at in range(nodes)]
    for node in made:
        node.agent = True
    return LargeCluster({node.name: node for node in made})
