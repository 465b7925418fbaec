"""A storage engine as it was seen at one moment, in the words that all engines share."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from artesian.model.disk import PoolName
from artesian.model.topology import ManagerRole

PROCESS_IDS = 1_000_000  # of a larger process id an engine may only know what is left after this


@dataclass(frozen=True, slots=True)
class ManagerPlace:
    """A manager of the engine: on which node, at which address, and what it does."""

    node: str
    address: str
    role: ManagerRole


class Healing(StrEnum):
    """How much of a device is for making copies, and how much for applications."""

    UNLIMITED = "unlimited"
    LIMITED = "limited"  # a few at once
    FAVOR_APPLICATIONS = "favor-applications"  # one at once, with pauses


@dataclass(frozen=True, slots=True)
class CephSettings:
    """What of Ceph is set by its owner. `osd_memory_bytes`: what one OSD may take; those of less than 2 GiB
    keep a small cache. `heal_after_s`: how long a disk may be away before its data is copied elsewhere."""

    osd_memory_bytes: int = 1 << 30
    heal_after_s: int = 120


@dataclass(frozen=True, slots=True)
class ExistingEngine:
    """An engine that somebody else has made, and how to reach it.

    `gateways` are URLs, `managers` control addresses, by which servers and clients find the engine. What is
    secret is in files, by their absolute paths; without a certificate the public authorities are trusted.
    `system_id`: that which it has to have; empty: any. A Ceph has no gateways and no secret of ours; its
    password is a keyring.
    """

    gateways: tuple[str, ...]
    managers: tuple[str, ...]
    user: str
    password_file: str
    secret_file: str
    certificate: str | None = None
    system_id: str = ""
    ceph: CephSettings | None = None


@dataclass(frozen=True, slots=True)
class SeenManager:
    """A manager as the engine reports it; `name` is the engine's."""

    name: str
    address: str
    role: ManagerRole
    healthy: bool
    leads: bool

    @property
    def host(self) -> str:
        """The address without its port."""
        return self.address.partition(":")[0]


@dataclass(frozen=True, slots=True)
class SeenPool:
    """A storage pool and what is in it. `moving_bytes`: still to be copied by rebuilds and rebalancing;
    `healing` is None where it is neither of those; `is_full`: the engine lets nobody write to it any more."""

    id: str
    name: PoolName
    size_bytes: int = 0
    used_bytes: int = 0
    free_bytes: int = 0  # for volumes, one copy counted
    spare_percentage: int = 10
    degraded_bytes: int = 0
    failed_bytes: int = 0
    moving_bytes: int = 0
    iops: float | None = None  # of its volumes' clients at present, if that is known
    healing: Healing | None = None
    is_full: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether everything in it has as many good copies as it should."""
        return not self.degraded_bytes and not self.failed_bytes

    @property
    def is_settled(self) -> bool:
        """Whether it is whole, and nothing moves."""
        return self.is_whole and not self.moving_bytes


@dataclass(frozen=True, slots=True)
class SeenServer:
    """A server: `name` is the engine's name for it, `server_name` of its node and domain."""

    id: str
    name: str
    domain: str
    fault_set: str | None
    connected: bool
    in_maintenance: bool = False
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class SeenDevice:
    """A device. `name` is the engine's name for it: `device_name` of its disk's identity, when it is ours.

    `error_count` of reading and writing, as far as the engine counts; `read_latency_s` and `write_latency_s`:
    what a request takes on average at present; `media_failing`: the engine knows that the disk will fail.
    `used_bytes` is what is written to it, `room_bytes` what applications may still write; `iops`: what it
    reads and writes in a second at present. None: not known. `away`: it has not failed, and although its
    server is there nobody can use it.
    """

    id: str
    name: str
    server: str  # the server's name
    path: str
    pool: PoolName
    size_bytes: int
    failed: bool = False
    leaving: bool = False
    away: bool = False
    error_count: int | None = None
    read_latency_s: float | None = None
    write_latency_s: float | None = None
    media_failing: bool | None = None
    used_bytes: int | None = None
    room_bytes: int | None = None
    iops: float | None = None
    served_by: int | None = None  # the process id, modulo a million, of engines that know it

    @property
    def trouble(self) -> str | None:
        """Why it cannot be used, in words; None if it can, or its server is away as a whole."""
        if self.failed:
            return f"device {self.path} of {self.server} has failed"
        return f"device {self.path} of {self.server} is away" if self.away else None

    def is_served_by(self, process_ids: Collection[int | None]) -> bool:
        """Whether it is one of these that serves it."""
        return self.served_by in {one % PROCESS_IDS for one in process_ids if one is not None}


@dataclass(frozen=True, slots=True)
class SeenClient:
    """A client. `guid` stays with the node's client for ever."""

    id: str
    guid: str
    name: str
    connected: bool


@dataclass(frozen=True, slots=True)
class SeenLimits:
    """What a client may do with a volume in a second; 0: no limit."""

    iops: int = 0
    bandwidth_bytes_per_s: int = 0


NO_LIMITS = SeenLimits()


@dataclass(frozen=True, slots=True)
class SnapshotId:
    """A snapshot by the engine's ids: it is meant even if its volume is renamed, and no later one is."""

    volume_id: str
    snapshot_id: str


@dataclass(frozen=True, slots=True)
class SeenSnapshot:
    """What a volume had at one moment (`taken_at_s`, Unix time), under a name that its volume has once."""

    id: str
    name: str
    size_bytes: int
    taken_at_s: float


@dataclass(frozen=True, slots=True)
class SeenVolume:
    """A volume; `mapped_to` are the guids of its clients that may write, `limits` of those that have some.

    `iops` and `bandwidth_bytes_per_s` are what its clients read and write at present; None: not known.
    """

    id: str
    name: str
    pool: PoolName
    size_bytes: int
    thick: bool = False
    mapped_to: tuple[str, ...] = ()
    mapped_read_only: tuple[str, ...] = ()
    limits: tuple[tuple[str, SeenLimits], ...] = ()
    iops: float | None = None
    bandwidth_bytes_per_s: float | None = None
    snapshots: tuple[SeenSnapshot, ...] = ()

    def snapshot(self, name: str) -> SeenSnapshot | None:
        """The snapshot of this name."""
        return next((one for one in self.snapshots if one.name == name), None)

    def limits_of(self, guid: str) -> SeenLimits:
        """Those of a client."""
        return next((limits for one, limits in self.limits if one == guid), NO_LIMITS)


@dataclass(frozen=True, slots=True)
class SeenWarning:
    """What the engine itself finds wrong: `code` is its own word for it, `text` says it for people."""

    code: str
    text: str
    serious: bool = False


@dataclass(frozen=True, slots=True)
class EngineSeen:
    """The engine at one moment. `fault_sets` are pairs of domain and name; `offers_snapshots`: of volumes."""

    system_id: str
    managers: tuple[SeenManager, ...] = ()
    domains: tuple[str, ...] = ()
    fault_sets: tuple[tuple[str, str], ...] = ()
    pools: tuple[SeenPool, ...] = ()
    servers: tuple[SeenServer, ...] = ()
    devices: tuple[SeenDevice, ...] = ()
    clients: tuple[SeenClient, ...] = ()
    volumes: tuple[SeenVolume, ...] = ()
    warnings: tuple[SeenWarning, ...] = ()
    offers_snapshots: bool = False

    def pool(self, name: PoolName) -> SeenPool | None:
        """The pool of this name."""
        return next((pool for pool in self.pools if pool.name == name), None)

    def has_one_copy_only(self, name: PoolName) -> bool:
        """Whether all devices of a pool are on one server: then nothing in it can ever have a second copy."""
        return len({device.server for device in self.devices if device.pool == name}) == 1

    def volume(self, name: str) -> SeenVolume | None:
        """The volume of this name."""
        return next((volume for volume in self.volumes if volume.name == name), None)

    def snapshot_with_id(self, snapshot: SnapshotId) -> SeenSnapshot | None:
        """The snapshot with these ids."""
        volume = self.volume_with_id(snapshot.volume_id)
        there = volume.snapshots if volume is not None else ()
        return next((one for one in there if one.id == snapshot.snapshot_id), None)

    def volume_with_id(self, volume_id: str | None) -> SeenVolume | None:
        """The volume with this id; None too if the id is not known."""
        return next((volume for volume in self.volumes if volume.id == volume_id), None)
