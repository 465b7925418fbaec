"""How long a look and a decision take over many nodes: for a bare cluster, and from pass to pass later.

Reports and the engine's answer are made anew for each pass, as they come anew over the network; reading them
is not measured.
"""

from __future__ import annotations

import pickle
import resource
import time
from dataclasses import dataclass, replace
from statistics import median

from artesian.clusters.port import SubstrateNode
from artesian.model import changes
from artesian.model.disk import Claim, Disk, EngineLabel
from artesian.model.engine import EngineSeen, SeenClient, SeenDevice, SeenManager, SeenPool, SeenServer
from artesian.model.names import client_guid, device_name, server_name
from artesian.model.observation import Observation
from artesian.model.plan import Plan
from artesian.model.report import AgentReport
from artesian.model.state import EngineIdentity, FrameworkState, NodeRecord
from artesian.model.topology import DiskVerdict
from artesian.planner.planning import decide
from artesian.remedy.checking import read_whole_spec
from artesian.remedy.looking import Look, look
from artesian.scheduler.assignments import Assignments
from artesian.scheduler.observing import observe
from artesian.scheduler.reports import Reports
from artesian.strategy.deriver import Deriver
from bench.figures import Figure

DISKS = 10
TIB = 1 << 40
_SYSTEM_ID = "0123456789abcdef"
_SPEC = read_whole_spec("{new_disks: take, new_nodes: take}")
_LETTERS = "bcdefghijk"


def measure(quick: bool) -> list[Figure]:
    """At several sizes, so that the growth shows; aims at the largest."""
    figures = []
    for count in (100, 1_000) if quick else (100, 1_000, 10_000):
        took = _at(count)
        first_aim, unchanged_aim = (5, 1) if count == 10_000 else (None, None)
        of = f"{count:,} nodes"
        figures += [
            Figure(f"first plan, {of}, {count * DISKS:,} disks", took.first_s, "s", None, first_aim, True),
            Figure(f"unchanged pass, {of}", took.unchanged_s, "s", None, unchanged_aim, True),
            Figure(f"pass with one node changed, {of}", took.changed_s, "s", None, None, True),
            Figure(f"rules in an unchanged pass, {of}", took.rules_s, "s", None, None, True),
        ]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    figures.append(Figure("memory of that", peak_mb, "MB", None, 1000, True))
    return figures


@dataclass(frozen=True, slots=True)
class _Took:
    first_s: float
    unchanged_s: float
    changed_s: float
    rules_s: float


class _Engine:
    """Answers with what it was given."""

    def __init__(self, seen: EngineSeen) -> None:
        self._seen = seen

    def observe(self) -> EngineSeen:
        """What there is."""
        return self._seen

    def carry_out(self, change: changes.EngineChange) -> None:
        """Nothing is left to do."""
        raise NotImplementedError(change)

    def close(self) -> None:
        """There is no connection."""


class _Scheduler:
    """What a scheduler has from pass to pass, and the parts of its passes that think."""

    def __init__(self, nodes: tuple[SubstrateNode, ...]) -> None:
        self.nodes = nodes
        self.state = FrameworkState()
        self.reports = Reports(lambda: 0.0)
        self._deriver = Deriver()
        self._look = Look()
        self._assignments = Assignments()
        self._seen = Observation()
        self._verdicts: tuple[DiskVerdict, ...] = ()

    def timed_pass(self, engine: EngineSeen | None) -> tuple[float, Plan]:
        """Observe and decide."""
        answer = _Engine(pickle.loads(pickle.dumps(engine))) if engine is not None else None
        began = time.monotonic()
        seen = observe(self.nodes, self.reports, answer, self._generation_of)
        decision = decide(_SPEC, seen, self.state, self._deriver)
        took_s = time.monotonic() - began
        self._seen, self._verdicts = seen, decision.topology.verdicts
        return took_s, decision.plan

    def timed_look(self) -> float:
        """What the same pass does for the rules."""
        began = time.monotonic()
        self._look = look(self._look, _SPEC, self._seen, self.state, time.time(), verdicts=self._verdicts)
        return time.monotonic() - began

    def _generation_of(self, node: SubstrateNode) -> str:
        return self._assignments.of(self.state, node.name, node.address)[0]


def _at(count: int) -> _Took:
    scheduler = _Scheduler(tuple(_node(number) for number in range(count)))
    _report(scheduler)
    first_s, plan = scheduler.timed_pass(None)
    scheduler.state, engine = _carried_out(plan, scheduler.nodes)
    label = EngineLabel(_SYSTEM_ID, "d")
    took: list[float] = []
    looks: list[float] = []
    for changed in (None, None, None, None, 0, 1, 2):
        _report(scheduler, label, changed)
        seconds, plan = scheduler.timed_pass(engine)
        took.append(seconds)
        looks.append(scheduler.timed_look())
        if plan.steps:
            raise RuntimeError(f"something is left to do: {plan.steps[0]}")
    return _Took(first_s, median(took[1:4]), median(took[4:]), median(looks[1:4]))


def _report(scheduler: _Scheduler, label: EngineLabel | None = None, changed: int | None = None) -> None:
    """Every node says how it is; `changed` is the one with something new."""
    for number, node in enumerate(scheduler.nodes):
        model = "another" if number == changed else ""
        disks = tuple(
            Disk(f"/dev/sd{letter}", f"wwn:{number}{letter}", TIB, model=model, label=label)
            for letter in _LETTERS[:DISKS]
        )
        scheduler.reports.hear(AgentReport(node.name, disks=disks))


def _node(number: int) -> SubstrateNode:
    return SubstrateNode(f"node-{number:05}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")


def _carried_out(plan: Plan, nodes: tuple[SubstrateNode, ...]) -> tuple[FrameworkState, EngineSeen]:
    """What is stored and seen once every step of a deployment has been taken."""
    claims: dict[str, Claim] = {}
    devices, servers, clients, pools = [], [], [], []
    identity = EngineIdentity("embedded", _SYSTEM_ID, "bench")
    for step in plan.steps:
        match step.change:
            case changes.CreateEngine(managers):
                identity = replace(identity, managers=managers)
            case changes.AddPool(pool, spare):
                pools.append(SeenPool("p", pool, TIB, 0, TIB, spare))
            case changes.AddServer(node, _, domain, fault_set):
                servers.append(SeenServer("s", server_name(node, domain), domain, fault_set, True))
            case changes.AddDevice(node, disk, path, pool, size):
                claims[disk] = Claim(disk, node, path, pool, size, step.because)
                server = server_name(node, pool.domain)
                devices.append(SeenDevice("d", device_name(disk), server, path, pool, size))
            case changes.AddClient(node):
                clients.append(SeenClient("c", client_guid(_SYSTEM_ID, node), node, True))
    record = NodeRecord(joined=True, is_client=True, domains=("default",))
    state = FrameworkState(
        engine=identity,
        engine_seen_once=True,
        nodes={node.name: record for node in nodes},
        claims=claims,
    )
    members = tuple(
        SeenManager(f"mdm-{place.node}", place.address, place.role, healthy=True, leads=False)
        for place in identity.managers
    )
    engine = EngineSeen(
        _SYSTEM_ID,
        managers=members,
        domains=("default",),
        pools=tuple(pools),
        servers=tuple(servers),
        devices=tuple(devices),
        clients=tuple(clients),
    )
    return state, engine
