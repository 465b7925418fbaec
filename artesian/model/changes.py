"""Every change that the framework can make: each idempotent, and complete in its words.

A change says what is to be, not how. Two changes that are equal are the same change: their digest is the
step's id, which an approval names.
"""

from __future__ import annotations

from dataclasses import dataclass

from artesian.model.disk import PoolName
from artesian.model.engine import ExistingEngine, Healing, ManagerPlace, SnapshotId
from artesian.model.restart import RestartPart


@dataclass(frozen=True, slots=True)
class JoinNode:
    """Use a node."""

    node: str


@dataclass(frozen=True, slots=True)
class CreateEngine:
    """Start managers on bare nodes, and make one quorum of them."""

    managers: tuple[ManagerPlace, ...]


@dataclass(frozen=True, slots=True)
class AdoptEngine:
    """Use an engine that is there already. Who its managers are, and what else is in it, is left alone."""

    system_id: str
    engine: ExistingEngine


@dataclass(frozen=True, slots=True)
class AddManager:
    """Start another manager, and make it a member of the quorum."""

    place: ManagerPlace


@dataclass(frozen=True, slots=True)
class RemoveManager:
    """Take a manager out of the quorum, and end it."""

    place: ManagerPlace


@dataclass(frozen=True, slots=True)
class AddDomain:
    """Make a protection domain."""

    domain: str


@dataclass(frozen=True, slots=True)
class AddFaultSet:
    """Make a fault set in a domain."""

    domain: str
    fault_set: str


@dataclass(frozen=True, slots=True)
class AddPool:
    """Make a storage pool in a domain."""

    pool: PoolName
    spare_percentage: int


@dataclass(frozen=True, slots=True)
class SetSpare:
    """Keep another share of a pool for healing."""

    pool: PoolName
    spare_percentage: int


@dataclass(frozen=True, slots=True)
class SetHealing:
    """Let making copies in a pool disturb applications more, or less."""

    pool: PoolName
    healing: Healing


@dataclass(frozen=True, slots=True)
class AddServer:
    """Make a node a server of a domain."""

    node: str
    address: str
    domain: str
    fault_set: str | None


@dataclass(frozen=True, slots=True)
class AddDevice:
    """Give a free disk to a pool: it is written to from then on.

    `path` is what its node calls it now, `engine_path` what the engine is to call it for as long as it lives.
    """

    node: str
    identity: str
    path: str
    pool: PoolName
    size_bytes: int
    engine_path: str = ""


@dataclass(frozen=True, slots=True)
class AddClient:
    """Give a node the means to use volumes."""

    node: str


@dataclass(frozen=True, slots=True)
class RemoveDevice:
    """Take a disk out of its pool, after its data has moved away."""

    node: str
    identity: str
    pool: PoolName


@dataclass(frozen=True, slots=True)
class ReturnDevice:
    """A disk that had failed is well again: it is used, after what it has missed was brought to it."""

    node: str
    identity: str


@dataclass(frozen=True, slots=True)
class RemoveServer:
    """A node is a server of a domain no longer."""

    node: str
    domain: str


@dataclass(frozen=True, slots=True)
class RemoveClient:
    """A node uses volumes no longer."""

    node: str


@dataclass(frozen=True, slots=True)
class EnterMaintenance:
    """A server is about to be away for a while; nothing is rebuilt meanwhile."""

    node: str
    domain: str


@dataclass(frozen=True, slots=True)
class ExitMaintenance:
    """A server is back from maintenance."""

    node: str
    domain: str


@dataclass(frozen=True, slots=True)
class RestartProcesses:
    """What of a part was started on a node under a smaller number is ended and started anew. Its agent does
    it."""

    node: str
    part: RestartPart
    number: int


@dataclass(frozen=True, slots=True)
class CreateVolume:
    """Make a volume; one with a `source` begins with what that snapshot has, and depends on it no longer."""

    volume: str
    pool: PoolName
    size_bytes: int
    thick: bool
    source: SnapshotId | None = None


@dataclass(frozen=True, slots=True)
class GrowVolume:
    """Make a volume larger, and the file system on it too, where it is mounted."""

    volume: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class RenameVolume:
    """Give a volume another name."""

    old_name: str
    volume: str


@dataclass(frozen=True, slots=True)
class MapVolume:
    """Let a node write to a volume."""

    volume: str
    node: str


@dataclass(frozen=True, slots=True)
class SetLimits:
    """Limit what a node does with a volume in a second; 0: no limit."""

    volume: str
    node: str
    iops: int
    bandwidth_bytes_per_s: int


@dataclass(frozen=True, slots=True)
class UnmapVolume:
    """End a node's right to a volume: its client is refused everywhere from then on."""

    volume: str
    node: str


@dataclass(frozen=True, slots=True)
class DeleteVolume:
    """Delete a volume and all that is in it."""

    volume: str


@dataclass(frozen=True, slots=True)
class CreateSnapshot:
    """Keep what a volume has now. Once it is taken it stays as it is: it is never taken anew."""

    volume: str
    snapshot: str


@dataclass(frozen=True, slots=True)
class DeleteSnapshot:
    """Keep no longer what a volume had."""

    volume: str
    snapshot: str


EngineChange = (
    CreateEngine
    | AdoptEngine
    | AddManager
    | RemoveManager
    | AddDomain
    | AddFaultSet
    | AddPool
    | SetSpare
    | SetHealing
    | AddServer
    | AddDevice
    | AddClient
    | RemoveDevice
    | ReturnDevice
    | RemoveServer
    | RemoveClient
    | EnterMaintenance
    | ExitMaintenance
    | CreateVolume
    | GrowVolume
    | RenameVolume
    | MapVolume
    | SetLimits
    | UnmapVolume
    | DeleteVolume
    | CreateSnapshot
    | DeleteSnapshot
)
Change = JoinNode | RestartProcesses | EngineChange
