"""How long a decision takes over many nodes: for a bare cluster, and when nothing has changed."""

from __future__ import annotations

import resource
import time
from dataclasses import replace

from artesian.model import changes
from artesian.model.disk import Claim, Disk
from artesian.model.engine import EngineSeen, SeenClient, SeenDevice, SeenManager, SeenPool, SeenServer
from artesian.model.names import client_guid, device_name, server_name
from artesian.model.node import Node
from artesian.model.observation import Observation
from artesian.model.plan import Plan
from artesian.model.spec import Spec, Taking
from artesian.model.state import EngineIdentity, FrameworkState, NodeRecord
from artesian.planner.planning import decide
from bench.figures import Figure

DISKS = 10
TIB = 1 << 40
_SYSTEM_ID = "0123456789abcdef"
_SPEC = Spec(new_disks=Taking.TAKE, new_nodes=Taking.TAKE)
_LETTERS = "bcdefghijk"


def measure(quick: bool) -> list[Figure]:
    """At several sizes, so that the growth shows; aims at the largest."""
    figures = []
    for count in (100, 1_000) if quick else (100, 1_000, 10_000):
        first_s, unchanged_s = _at(count)
        aims = (5, 1) if count == 10_000 else (None, None)
        disks = count * DISKS
        figures += [
            Figure(
                f"first plan, {count:,} nodes, {disks:,} disks",
                first_s,
                "s",
                None,
                aims[0],
                True,
            ),
            Figure(f"unchanged pass, {count:,} nodes", unchanged_s, "s", None, aims[1], True),
        ]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    figures.append(Figure("memory of that", peak_mb, "MB", None, 1000, True))
    return figures


def _at(count: int) -> tuple[float, float]:
    nodes = tuple(_node(number) for number in range(count))
    began = time.monotonic()
    decision = decide(_SPEC, Observation(nodes), FrameworkState())
    first_s = time.monotonic() - began
    state, engine = _carried_out(decision.plan, nodes)
    took = []
    for _ in range(3):
        began = time.monotonic()
        again = decide(_SPEC, Observation(nodes, engine), state)
        took.append(time.monotonic() - began)
        if again.plan.steps:
            raise RuntimeError(f"something is left to do: {again.plan.steps[0]}")
    return first_s, sorted(took)[1]


def _node(number: int) -> Node:
    disks = tuple(Disk(f"/dev/sd{letter}", f"wwn:{number}{letter}", TIB) for letter in _LETTERS[:DISKS])
    return Node(f"node-{number:05}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", disks=disks)


def _carried_out(plan: Plan, nodes: tuple[Node, ...]) -> tuple[FrameworkState, EngineSeen]:
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
