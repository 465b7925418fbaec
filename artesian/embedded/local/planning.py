"""Making and extending the description of an engine: pure, but for looking which ports are free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from artesian.embedded.config import MAX_SOCKET_PATH_BYTES
from artesian.embedded.errors import ConfigError
from artesian.embedded.local import addresses
from artesian.embedded.local.description import (
    MAX_DISKS_PER_NODE,
    MAX_NODES,
    MIN_DISK_BYTES,
    DiskDescription,
    EngineDescription,
    ManagerDescription,
    NodeDescription,
    new_guid,
    new_system_id,
)
from artesian.embedded.local.errors import InTheWay

CONTROL_PORT, RAFT_PORT, SDS_PORT, GATEWAY_PORT = 6611, 6711, 7072, 8443
GATEWAY_HOST = 254  # the last number of its address
DEFAULT_NODES, DEFAULT_DISKS_PER_NODE, DEFAULT_DISK_BYTES, DEFAULT_MANAGERS = 3, 2, 2 << 30, 3
_MANAGER_COUNTS = (1, 3, 5)
_MIN_FAULT_SETS = 3
_ROOM_FOR_SOCKET = len("/node-200/nbd.sock")


@dataclass(frozen=True, slots=True)
class Wish:
    """What `engine up` was asked for; None: whatever is there, or the default."""

    nodes: int | None = None
    disks_per_node: int | None = None
    disk_size_bytes: int | None = None
    managers: int | None = None
    fault_sets: int | None = None
    gateway_port: int | None = None


def check(wish: Wish, folder: Path) -> None:
    """Raises ConfigError for what can never work."""
    if wish.nodes is not None and not 1 <= wish.nodes <= MAX_NODES:
        raise ConfigError(f"an engine has 1 to {MAX_NODES} nodes, not {wish.nodes}")
    if wish.disks_per_node is not None and not 1 <= wish.disks_per_node <= MAX_DISKS_PER_NODE:
        raise ConfigError(f"a node has 1 to {MAX_DISKS_PER_NODE} disks, not {wish.disks_per_node}")
    if wish.disk_size_bytes is not None and wish.disk_size_bytes < MIN_DISK_BYTES:
        raise ConfigError(f"a disk has at least {MIN_DISK_BYTES >> 20} MiB")
    if wish.managers is not None and wish.managers not in _MANAGER_COUNTS:
        raise ConfigError(f"an engine has 1, 3 or 5 managers, not {wish.managers}")
    if wish.fault_sets is not None and wish.fault_sets != 0 and wish.fault_sets < _MIN_FAULT_SETS:
        raise ConfigError(f"a domain has no fault sets, or at least {_MIN_FAULT_SETS}, not {wish.fault_sets}")
    if wish.gateway_port is not None and not 1 <= wish.gateway_port <= 65535:
        raise ConfigError(f"{wish.gateway_port} is no port")
    if len(str(folder).encode()) + _ROOM_FOR_SOCKET > MAX_SOCKET_PATH_BYTES:
        longest = MAX_SOCKET_PATH_BYTES - _ROOM_FOR_SOCKET
        raise ConfigError(
            f"{folder}: sockets are made in this folder, so its path has at most {longest} bytes"
        )


def make(wish: Wish, folder: Path) -> EngineDescription:
    """The description of a new engine. Raises ConfigError."""
    check(wish, folder)
    count = wish.nodes or DEFAULT_NODES
    fault_sets = wish.fault_sets or 0
    if fault_sets > count:
        raise ConfigError(f"{fault_sets} fault sets need at least as many nodes, not {count}")
    network = addresses.network_for(folder, [CONTROL_PORT, RAFT_PORT, SDS_PORT])
    gateway_ip = f"{network}.{GATEWAY_HOST}"
    taken: set[tuple[str, int]] = set()
    if wish.gateway_port is not None and not addresses.is_free(gateway_ip, wish.gateway_port):
        raise InTheWay(f"port {wish.gateway_port} is not free on {gateway_ip}")
    description = EngineDescription(
        name=f"artesian-{folder.name}"[:31],
        folder=str(folder.resolve()),
        network=network,
        disks_per_node=wish.disks_per_node or DEFAULT_DISKS_PER_NODE,
        disk_size_bytes=wish.disk_size_bytes or DEFAULT_DISK_BYTES,
        fault_sets=fault_sets,
        gateway_ip=gateway_ip,
        gateway_port=wish.gateway_port or addresses.free_port(gateway_ip, GATEWAY_PORT, taken),
        managers=_managers(network, wish.managers or DEFAULT_MANAGERS, count, taken),
        nodes=[],
        system_id=new_system_id(),
    )
    for _ in range(count):
        add_node(description)
    return description


def extend(description: EngineDescription, wish: Wish, folder: Path) -> bool:
    """Add the nodes and disks that are asked for beyond what is there; whether there were any.

    Raises InTheWay for a wish that contradicts what is there.
    """
    check(wish, folder)
    for what, wanted, present in (
        ("managers", wish.managers, len(description.managers)),
        ("fault sets", wish.fault_sets, description.fault_sets),
        ("gateway port", wish.gateway_port, description.gateway_port),
        ("bytes per disk", wish.disk_size_bytes, description.disk_size_bytes),
    ):
        if wanted is not None and wanted != present:
            raise InTheWay(
                f"the engine in {folder} has {present} {what}, not {wanted}; that cannot be changed"
            )
    for what, wanted, present in (
        ("nodes", wish.nodes, len(description.nodes)),
        ("disks per node", wish.disks_per_node, description.disks_per_node),
    ):
        if wanted is not None and wanted < present:
            raise InTheWay(f"the engine in {folder} has {present} {what}; it cannot be started with {wanted}")
    more_disks = (wish.disks_per_node or description.disks_per_node) - description.disks_per_node
    more_nodes = (wish.nodes or len(description.nodes)) - len(description.nodes)
    for node in description.nodes:
        for _ in range(more_disks):
            node.add_disk(description.disk_size_bytes)
    description.disks_per_node += more_disks
    for _ in range(more_nodes):
        add_node(description)
    return more_disks + more_nodes > 0


def add_node(description: EngineDescription) -> NodeDescription:
    """One more node, with the usual disks."""
    number = max((node.number for node in description.nodes), default=0) + 1
    ip = f"{description.network}.{number}"
    node = NodeDescription(
        number=number,
        ip=ip,
        sds_port=addresses.free_port(ip, SDS_PORT, set()),
        guid=new_guid(),
        fault_set=1 + (number - 1) % description.fault_sets if description.fault_sets else None,
        disks=[
            DiskDescription(number=1 + index, size_bytes=description.disk_size_bytes)
            for index in range(description.disks_per_node)
        ],
    )
    description.nodes.append(node)
    return node


def _managers(network: str, count: int, nodes: int, taken: set[tuple[str, int]]) -> list[ManagerDescription]:
    """Spread over the nodes. As in PowerFlex, 3 are two managers and a tiebreaker, 5 are three and two."""
    managers = []
    for index in range(count):
        node = 1 + index % nodes
        ip = f"{network}.{node}"
        role: Literal["Manager", "TieBreaker"] = "Manager" if index <= count // 2 else "TieBreaker"
        managers.append(
            ManagerDescription(
                name=f"mdm-{1 + index}",
                node=node,
                ip=ip,
                raft_port=addresses.free_port(ip, RAFT_PORT, taken),
                control_port=addresses.free_port(ip, CONTROL_PORT, taken),
                role=role,
            )
        )
    return managers
