"""PowerFlex and what speaks its REST dialect, such as the embedded engine, as a storage engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import assert_never

import httpx

from artesian.engines.port import ChangeRefused, EngineUnreachable, NotYet
from artesian.engines.powerflex_pools import arrange
from artesian.engines.powerflex_reading import (
    KIB,
    READ_WRITE,
    Reading,
    is_connected,
    is_leaving,
    is_writer,
    limits_of,
    maintenance_of,
    mappings_of,
)
from artesian.engines.powerflex_session import GatewaySession, Json
from artesian.model.changes import (
    AddClient,
    AddDevice,
    AddDomain,
    AddFaultSet,
    AddManager,
    AddPool,
    AddServer,
    AdoptEngine,
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
from artesian.model.engine import EngineSeen, SeenLimits
from artesian.model.names import MAX_NAME_LENGTH, device_name, digest, server_name

DEFAULT_SERVER_PORT = 7072
_GIB = 1 << 30
_NO_MAINTENANCE, _IN_MAINTENANCE = "NoMaintenance", "InMaintenance"


def _default_port(_node: str, _domain: str) -> int:
    return DEFAULT_SERVER_PORT


class PowerFlexEngine:
    """An engine behind a PowerFlex gateway; see the port for what its verbs promise.

    `port_of` is the port of a node's server in a domain. Without a certificate the public authorities
    are trusted. Guids of clients are made of `client_root`, or of the engine's id. Safe to use from several
    threads.
    """

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        certificate: Path | None,
        *,
        port_of: Callable[[str, str], int] = _default_port,
        transport: httpx.BaseTransport | None = None,
        client_root: str = "",
    ) -> None:
        self._session = GatewaySession(url, user, password, certificate, transport)
        self._port_of = port_of
        self._client_root = client_root

    def close(self) -> None:
        """Let go of connections."""
        self._session.close()

    def observe(self) -> EngineSeen:
        """Everything, at one moment but for the figures of pools. Raises EngineUnreachable."""
        try:
            return self._read(everything=True).seen()
        except (ChangeRefused, NotYet) as error:
            raise EngineUnreachable(f"the engine cannot be observed: {error}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise EngineUnreachable(_unknown_way(error)) from error

    def carry_out(self, change: EngineChange) -> None:
        """Take one change a step further, unless it is done already.

        Raises NotYet, ChangeRefused, EngineUnreachable; TypeError for changes of managers, which are before
        there is any gateway.
        """
        try:
            self._carry_out(self._read(), change)
        except (KeyError, ValueError) as error:
            raise EngineUnreachable(_unknown_way(error)) from error

    def _read(self, *, everything: bool = False) -> Reading:
        return Reading(self._session, everything=everything, client_root=self._client_root)

    def _carry_out(self, engine: Reading, change: EngineChange) -> None:
        match change:
            case CreateEngine() | AdoptEngine() | AddManager() | RemoveManager():
                raise TypeError("a gateway cannot make the engine that it belongs to")
            case AddDomain() | AddFaultSet() | AddPool() | SetSpare() | SetHealing():
                arrange(self._session, engine, change)
            case AddServer():
                self._add_server(engine, change)
            case AddDevice():
                self._add_device(engine, change)
            case AddClient(node):
                self._add_client(engine, node)
            case RemoveDevice(identity=identity):
                self._remove_device(engine, identity)
            case ReturnDevice(identity=identity):
                self._return_device(engine, identity)
            case RemoveServer(node, domain):
                self._remove_server(engine, node, domain)
            case RemoveClient(node):
                self._remove_client(engine, node)
            case EnterMaintenance() | ExitMaintenance():
                self._maintain(engine, change)
            case CreateVolume():
                self._create_volume(engine, change)
            case GrowVolume(name, size_bytes):
                self._grow_volume(engine, name, size_bytes)
            case RenameVolume(old_name, name):
                self._rename_volume(engine, old_name, name)
            case MapVolume(name, node):
                self._map_volume(engine, name, node)
            case SetLimits():
                self._set_limits(engine, change)
            case UnmapVolume(name, node):
                self._unmap_volume(engine, name, node)
            case DeleteVolume(name):
                self._delete_volume(engine, name)
            case _:
                assert_never(change)

    # --- servers, devices and clients

    def _add_server(self, engine: Reading, change: AddServer) -> None:
        domain_id = engine.domain(change.domain)["id"]
        fault_set_id = self._fault_set_id(engine, domain_id, change)
        name = server_name(change.node, change.domain)
        server = engine.find_server(change.node, change.domain)
        if server is not None:
            if is_leaving(server):
                raise NotYet(f"server {name} is still being removed")
            if server.get("faultSetId") != fault_set_id:
                raise ChangeRefused(f"server {name} is there already, but in another fault set")
            return
        wanted = {
            "name": name,
            "protectionDomainId": domain_id,
            "sdsIpList": [{"SdsIp": {"ip": change.address, "role": "all"}}],
            "sdsPort": str(self._port_of(change.node, change.domain)),
        }
        if fault_set_id is not None:
            wanted["faultSetId"] = fault_set_id
        self._session.create("Sds", wanted)

    def _fault_set_id(self, engine: Reading, domain_id: str, change: AddServer) -> str | None:
        if change.fault_set is None:
            return None
        found = engine.find("FaultSet", change.fault_set, protectionDomainId=domain_id)
        if found is None:
            raise NotYet(f"there is no fault set {change.fault_set} in {change.domain} yet")
        return str(found["id"])

    def _add_device(self, engine: Reading, change: AddDevice) -> None:
        pool = engine.pool(change.pool)
        server = engine.find_server(change.node, change.pool.domain)
        if server is None:
            raise NotYet(f"{change.node} is no server of {change.pool.domain} yet")
        device = engine.find_device(change.identity)
        if device is not None:
            self._check_device(device, pool, server, change)
            return
        if not is_connected(server):
            raise NotYet(f"the server of {change.node} in {change.pool.domain} is not connected")
        wanted = {
            "name": device_name(change.identity),
            "deviceCurrentPathname": change.engine_path or change.path,
            "sdsId": server["id"],
            "storagePoolId": pool["id"],
        }
        self._session.create("Device", wanted, slow=True)

    def _check_device(self, device: Json, pool: Json, server: Json, change: AddDevice) -> None:
        """Returns if it is where it should be, and ready."""
        if is_leaving(device):
            raise NotYet(f"disk {change.identity} is still being removed")
        if (device.get("storagePoolId"), device["sdsId"]) != (pool["id"], server["id"]):
            raise ChangeRefused(f"disk {change.identity} is in use already by another pool or server")
        if str(device.get("deviceState")).startswith("InitialTest"):
            raise NotYet(f"disk {change.identity} is being prepared")

    def _add_client(self, engine: Reading, node: str) -> None:
        client = engine.client(node)
        name = node
        if len(node) > MAX_NAME_LENGTH:
            ending = f"-{digest(node)[:8]}"
            name = node[: MAX_NAME_LENGTH - len(ending)] + ending
        if client.get("name") != name:
            self._session.act("Sdc", client["id"], "setSdcName", {"sdcName": name})

    def _remove_device(self, engine: Reading, identity: str) -> None:
        device = engine.find_device(identity)
        if device is None:
            return
        if not is_leaving(device):
            self._session.act("Device", device["id"], "removeDevice")
            if self._read().find_device(identity) is None:
                return
        raise NotYet(f"the data of disk {identity} is moving away")

    def _return_device(self, engine: Reading, identity: str) -> None:
        device = engine.find_device(identity)
        if device is not None and (device.get("errorState") or "None") != "None":
            self._session.act("Device", device["id"], "clearDeviceError")

    def _remove_server(self, engine: Reading, node: str, domain: str) -> None:
        server = engine.find_server(node, domain)
        if server is None:
            return
        devices = sum(one["sdsId"] == server["id"] for one in engine.all_of("Device"))
        if devices:
            raise NotYet(f"the server of {node} in {domain} still has {devices} disks")
        if not is_leaving(server):
            self._session.act("Sds", server["id"], "removeSds")
            if self._read().find_server(node, domain) is None:
                return
        raise NotYet(f"the server of {node} in {domain} is being removed")

    def _remove_client(self, engine: Reading, node: str) -> None:
        client = engine.find_client(node)
        if client is None:
            return
        if any(self._mapping(volume, client) is not None for volume in engine.all_of("Volume")):
            raise ChangeRefused(f"volumes are still mapped to {node}")
        if is_connected(client):
            raise NotYet(f"the client of {node} is still connected")
        self._session.act("Sdc", client["id"], "removeSdc")

    # --- maintenance

    def _maintain(self, engine: Reading, change: EnterMaintenance | ExitMaintenance) -> None:
        """From one state to the other; what is between them ends by itself."""
        action, before, after = "enterMaintenanceMode", _NO_MAINTENANCE, _IN_MAINTENANCE
        if isinstance(change, ExitMaintenance):
            action, before, after = "exitMaintenanceMode", _IN_MAINTENANCE, _NO_MAINTENANCE
        server = engine.find_server(change.node, change.domain)
        if server is None:
            raise ChangeRefused(f"{change.node} is no server of {change.domain}")
        if maintenance_of(server) == before:
            self._session.act("Sds", server["id"], action)
            server = self._read().find_server(change.node, change.domain) or server
        if maintenance_of(server) != after:
            raise NotYet(f"server {server.get('name')} is on its way: {maintenance_of(server)}")

    # --- volumes

    def _create_volume(self, engine: Reading, change: CreateVolume) -> None:
        pool = engine.pool(change.pool)
        volume = engine.find("Volume", change.volume)
        if volume is not None:
            if volume["storagePoolId"] != pool["id"]:
                raise ChangeRefused(f"volume {change.volume} is there already, but in another pool")
            return
        wanted = {
            "name": change.volume,
            "storagePoolId": pool["id"],
            "volumeSizeInKb": str(_whole_gib(change.size_bytes) * _GIB // KIB),
            "volumeType": "ThickProvisioned" if change.thick else "ThinProvisioned",
        }
        self._session.create("Volume", wanted, slow=change.thick)

    def _grow_volume(self, engine: Reading, name: str, size_bytes: int) -> None:
        volume = self._volume(engine, name)
        wanted = _whole_gib(size_bytes)
        if int(volume["sizeInKb"]) * KIB < wanted * _GIB:
            self._session.act("Volume", volume["id"], "setVolumeSize", {"sizeInGB": str(wanted)}, slow=True)

    def _rename_volume(self, engine: Reading, old_name: str, name: str) -> None:
        volume = engine.find("Volume", old_name)
        if volume is None and engine.find("Volume", name) is not None:
            return
        volume = volume or self._volume(engine, old_name)
        if volume.get("name") != name:
            self._session.act("Volume", volume["id"], "setVolumeName", {"newName": name})

    def _map_volume(self, engine: Reading, name: str, node: str) -> None:
        volume, client = self._volume(engine, name), engine.client(node)
        mapping = self._mapping(volume, client)
        if mapping is not None and is_writer(mapping):
            return
        for other in mappings_of(volume):
            if is_writer(other):
                holder = other.get("sdcName") or other["sdcId"]
                raise ChangeRefused(f"volume {name} is mapped to {holder} already, which may write to it")
        if mapping is not None:
            wanted = {"sdcId": client["id"], "accessMode": READ_WRITE}
            self._session.act("Volume", volume["id"], "setVolumeMappingAccessMode", wanted)
            return
        # Only beside readers: PowerFlex would let a second writer in, should one come in between.
        beside = "true" if mappings_of(volume) else "false"
        wanted = {"guid": client["sdcGuid"], "accessMode": READ_WRITE, "allowMultipleMappings": beside}
        self._session.act("Volume", volume["id"], "addMappedSdc", wanted)

    def _set_limits(self, engine: Reading, change: SetLimits) -> None:
        volume, client = self._volume(engine, change.volume), engine.client(change.node)
        mapping = self._mapping(volume, client)
        if mapping is None:
            raise NotYet(f"volume {change.volume} is not mapped to {change.node} yet")
        limits = SeenLimits(change.iops, change.bandwidth_bytes_per_s)
        if limits_of(mapping) == limits:
            return
        wanted = {
            "sdcId": client["id"],
            "iopsLimit": str(limits.iops),
            "bandwidthLimitInKbps": str(limits.bandwidth_bytes_per_s // KIB),
        }
        self._session.act("Volume", volume["id"], "setMappedSdcLimits", wanted)

    def _unmap_volume(self, engine: Reading, name: str, node: str) -> None:
        volume, client = engine.find("Volume", name), engine.find_client(node)
        if volume is not None and client is not None and self._mapping(volume, client) is not None:
            self._session.act("Volume", volume["id"], "removeMappedSdc", {"guid": client["sdcGuid"]})

    def _delete_volume(self, engine: Reading, name: str) -> None:
        volume = engine.find("Volume", name)
        if volume is not None:
            self._session.act("Volume", volume["id"], "removeVolume", {"removeMode": "ONLY_ME"})

    def _volume(self, engine: Reading, name: str) -> Json:
        found = engine.find("Volume", name)
        if found is None:
            raise ChangeRefused(f"there is no volume named {name}")
        return found

    def _mapping(self, volume: Json, client: Json) -> Json | None:
        return next((one for one in mappings_of(volume) if one["sdcId"] == client["id"]), None)


def _whole_gib(size_bytes: int) -> int:
    """Engines of this kind know no smaller unit."""
    return max(1, -(-size_bytes // _GIB))


def _unknown_way(error: Exception) -> str:
    return f"the gateway shows its engine in an unknown way ({error!r})"
