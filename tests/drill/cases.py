"""A small cluster on which drills are possible: four nodes that serve, three managers, a pool, a volume."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from artesian.drill.facts import DrillFacts, Told
from artesian.model.disk import Claim, Disk, PoolName
from artesian.model.drill import Drill, DrillKind, DrillState, Moment, SeenFault, SeenWriter
from artesian.model.engine import (
    EngineSeen,
    ManagerPlace,
    SeenDevice,
    SeenManager,
    SeenPool,
    SeenServer,
)
from artesian.model.names import device_name, server_name
from artesian.model.node import Node
from artesian.model.observation import Observation
from artesian.model.plan import GuardedPlan, Plan
from artesian.model.remedy import Remedy, RemedyState
from artesian.model.rule import RemedyKind
from artesian.model.state import EngineIdentity, FrameworkState, NodeRecord
from artesian.model.topology import ManagerRole, Topology
from artesian.model.wishes import VolumeWish
from artesian.planner.planning import Decision
from artesian.remedy.checking import read_whole_spec

GIB = 1 << 30
NOW_S = 1_700_000_000.0
POOL = PoolName("default", "default")
NAMES = ("n1", "n2", "n3", "n4")
SPEC = """
default_rules: no
providers: [{name: files, kind: file, lead_time: 1s}]
rules:
  - {name: expand, scope: pool, when: used_share > 70%, remedy: expand-pool}
  - {name: replace, scope: device, when: failed and ours, remedy: replace-device}
"""


def identity(node: str) -> str:
    return f"serial:{node}"


def address(node: str) -> str:
    return f"10.0.0.{node[-1]}"


def server(node: str, **values: Any) -> SeenServer:
    name = server_name(node, POOL.domain)
    return replace(SeenServer(f"s-{node}", name, POOL.domain, None, connected=True), **values)


def device(node: str, **values: Any) -> SeenDevice:
    name = device_name(identity(node))
    made = SeenDevice(f"d-{node}", name, server_name(node, POOL.domain), "/dev/sdb", POOL, 10 * GIB)
    return replace(made, **values)


def manager(node: str, **values: Any) -> SeenManager:
    made = SeenManager(f"mdm-{node}", f"{address(node)}:6611", ManagerRole.MANAGER, True, node == "n1")
    return replace(made, **values)


def pool(**values: Any) -> SeenPool:
    return replace(SeenPool("p", POOL, 40 * GIB, 4 * GIB, 12 * GIB, 25), **values)


def engine(**values: Any) -> EngineSeen:
    made = EngineSeen(
        "system",
        managers=tuple(map(manager, NAMES[:3])),
        pools=(pool(),),
        servers=tuple(map(server, NAMES)),
        devices=tuple(map(device, NAMES)),
    )
    return replace(made, **values)


def node(name: str, **values: Any) -> Node:
    disk = Disk("/dev/sdb", identity(name), 10 * GIB)
    return replace(Node(name, address(name), disks=(disk,)), **values)


def seen(**values: Any) -> Observation:
    return replace(Observation(tuple(map(node, NAMES)), engine()), **values)


def state(**values: Any) -> FrameworkState:
    places = tuple(ManagerPlace(name, address(name), ManagerRole.MANAGER) for name in NAMES[:3])
    records = {
        name: NodeRecord(joined=True, is_client=True, domains=(POOL.domain,), address=address(name))
        for name in NAMES
    }
    claims = {
        identity(name): Claim(identity(name), name, "/dev/sdb", POOL, 10 * GIB, "it was free")
        for name in NAMES
    }
    made = FrameworkState(
        spec_text=SPEC,
        engine=EngineIdentity("embedded", "system", "test", places),
        engine_seen_once=True,
        nodes=MappingProxyType(records),
        claims=MappingProxyType(claims),
        volumes=MappingProxyType({"data": VolumeWish("data", POOL, GIB, node="n4", engine_id="v1")}),
    )
    return replace(made, **values)


def with_record(before: FrameworkState, name: str, **values: Any) -> FrameworkState:
    return before.with_node(name, **values)


def facts(**values: Any) -> DrillFacts:
    made = DrillFacts(
        spec=read_whole_spec(SPEC),
        seen=seen(),
        state=state(),
        decision=Decision(Topology(), GuardedPlan(Plan())),
        now_s=NOW_S,
        scheduler="first",
        told=told(),
        mounts=MappingProxyType({name: f"/mounts/{name}" for name in NAMES}),
        files=True,
    )
    return replace(made, **values)


def told(
    faults: Iterable[SeenFault] = (), writer: SeenWriter | None = None, on: str = "", writing_on: str = ""
) -> MappingProxyType[str, Told]:
    """What the nodes say: that one has these faults, and another one this writer."""
    return MappingProxyType(
        {
            name: Told(tuple(faults) if name == on else (), writer if name == writing_on else None)
            for name in NAMES
        }
    )


def a_drill(kind: DrillKind = DrillKind.KILL_SERVER, **values: Any) -> Drill:
    """One that is being watched, of node n2, with its writer on n3."""
    made = Drill(
        id="d1",
        kind=kind,
        state=DrillState.WATCHING,
        created_s=NOW_S - 20,
        changed_s=NOW_S - 10,
        thing="something",
        node="n2",
        pool=POOL,
        writer_node="n3",
        mount_path="/mounts/n3/drill-d1",
        hold_s=8.0,
        times={Moment.PROVOKED: NOW_S - 10},
    )
    return replace(made, **values)


def with_drills(before: FrameworkState, *drills: Drill) -> FrameworkState:
    return replace(before, drills=MappingProxyType({one.id: one for one in drills}))


def remedy(thing: str, **values: Any) -> Remedy:
    made = Remedy(
        id="r1",
        rule="replace",
        kind=RemedyKind.REPLACE_DEVICE,
        thing=thing,
        because="it has failed",
        state=RemedyState.ASKING,
        created_s=NOW_S - 5,
        changed_s=NOW_S - 5,
    )
    return replace(made, **values)


def with_remedy(before: FrameworkState, one: Remedy) -> FrameworkState:
    return replace(before, remedies=MappingProxyType({one.id: one}))
