"""What the simulated engine is: its managers, servers, devices, clients and volumes, and how data moves."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from artesian.model.disk import PoolName
from artesian.model.engine import (
    NO_LIMITS,
    EngineSeen,
    Healing,
    ManagerPlace,
    SeenClient,
    SeenDevice,
    SeenLimits,
    SeenManager,
    SeenPool,
    SeenServer,
    SeenVolume,
)
from artesian.model.names import device_name
from artesian.strategy.capacity import two_copies_bytes
from tests.simulation.nodes import SimulatedNode

WELL_S = 0.001  # what a disk takes for a request that is well
MOVED_AT_ONCE = 8  # a device's data moves away in this many seconds, when all is well


@dataclass
class Server:
    """A server of a node in a domain."""

    id: str
    name: str
    node: str
    domain: str
    fault_set: str | None
    in_maintenance: bool = False


@dataclass
class Device:
    """A disk in a pool. `to_heal`: lost, and to be remade elsewhere; `to_move`: before it leaves."""

    id: str
    identity: str
    server: str
    node: str
    path: str
    pool: PoolName
    size_bytes: int
    lost: bool = False
    failed: bool = False
    to_heal: int = 0
    to_move: int | None = None


@dataclass(frozen=True)
class Sickness:
    """What is wrong with a disk that still works."""

    errors: int = 0
    latency_s: float = WELL_S


@dataclass
class Pool:
    """A pool's own values."""

    id: str
    spare_percentage: int
    used_bytes: int = 0  # both copies
    healing: Healing = Healing.LIMITED


@dataclass
class Volume:
    """A volume; `writers` are guids of clients."""

    id: str
    name: str
    pool: PoolName
    size_bytes: int
    thick: bool
    writers: list[str] = field(default_factory=list)
    limits: dict[str, SeenLimits] = field(default_factory=dict)  # of each writer that has some


@dataclass
class System:
    """One engine over the nodes. It exists once its managers have been told to be one."""

    nodes: dict[str, SimulatedNode]
    system_id: str | None = None
    managers: tuple[ManagerPlace, ...] = ()
    domains: list[str] = field(default_factory=list)
    fault_sets: list[tuple[str, str]] = field(default_factory=list)
    pools: dict[PoolName, Pool] = field(default_factory=dict)
    servers: dict[str, Server] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)  # by identity
    clients: dict[str, str] = field(default_factory=dict)  # guid → the name that it was given
    volumes: dict[str, Volume] = field(default_factory=dict)  # by id
    broken: set[str] = field(default_factory=set)  # identities of disks that look well and do not work
    sick: dict[str, Sickness] = field(default_factory=dict)  # by identity of disks
    requests: dict[str, float] = field(default_factory=dict)  # how many applications want of volumes, by id
    stalled: bool = False  # no data is moved
    old_figures: dict[PoolName, int] | None = None  # what pools are said to hold, if that is out of date
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def new_id(self) -> str:
        """For anything."""
        return f"{next(self._ids):08x}"

    # --- who is there

    @property
    def has_quorum(self) -> bool:
        """Whether most managers run."""
        running = sum(self.manages(place) for place in self.managers)
        return self.system_id is not None and running * 2 > len(self.managers)

    def manages(self, place: ManagerPlace) -> bool:
        """Whether a manager runs, and the others reach it."""
        node = self.nodes.get(place.node)
        return node is not None and node.serves("manager")

    @property
    def reachable_by_clients(self) -> bool:
        """A volume is attached with the managers' help."""
        return self.has_quorum

    def may_use(self, volume_id: str, guid: str) -> bool:
        """Whether a client has a mapping."""
        volume = self.volumes.get(volume_id)
        return volume is not None and guid in volume.writers

    def connected(self, server: Server) -> bool:
        """Whether the server's process runs."""
        node = self.nodes.get(server.node)
        return node is not None and node.serves(f"server:{server.domain}")

    def client_nodes(self) -> dict[str, SimulatedNode]:
        """The nodes on which a client of this engine runs, by its guid."""
        return {
            node.assignment.client_guid: node
            for node in self.nodes.values()
            if node.serves("client")
            and node.assignment is not None
            and node.assignment.system_id == self.system_id
        }

    def devices_of(self, pool: PoolName) -> list[Device]:
        """The devices of a pool."""
        return [device for device in self.devices.values() if device.pool == pool]

    def room(self, pool: PoolName) -> int:
        """How many bytes it may hold, both copies counted; see artesian.remedy.capacity."""
        units: Counter[str] = Counter()
        for one in self.devices.values():
            if one.pool == pool and not one.failed and one.to_move is None:
                server = self.servers[one.server]
                units[server.fault_set or server.name] += one.size_bytes
        return 2 * two_copies_bytes(units, self.pools[pool].spare_percentage)

    def is_whole(self, pool: PoolName) -> bool:
        """Whether nothing of it lacks a copy."""
        return not any(device.to_heal for device in self.devices_of(pool))

    # --- time

    def tick(self) -> None:
        """One second: clients register, data is healed and moves."""
        if self.system_id is None:
            return
        if self.has_quorum:
            for guid in self.client_nodes():
                self.clients.setdefault(guid, "")
        for device in list(self.devices.values()):
            self._look_at(device)
        if self.has_quorum and not self.stalled:
            for device in list(self.devices.values()):
                self._move(device)

    def _look_at(self, device: Device) -> None:
        server = self.servers[device.server]
        disk = self.nodes[device.node].disks.get(device.identity) if device.node in self.nodes else None
        connected = self.connected(server)
        ours = disk is not None and disk.label is not None and not disk.signatures
        ours = ours and device.identity not in self.broken
        if connected:
            device.failed = not ours
            if ours and disk is not None:
                device.path = disk.path
        lost = not connected or not ours
        if lost and not device.lost:
            device.to_heal = device.size_bytes // 4
        if not lost:
            device.to_heal = 0
        device.lost = lost

    def _move(self, device: Device) -> None:
        if not device.to_heal and device.to_move is None:
            return
        others = [one for one in self.devices_of(device.pool) if not one.lost and one is not device]
        if device.to_heal and len({one.node for one in others}) >= 2:
            device.to_heal = max(0, device.to_heal - device.size_bytes // MOVED_AT_ONCE)
        if device.to_move is None:
            return
        if device.lost:
            device.to_move = device.to_heal
        elif self.is_whole(device.pool) and self._has_room_without(device):
            device.to_move = max(0, device.to_move - device.size_bytes // MOVED_AT_ONCE)
        if not device.to_move:
            del self.devices[device.identity]
            if not device.lost:
                self.nodes[device.node].label(device.identity, None)

    def _has_room_without(self, device: Device) -> bool:
        """Whether what the pool holds fits on its other devices."""
        pool = self.pools[device.pool]
        others = [one for one in self.devices_of(device.pool) if one is not device and not one.lost]
        return pool.used_bytes <= sum(one.size_bytes for one in others)

    # --- what is shown

    def seen(self) -> EngineSeen:
        """As the engine's gateway shows it."""
        assert self.system_id is not None
        connected = self.client_nodes()
        return EngineSeen(
            system_id=self.system_id,
            managers=tuple(
                SeenManager(place.node, place.address, place.role, self.manages(place), at == 0)
                for at, place in enumerate(self.managers)
            ),
            domains=tuple(self.domains),
            fault_sets=tuple(self.fault_sets),
            pools=self._seen_pools(),
            servers=tuple(
                SeenServer(
                    one.id, one.name, one.domain, one.fault_set, self.connected(one), one.in_maintenance
                )
                for one in self.servers.values()
            ),
            devices=tuple(self._seen_device(device) for device in self.devices.values()),
            clients=tuple(
                SeenClient(f"sdc-{guid}", guid, name, guid in connected)
                for guid, name in self.clients.items()
            ),
            volumes=tuple(
                SeenVolume(
                    one.id,
                    one.name,
                    one.pool,
                    one.size_bytes,
                    one.thick,
                    tuple(one.writers),
                    limits=tuple(one.limits.items()),
                    iops=self._iops(one),
                )
                for one in self.volumes.values()
            ),
        )

    def _iops(self, volume: Volume) -> float | None:
        """What applications want, as far as they may have it."""
        wanted = self.requests.get(volume.id)
        most = volume.limits.get(volume.writers[0], NO_LIMITS).iops if volume.writers else 0
        return min(wanted, most) if wanted is not None and most else wanted

    def _seen_device(self, device: Device) -> SeenDevice:
        sick = self.sick.get(device.identity, Sickness())
        return SeenDevice(
            device.id,
            device_name(device.identity),
            device.server,
            device.path,
            device.pool,
            device.size_bytes,
            device.failed,
            device.to_move is not None,
            sick.errors if self.sick else None,
            sick.latency_s if self.sick else None,
        )

    def _seen_pools(self) -> tuple[SeenPool, ...]:
        devices: dict[PoolName, list[Device]] = {name: [] for name in self.pools}
        for device in self.devices.values():
            devices[device.pool].append(device)
        return tuple(
            SeenPool(
                id=pool.id,
                name=name,
                size_bytes=sum(one.size_bytes for one in devices[name]),
                used_bytes=(self.old_figures or {}).get(name, pool.used_bytes),
                free_bytes=max(0, sum(one.size_bytes for one in devices[name]) - pool.used_bytes) // 2,
                spare_percentage=pool.spare_percentage,
                healing=pool.healing,
                degraded_bytes=sum(one.to_heal for one in devices[name]),
                moving_bytes=sum(one.to_move or 0 for one in devices[name]),
            )
            for name, pool in self.pools.items()
        )
