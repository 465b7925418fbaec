"""What a PowerFlex gateway shows of its engine, found by the framework's names and told in its words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from artesian.engines.port import ChangeRefused, EngineUnreachable, NotYet
from artesian.engines.powerflex_session import GatewaySession, Json
from artesian.model.disk import PoolName
from artesian.model.engine import (
    NO_LIMITS,
    EngineSeen,
    Healing,
    SeenClient,
    SeenDevice,
    SeenLimits,
    SeenManager,
    SeenPool,
    SeenServer,
    SeenVolume,
)
from artesian.model.names import client_guid, device_name, server_name
from artesian.model.topology import ManagerRole

KIB = 1024
MIB = 1 << 20
READ_WRITE = "ReadWrite"
LIMITED_POLICY = "limitNumOfConcurrentIos"
# Of rebuilding and of rebalancing: what lacks a copy is more urgent.
HEALING_POLICIES = {
    Healing.UNLIMITED: ("unlimited", "unlimited"),
    Healing.LIMITED: (LIMITED_POLICY, "favorAppIos"),
    Healing.FAVOR_APPLICATIONS: ("favorAppIos", "favorAppIos"),
}

_SIZE, _USED, _FREE = "capacityLimitInKb", "capacityInUseInKb", "capacityAvailableForVolumeAllocationInKb"
_SINGLE, _HEALING, _LOST = (
    "degradedHealthyCapacityInKb",
    "semiProtectedCapacityInKb",
    "degradedFailedCapacityInKb",
)
_FAILED = "failedCapacityInKb"
_MOVING, _TO_MOVE = "activeMovingCapacityInKb", "pendingMovingCapacityInKb"
_ERRORS = "backgroundScanReadErrorCount"
_READ_LATENCY, _WRITE_LATENCY = "avgReadLatencyInMicrosec", "avgWriteLatencyInMicrosec"
_ROOM = "unusedCapacityInKb"
_DEVICE_RATES = ["totalReadBwc", "totalWriteBwc"]
_RATES = ["userDataReadBwc", "userDataWriteBwc"]  # of volumes, and of pools
_OF_DEVICES = [_ERRORS, _READ_LATENCY, _WRITE_LATENCY, _USED, _ROOM, *_DEVICE_RATES]
_FIGURES = [_SIZE, _USED, _FREE, _SINGLE, _HEALING, _LOST, _FAILED, _MOVING, _TO_MOVE]

_LIST_NAMES = {
    "System": "systemList",
    "ProtectionDomain": "protectionDomainList",
    "FaultSet": "faultSetList",
    "StoragePool": "storagePoolList",
    "Sds": "sdsList",
    "Device": "deviceList",
    "Sdc": "sdcList",
    "Volume": "volumeList",
}


def name_of(item: Json) -> str:
    """An object's name; those without one go by their id."""
    return str(item.get("name") or item["id"])


def is_connected(item: Json) -> bool:
    """Whether a server or a client is in touch with the managers."""
    return item.get("mdmConnectionState") == "Connected"


def is_leaving(item: Json) -> bool:
    """Whether a server or a device is being removed."""
    return "RemovePending" in (item.get("sdsState"), item.get("deviceState"))


def maintenance_of(server: Json) -> str:
    """ "NoMaintenance", "InMaintenance", or what is between them."""
    return str(server.get("maintenanceState") or "NoMaintenance")


def mappings_of(volume: Json) -> list[Json]:
    """One for each client."""
    return list(volume.get("mappedSdcInfo") or ())


def is_writer(mapping: Json) -> bool:
    """Versions before 3.0 know no access modes: everybody writes there."""
    return bool(mapping.get("accessMode", READ_WRITE) == READ_WRITE)


def healing_of(pool: Json) -> Healing | None:
    """How much healing may disturb a pool's applications; None if it is as we do not set it."""
    found = pool.get("rebuildIoPriorityPolicy"), pool.get("rebalanceIoPriorityPolicy")
    return next((healing for healing, policies in HEALING_POLICIES.items() if policies == found), None)


def limits_of(mapping: Json) -> SeenLimits:
    """What its client may do in a second."""
    return SeenLimits(int(mapping.get("limitIops") or 0), int(mapping.get("limitBwInMbps") or 0) * MIB)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _bytes(kilobytes: object) -> int | None:
    return KIB * kilobytes if isinstance(kilobytes, int) and kilobytes >= 0 else None


def _latency_s(microseconds: object) -> float | None:
    """A disk that has had nothing to do takes no time at all."""
    return microseconds / 1e6 if isinstance(microseconds, int | float) and microseconds > 0 else None


def rates(figures: Json, names: list[str]) -> tuple[float | None, float | None]:
    """Requests and bytes a second, by rates that the engine has taken over some seconds; three digits are
    enough to decide by, and things that are alike are judged but once. None: there is no rate yet."""
    requests = kilobytes = 0.0
    for name in names:
        rate = figures.get(name)
        seconds = rate.get("numSeconds") if isinstance(rate, dict) else None
        if not isinstance(rate, dict) or not isinstance(seconds, int | float) or seconds <= 0:
            return None, None
        requests += float(rate.get("numOccured") or 0) / seconds
        kilobytes += float(rate.get("totalWeightInKb") or 0) / seconds
    return float(f"{requests:.2e}"), float(f"{kilobytes * KIB:.2e}")


class Reading:
    """The engine's objects, each list asked for once, when it is first needed; good for one look only.

    Finding raises EngineUnreachable, and NotYet where it says so.
    """

    def __init__(self, session: GatewaySession, *, everything: bool = False, client_root: str = "") -> None:
        """`client_root`: what guids of clients are made of; empty: the engine's id."""
        self._session = session
        self._client_root = client_root
        self._lists: dict[str, list[Json]] = {}
        if everything:
            found = session.everything()
            self._lists = {kind: found[name] for kind, name in _LIST_NAMES.items() if name in found}

    def all_of(self, kind: str) -> list[Json]:
        """Every object of a type."""
        if kind not in self._lists:
            self._lists[kind] = self._session.all_of(kind)
        return self._lists[kind]

    @cached_property
    def system(self) -> Json:
        """The one system."""
        systems = self.all_of("System")
        if not systems:
            raise EngineUnreachable("the gateway does not know any system")
        return systems[0]

    def find(self, kind: str, name: str, **also: Any) -> Json | None:
        """The object of this name, and with these values."""
        for item in self.all_of(kind):
            if name == name_of(item) and also.items() <= item.items():
                return item
        return None

    def domain(self, name: str) -> Json:
        """Raises NotYet."""
        found = self.find("ProtectionDomain", name)
        if found is None:
            raise NotYet(f"there is no protection domain {name} yet")
        return found

    def find_pool(self, name: PoolName) -> Json | None:
        """The pool, if there is one in its domain, which has to be there. Raises NotYet."""
        return self.find("StoragePool", name.pool, protectionDomainId=self.domain(name.domain)["id"])

    def pool(self, name: PoolName) -> Json:
        """Raises NotYet."""
        found = self.find_pool(name)
        if found is None:
            raise NotYet(f"there is no storage pool {name} yet")
        return found

    def find_server(self, node: str, domain: str) -> Json | None:
        """A node's server in a domain."""
        return self.find("Sds", server_name(node, domain))

    def find_device(self, identity: str) -> Json | None:
        """A disk as a device."""
        return self.find("Device", device_name(identity))

    def find_client(self, node: str) -> Json | None:
        """A node's client."""
        guid = client_guid(self._client_root or str(self.system["id"]), node)
        return next((one for one in self.all_of("Sdc") if str(one.get("sdcGuid")).upper() == guid), None)

    def client(self, node: str) -> Json:
        """Raises NotYet."""
        found = self.find_client(node)
        if found is None:
            raise NotYet(f"the client of {node} has not registered with the engine yet")
        return found

    def seen(self) -> EngineSeen:
        """All of it."""
        domains = {one["id"]: name_of(one) for one in self.all_of("ProtectionDomain")}
        pools = {
            one["id"]: PoolName(domains.get(one["protectionDomainId"], ""), name_of(one))
            for one in self.all_of("StoragePool")
        }
        return EngineSeen(
            system_id=str(self.system["id"]),
            managers=tuple(self._managers()),
            domains=tuple(domains.values()),
            fault_sets=tuple(
                (domains.get(one["protectionDomainId"], ""), name_of(one)) for one in self.all_of("FaultSet")
            ),
            pools=tuple(self._pools(pools)),
            servers=tuple(self._servers(domains)),
            devices=tuple(self._devices(pools)),
            clients=tuple(self._clients()),
            volumes=tuple(self._volumes(pools)),
        )

    def _managers(self) -> Iterator[SeenManager]:
        cluster = self.system.get("mdmCluster") or self._session.manager_cluster()
        leader = cluster.get("master")
        followers = [*(cluster.get("slaves") or ()), *(cluster.get("tieBreakers") or ())]
        for one in [*([leader] if leader else []), *followers]:
            yield SeenManager(
                name=name_of(one),
                address=next(iter(one.get("ips") or ()), ""),
                role=ManagerRole.TIEBREAKER if one.get("role") == "TieBreaker" else ManagerRole.MANAGER,
                healthy=one.get("status", "Normal") == "Normal",
                leads=one is leader,
            )

    def _pools(self, names: dict[str, PoolName]) -> Iterator[SeenPool]:
        figures = self._session.statistics("StoragePool", [*_FIGURES, *_RATES]) if names else {}
        for one in self.all_of("StoragePool"):
            if one["id"] not in figures:
                continue  # it went between two requests
            size = {name: KIB * int(figures[one["id"]].get(name) or 0) for name in _FIGURES}
            yield SeenPool(
                id=one["id"],
                name=names[one["id"]],
                size_bytes=size[_SIZE],
                used_bytes=size[_USED],
                free_bytes=size[_FREE],
                spare_percentage=int(one["sparePercentage"]),
                # The good copy's share and the lost one's are the same data, but either may be all there is.
                degraded_bytes=max(size[_SINGLE] + size[_HEALING], size[_LOST]),
                failed_bytes=size[_FAILED],
                moving_bytes=size[_MOVING] + size[_TO_MOVE],
                iops=rates(figures[one["id"]], _RATES)[0],
                healing=healing_of(one),
            )

    def _servers(self, domains: dict[str, str]) -> Iterator[SeenServer]:
        fault_sets = {one["id"]: name_of(one) for one in self.all_of("FaultSet")}
        for one in self.all_of("Sds"):
            yield SeenServer(
                id=one["id"],
                name=name_of(one),
                domain=domains.get(one["protectionDomainId"], ""),
                fault_set=fault_sets.get(one.get("faultSetId") or ""),
                connected=is_connected(one),
                in_maintenance=maintenance_of(one) != "NoMaintenance",
                leaving=is_leaving(one),
            )

    def _devices(self, pools: dict[str, PoolName]) -> Iterator[SeenDevice]:
        """Those in acceleration pools are none of the framework's."""
        servers = {one["id"]: name_of(one) for one in self.all_of("Sds")}
        known = self._figures("Device", _OF_DEVICES)
        for one in self.all_of("Device"):
            figures = known.get(one["id"], {})
            pool = pools.get(one.get("storagePoolId") or "")
            if pool is None:
                continue
            yield SeenDevice(
                id=one["id"],
                name=name_of(one),
                server=servers.get(one["sdsId"], ""),
                path=str(one.get("deviceCurrentPathName") or ""),
                pool=pool,
                size_bytes=KIB * int(one.get("maxCapacityInKb") or 0),
                failed=(one.get("errorState") or "None") != "None",
                leaving=is_leaving(one),
                error_count=_count(figures.get(_ERRORS)),
                read_latency_s=_latency_s(figures.get(_READ_LATENCY)),
                write_latency_s=_latency_s(figures.get(_WRITE_LATENCY)),
                media_failing=True if one.get("mediaFailing") is True else None,
                used_bytes=_bytes(figures.get(_USED)),
                room_bytes=_bytes(figures.get(_ROOM)),
                iops=rates(figures, _DEVICE_RATES)[0],
            )

    def _figures(self, kind: str, names: list[str]) -> dict[str, Json]:
        """Figures by object. A gateway refuses names that it does not know, in one way or another, and for
        the want of these figures alone an engine does not count as unreachable."""
        if not self.all_of(kind):
            return {}
        try:
            found = self._session.statistics(kind, names)
        except (ChangeRefused, NotYet, EngineUnreachable):
            return {}
        return {one: figures for one, figures in found.items() if isinstance(figures, dict)}

    def _clients(self) -> Iterator[SeenClient]:
        for one in self.all_of("Sdc"):
            guid = str(one.get("sdcGuid") or "").upper()
            yield SeenClient(id=one["id"], guid=guid, name=name_of(one), connected=is_connected(one))

    def _volumes(self, pools: dict[str, PoolName]) -> Iterator[SeenVolume]:
        guids = {one.id: one.guid for one in self._clients()}
        known = self._figures("Volume", _RATES)
        for one in self.all_of("Volume"):
            pool = pools.get(one["storagePoolId"])
            if pool is None:
                continue
            mappings = [(guids.get(item["sdcId"]), item) for item in mappings_of(one)]
            mapped = [(guid, is_writer(item)) for guid, item in mappings]
            limits = [(guid, limits_of(item)) for guid, item in mappings if guid]
            iops, bandwidth = rates(known.get(one["id"], {}), _RATES)
            yield SeenVolume(
                id=one["id"],
                name=name_of(one),
                pool=pool,
                size_bytes=KIB * int(one["sizeInKb"]),
                thick=one.get("volumeType") == "ThickProvisioned",
                mapped_to=tuple(guid for guid, writes in mapped if guid and writes),
                mapped_read_only=tuple(guid for guid, writes in mapped if guid and not writes),
                limits=tuple((guid, found) for guid, found in limits if found != NO_LIMITS),
                iops=iops,
                bandwidth_bytes_per_s=bandwidth,
            )
