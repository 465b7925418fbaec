"""The engine's port over the simulated system, with answers that fail as they are drawn."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from artesian.engines.port import ChangeRefused, EngineUnreachable, NotYet
from artesian.model.changes import (
    AddClient,
    AddDevice,
    AddDomain,
    AddFaultSet,
    AddManager,
    AddPool,
    AddServer,
    CreateEngine,
    CreateVolume,
    DeleteVolume,
    EngineChange,
    EnterMaintenance,
    ExitMaintenance,
    GrowVolume,
    MapVolume,
    RemoveClient,
    RemoveDevice,
    RemoveManager,
    RemoveServer,
    RenameVolume,
    ReturnDevice,
    SetHealing,
    SetLimits,
    SetSpare,
    UnmapVolume,
)
from artesian.model.disk import EngineLabel
from artesian.model.engine import EngineSeen, SeenLimits
from artesian.model.names import client_guid, server_name
from artesian.model.state import EngineIdentity
from tests.simulation.store import SchedulerKilled
from tests.simulation.system import Device, Pool, Server, System, Volume


@dataclass
class EngineFaults:
    """How often answers fail, and at which change the scheduler is killed (counted from 1)."""

    chance: random.Random
    refused: float = 0.0
    unreachable: float = 0.0
    answer_lost: float = 0.0
    away: bool = False
    changes: int = 0
    kill_at: int | None = None
    kill_after: bool = False

    def draw(self, probability: float) -> bool:
        """Whether it happens now."""
        return probability > 0 and self.chance.random() < probability


@dataclass
class SimulatedEngine:
    """The scheduler's side of the system. `watch` is told of every change before anything else happens."""

    system: System
    identity: EngineIdentity
    faults: EngineFaults
    watch: Callable[[EngineChange], None] = field(default=lambda change: None)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def observe(self) -> EngineSeen:
        """Everything, if most managers are there."""
        self._reach()
        return self.system.seen()

    def close(self) -> None:
        """Nothing is held."""

    def _reach(self) -> None:
        if self.faults.away:
            raise EngineUnreachable("the gateway does not answer (drawn)")
        if not self.system.has_quorum:
            raise EngineUnreachable("the managers have no quorum")

    def carry_out(self, change: EngineChange) -> None:
        """One change a step further, if nothing was drawn against it."""
        with self.lock:
            self._carry_out(change)

    def _carry_out(self, change: EngineChange) -> None:
        self.watch(change)
        faults = self.faults
        faults.changes += 1
        dies = faults.changes == faults.kill_at
        if dies and not faults.kill_after:
            raise SchedulerKilled(f"before change {faults.changes}, {change}")
        if faults.draw(faults.unreachable):
            raise EngineUnreachable("the gateway has not answered (drawn)")
        if faults.draw(faults.refused):
            raise ChangeRefused("no (drawn)")
        if not isinstance(change, CreateEngine):
            self._reach()
        try:
            _EFFECTS[type(change)](self, change)
        finally:
            if dies:
                raise SchedulerKilled(f"after change {faults.changes}, {change}")
        if faults.draw(faults.answer_lost):
            raise EngineUnreachable("the gateway's answer is lost (drawn)")

    # --- effects

    def _create(self, change: CreateEngine) -> None:
        for place in change.managers:
            node = self.system.nodes.get(place.node)
            if node is None or not node.runs("manager"):
                raise NotYet(f"the manager on {place.node} does not run yet")
        if self.system.system_id is not None and self.system.system_id != self.identity.system_id:
            raise ChangeRefused("the managers hold another engine")
        self.system.system_id = self.identity.system_id
        self.system.managers = change.managers

    def _add_manager(self, change: AddManager) -> None:
        if change.place in self.system.managers:
            return
        node = self.system.nodes.get(change.place.node)
        self._need(node is not None and node.runs("manager"), f"the manager on {change.place.node}")
        self.system.managers = (*self.system.managers, change.place)

    def _remove_manager(self, change: RemoveManager) -> None:
        self.system.managers = tuple(one for one in self.system.managers if one != change.place)

    def _domain(self, change: AddDomain) -> None:
        if change.domain not in self.system.domains:
            self.system.domains.append(change.domain)

    def _fault_set(self, change: AddFaultSet) -> None:
        self._need(change.domain in self.system.domains, f"domain {change.domain}")
        if (change.domain, change.fault_set) not in self.system.fault_sets:
            self.system.fault_sets.append((change.domain, change.fault_set))

    def _pool(self, change: AddPool) -> None:
        self._need(change.pool.domain in self.system.domains, f"domain {change.pool.domain}")
        if change.pool not in self.system.pools:
            self.system.pools[change.pool] = Pool(self.system.new_id(), change.spare_percentage)

    def _spare(self, change: SetSpare) -> None:
        self._need(change.pool in self.system.pools, f"pool {change.pool}")
        self.system.pools[change.pool].spare_percentage = change.spare_percentage

    def _heal(self, change: SetHealing) -> None:
        self._need(change.pool in self.system.pools, f"pool {change.pool}")
        self.system.pools[change.pool].healing = change.healing

    def _add_server(self, change: AddServer) -> None:
        self._need(change.domain in self.system.domains, f"domain {change.domain}")
        name = server_name(change.node, change.domain)
        if change.fault_set is not None:
            pair = (change.domain, change.fault_set)
            self._need(pair in self.system.fault_sets, f"fault set {change.fault_set}")
        known = self.system.servers.get(name)
        if known is not None and known.fault_set != change.fault_set:
            raise ChangeRefused(f"server {name} is there already, but in another fault set")
        if known is None:
            new_id = self.system.new_id()
            self.system.servers[name] = Server(new_id, name, change.node, change.domain, change.fault_set)

    def _add_device(self, change: AddDevice) -> None:
        system = self.system
        self._need(change.pool in system.pools, f"pool {change.pool}")
        name = server_name(change.node, change.pool.domain)
        self._need(name in system.servers, f"server {name}")
        known = system.devices.get(change.identity)
        if known is not None:
            if known.to_move is not None:
                raise NotYet(f"disk {change.identity} is still being removed")
            if (known.pool, known.server) != (change.pool, name):
                raise ChangeRefused(f"disk {change.identity} is in use already by another pool or server")
            return
        self._need(system.connected(system.servers[name]), f"server {name}, which is not connected,")
        node = system.nodes[change.node]
        disk = node.disk_called(change.engine_path)
        if disk is None or disk.identity is None or disk.signatures or disk.mounted_at:
            raise ChangeRefused(f"{change.path} of {change.node} cannot be taken")
        assert disk.identity == change.identity, f"{change} would write to {disk}"
        new_id = system.new_id()
        assert system.system_id is not None
        node.label(change.identity, EngineLabel(system.system_id, new_id))
        system.devices[change.identity] = Device(
            new_id, change.identity, name, change.node, change.path, change.pool, change.size_bytes
        )

    def _add_client(self, change: AddClient) -> None:
        guid = self._guid(change.node)
        self._need(guid in self.system.clients, f"client of {change.node}")
        self.system.clients[guid] = change.node

    def _remove_device(self, change: RemoveDevice) -> None:
        device = self.system.devices.get(change.identity)
        if device is None:
            return
        if device.to_move is None:
            device.to_move = device.to_heal if device.lost else device.size_bytes // 2
        raise NotYet(f"the data of disk {change.identity} is moving away")

    def _return_device(self, change: ReturnDevice) -> None:
        device = self.system.devices.get(change.identity)
        if device is not None and device.failed:
            raise ChangeRefused(f"disk {change.identity} does not work")

    def _remove_server(self, change: RemoveServer) -> None:
        name = server_name(change.node, change.domain)
        if any(device.server == name for device in self.system.devices.values()):
            raise NotYet(f"server {name} still has disks")
        self.system.servers.pop(name, None)

    def _remove_client(self, change: RemoveClient) -> None:
        guid = self._guid(change.node)
        if guid not in self.system.clients:
            return
        if any(guid in volume.writers for volume in self.system.volumes.values()):
            raise ChangeRefused(f"volumes are still mapped to {change.node}")
        if guid in self.system.client_nodes():
            raise NotYet(f"the client of {change.node} is still connected")
        del self.system.clients[guid]

    def _maintain(self, change: EnterMaintenance | ExitMaintenance) -> None:
        server = self.system.servers.get(server_name(change.node, change.domain))
        if server is None:
            raise ChangeRefused(f"{change.node} is no server of {change.domain}")
        wanted = isinstance(change, EnterMaintenance)
        if server.in_maintenance != wanted:
            server.in_maintenance = wanted
            raise NotYet(f"server {server.name} is on its way")

    def _create_volume(self, change: CreateVolume) -> None:
        self._need(change.pool in self.system.pools, f"pool {change.pool}")
        known = self._find(change.volume)
        if known is not None and known.pool != change.pool:
            raise ChangeRefused(f"volume {change.volume} is there already, but in another pool")
        if known is None:
            new_id = self.system.new_id()
            self.system.volumes[new_id] = Volume(
                new_id, change.volume, change.pool, change.size_bytes, change.thick
            )

    def _grow(self, change: GrowVolume) -> None:
        volume = self._volume(change.volume)
        volume.size_bytes = max(volume.size_bytes, change.size_bytes)

    def _rename(self, change: RenameVolume) -> None:
        volume = self._find(change.old_name)
        if volume is None and self._find(change.volume) is not None:
            return
        volume = volume or self._volume(change.old_name)
        if self._find(change.volume) not in (None, volume):
            raise ChangeRefused(f"there is a volume {change.volume} already")
        volume.name = change.volume

    def _map(self, change: MapVolume) -> None:
        volume, guid = self._volume(change.volume), self._guid(change.node)
        self._need(guid in self.system.clients, f"client of {change.node}")
        if guid in volume.writers:
            return
        if volume.writers:
            raise ChangeRefused(f"volume {change.volume} is mapped to {volume.writers} already")
        volume.writers.append(guid)

    def _limit(self, change: SetLimits) -> None:
        volume, guid = self._volume(change.volume), self._guid(change.node)
        self._need(guid in volume.writers, f"mapping of {change.volume}")
        volume.limits.pop(guid, None)
        if change.iops or change.bandwidth_bytes_per_s:
            volume.limits[guid] = SeenLimits(change.iops, change.bandwidth_bytes_per_s)

    def _unmap(self, change: UnmapVolume) -> None:
        volume, guid = self._find(change.volume), self._guid(change.node)
        if volume is not None and guid in volume.writers:
            volume.writers.remove(guid)
            volume.limits.pop(guid, None)

    def _delete(self, change: DeleteVolume) -> None:
        volume = self._find(change.volume)
        if volume is None:
            return
        if volume.writers:
            raise ChangeRefused(f"volume {change.volume} is mapped")
        del self.system.volumes[volume.id]

    # --- helpers

    def _guid(self, node: str) -> str:
        return client_guid(self.identity.system_id, node)

    def _need(self, there: bool, what: str) -> None:
        if not there:
            raise NotYet(f"{what} is not there yet")

    def _find(self, name: str) -> Volume | None:
        return next((one for one in self.system.volumes.values() if one.name == name), None)

    def _volume(self, name: str) -> Volume:
        found = self._find(name)
        if found is None:
            raise ChangeRefused(f"there is no volume named {name}")
        return found


_EFFECTS: dict[type, Callable[[SimulatedEngine, EngineChange], None]] = {
    CreateEngine: SimulatedEngine._create,
    AddManager: SimulatedEngine._add_manager,
    RemoveManager: SimulatedEngine._remove_manager,
    AddDomain: SimulatedEngine._domain,
    AddFaultSet: SimulatedEngine._fault_set,
    AddPool: SimulatedEngine._pool,
    SetSpare: SimulatedEngine._spare,
    SetHealing: SimulatedEngine._heal,
    AddServer: SimulatedEngine._add_server,
    AddDevice: SimulatedEngine._add_device,
    AddClient: SimulatedEngine._add_client,
    RemoveDevice: SimulatedEngine._remove_device,
    RemoveServer: SimulatedEngine._remove_server,
    ReturnDevice: SimulatedEngine._return_device,
    RemoveClient: SimulatedEngine._remove_client,
    EnterMaintenance: SimulatedEngine._maintain,
    ExitMaintenance: SimulatedEngine._maintain,
    CreateVolume: SimulatedEngine._create_volume,
    GrowVolume: SimulatedEngine._grow,
    RenameVolume: SimulatedEngine._rename,
    MapVolume: SimulatedEngine._map,
    SetLimits: SimulatedEngine._limit,
    UnmapVolume: SimulatedEngine._unmap,
    DeleteVolume: SimulatedEngine._delete,
}
