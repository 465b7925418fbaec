"""A small cluster as it is seen, for tests of what is measured and judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from artesian.model.disk import Claim, PoolName
from artesian.model.engine import (
    EngineSeen,
    ManagerPlace,
    SeenDevice,
    SeenManager,
    SeenPool,
    SeenVolume,
)
from artesian.model.names import device_name, server_name
from artesian.model.node import Node, NodeState
from artesian.model.observation import Observation
from artesian.model.state import EngineIdentity, FrameworkState, NodeRecord
from artesian.model.topology import ManagerRole
from artesian.model.wishes import VolumeWish

GIB = 1 << 30
MIB = 1 << 20
POOL = PoolName("default", "default")
NAMES = ("node-1", "node-2", "node-3")


def identity(node: str) -> str:
    """Of the one disk of a node."""
    return f"serial:{node}"


def pool(**values: Any) -> SeenPool:
    """30 GiB of devices, 27 GiB without the spare share, 9 GiB written."""
    return replace(SeenPool("p", POOL, 30 * GIB, 9 * GIB, 9 * GIB), **values)


def device(node: str, **values: Any) -> SeenDevice:
    """The one device of a node."""
    name = device_name(identity(node))
    made = SeenDevice(f"d-{node}", name, server_name(node, POOL.domain), "/dev/sdb", POOL, 10 * GIB)
    return replace(made, **values)


def manager(node: str, **values: Any) -> SeenManager:
    """The manager of a node."""
    address = f"{address_of(node)}:6611"
    made = SeenManager(f"mdm-{node}", address, ManagerRole.MANAGER, healthy=True, leads=node == "node-1")
    return replace(made, **values)


def address_of(node: str) -> str:
    """10.0.0.N."""
    return f"10.0.0.{node[-1]}"


def engine(**values: Any) -> EngineSeen:
    """All well: three managers, three devices, a pool, and a volume on node-1."""
    made = EngineSeen(
        "system",
        managers=tuple(map(manager, NAMES)),
        pools=(pool(),),
        devices=tuple(map(device, NAMES)),
        volumes=(SeenVolume("v-1", "data", POOL, 4 * GIB, mapped_to=("GUID",)),),
    )
    return replace(made, **values)


def nodes(**states: NodeState) -> tuple[Node, ...]:
    """The three nodes; states by names with `_` for `-`."""
    return tuple(
        Node(name, address_of(name), states.get(name.replace("-", "_"), NodeState.ALIVE)) for name in NAMES
    )


def seen(**values: Any) -> Observation:
    """All well."""
    return replace(Observation(nodes(), engine()), **values)


def state(**values: Any) -> FrameworkState:
    """What is stored of that cluster."""
    record = NodeRecord(joined=True, is_client=True, domains=(POOL.domain,))
    made = FrameworkState(
        engine=EngineIdentity(
            "embedded",
            "system",
            "test",
            tuple(ManagerPlace(name, address_of(name), ManagerRole.MANAGER) for name in NAMES),
        ),
        nodes=dict.fromkeys(NAMES, record),
        claims={
            identity(name): Claim(identity(name), name, "/dev/sdb", POOL, 10 * GIB, "it was free")
            for name in NAMES
        },
        volumes={"data": VolumeWish("data", POOL, 4 * GIB, node="node-1", engine_id="v-1")},
    )
    return replace(made, **values)


def with_record(before: FrameworkState, name: str, **values: Any) -> FrameworkState:
    """The state with something else recorded of a node."""
    return replace(before, nodes={**before.nodes, name: replace(before.node(name), **values)})
