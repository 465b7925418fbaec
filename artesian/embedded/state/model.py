"""The replicated state of an engine: what the managers agree on.

Plain data. It is changed by `commands.apply` only, on every manager in the same order, so every field
must be derived from the commands: no clocks, no randomness, nothing of the local machine.
Sizes are bytes, times are seconds since the epoch, ids are 16 lower-case hex digits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

CHUNK_BYTES = 1 << 20
BLOCK_BYTES = 4096


class CopyState(StrEnum):
    """What one copy of a slice is good for."""

    IN_SYNC = "in_sync"  # holds every acknowledged write; is read and written
    STALE = "stale"  # missed writes since it was marked; neither read nor written until joined again


class Lifecycle(StrEnum):
    """Where an object is between its creation and its removal."""

    ADDING = "adding"  # decided, not yet made on the server
    NORMAL = "normal"
    REMOVING = "removing"  # its data is moving away, or its space is being given back


class AccessMode(StrEnum):
    """What a client may do with a mapped volume (PowerFlex' words)."""

    READ_WRITE = "ReadWrite"
    READ_ONLY = "ReadOnly"


class RebuildPolicy(StrEnum):
    """How much healing may disturb applications (PowerFlex' words)."""

    UNLIMITED = "unlimited"
    LIMIT_CONCURRENT = "limitNumOfConcurrentIos"
    FAVOR_APPLICATIONS = "favorAppIos"
    DYNAMIC_THROTTLING = "dynamicBwThrottling"


@dataclass(slots=True)
class Copy:
    """One copy of a slice on one device."""

    device_id: str
    state: CopyState = CopyState.IN_SYNC


@dataclass(slots=True)
class Join:
    """A copy that is being made: `source` feeds `target`, which is not read until it is committed.

    `replaces` is the device whose copy leaves the slice at the commit (None when a copy is only added);
    when the target is itself a stale member of the slice, `replaces` equals the target.
    """

    job_id: int
    source_device_id: str
    target_device_id: str
    replaces: str | None
    reason: str  # "resync" | "rebuild" | "rebalance" | "evacuate"


@dataclass(slots=True)
class Slice:
    """One of a pool's slices: where its chunks live.

    `generation` goes up at every change of the set of in-sync copies; a chunk remembers the generation
    of its last write, which is how a copy that was away is brought up to date with only what it missed.
    `version` is the state's version at the last change, for incremental distribution.
    """

    copies: list[Copy] = field(default_factory=list)
    generation: int = 1
    version: int = 0
    join: Join | None = None


@dataclass(slots=True)
class ProtectionDomain:
    id: str
    name: str
    active: bool = True
    attributes: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class FaultSet:
    id: str
    name: str
    protection_domain_id: str


@dataclass(slots=True)
class StoragePool:
    id: str
    name: str
    protection_domain_id: str
    media_type: str = "HDD"
    spare_percentage: int = 10
    rebuild_enabled: bool = True
    rebalance_enabled: bool = True
    rebuild_policy: RebuildPolicy = RebuildPolicy.LIMIT_CONCURRENT
    rebuild_concurrency: int = 2  # slices that one device copies at once while rebuilding
    rebuild_limit_bytes_per_s: int = 0  # per device; 0 means no limit
    rebalance_policy: RebuildPolicy = RebuildPolicy.FAVOR_APPLICATIONS
    rebalance_concurrency: int = 1
    rebalance_limit_bytes_per_s: int = 0
    slices: list[Slice] = field(default_factory=list)  # their number is a power of two, fixed at creation
    attributes: dict[str, object] = field(default_factory=dict)  # PowerFlex settings we store and answer


@dataclass(slots=True)
class Server:
    """An SDS: offers a node's devices."""

    id: str
    name: str
    protection_domain_id: str
    fault_set_id: str | None
    ips: list[dict[str, str]]  # [{"ip": "127.0.1.1", "role": "all"}]
    port: int
    lifecycle: Lifecycle = Lifecycle.NORMAL
    in_maintenance: bool = False  # it may be away for any time: its copies are not remade, and it gets none
    attributes: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Device:
    """A disk that is a member of a pool; `uuid` is what its superblock says."""

    id: str
    name: str | None
    uuid: str
    server_id: str
    storage_pool_id: str
    path: str
    slot_count: int = 0  # usable chunks; 0 until the server has formatted it
    capacity_limit_bytes: int = 0  # 0: the whole device
    lifecycle: Lifecycle = Lifecycle.ADDING
    error: str | None = None  # set: the disk failed; its copies are stale and are rebuilt elsewhere
    force_takeover: bool = False
    attributes: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Client:
    """An SDC: gives a node block access to volumes. It registers by connecting."""

    id: str
    guid: str  # upper-case UUID
    name: str | None
    ip: str
    attributes: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Mapping:
    """The right of one client to use one volume.

    `epoch` is the volume's epoch at which this client last opened it for writing; 0: never opened.
    """

    client_id: str
    access_mode: AccessMode = AccessMode.READ_WRITE
    epoch: int = 0
    limit_iops: int = 0
    limit_bandwidth_kbps: int = 0


@dataclass(slots=True)
class Volume:
    """A block volume. `number` names it on the wire and in slot tables and is never used again.

    `epoch` goes up whenever somebody opens the volume for writing and whenever the writer's mapping
    ends; servers refuse writes of an older one.
    """

    id: str
    number: int
    name: str
    size_bytes: int
    storage_pool_id: str
    vtree_id: str
    thin: bool = True
    creation_time: int = 0
    epoch: int = 0
    lifecycle: Lifecycle = Lifecycle.NORMAL  # ADDING: a thick volume whose space is being allocated
    mappings: dict[str, Mapping] = field(default_factory=dict)  # by client id
    attributes: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Manager:
    """An MDM: a member of the managers' quorum."""

    id: str
    name: str
    ip: str
    raft_port: int
    control_port: int
    role: str = "Manager"  # "Manager" | "TieBreaker"


@dataclass(slots=True)
class User:
    id: str
    name: str
    role: str
    password_hash: str  # scrypt, salted


@dataclass(slots=True)
class State:
    """Everything. `system_id` is empty until the engine is bootstrapped."""

    system_id: str = ""
    name: str = ""
    install_id: str = ""
    token_key: str = ""  # hex; gateways sign their login tokens with it
    version: int = 0  # goes up with every applied command that changed something
    next_number: int = 1  # the next volume number, job id and low half of object ids
    protection_domains: dict[str, ProtectionDomain] = field(default_factory=dict)
    fault_sets: dict[str, FaultSet] = field(default_factory=dict)
    storage_pools: dict[str, StoragePool] = field(default_factory=dict)
    servers: dict[str, Server] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    volumes: dict[str, Volume] = field(default_factory=dict)
    managers: dict[str, Manager] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    deleted_volumes: dict[str, list[str]] = field(default_factory=dict)
    """Volume number (as text) → ids of devices that have yet to say that its chunks are gone."""
    attributes: dict[str, object] = field(default_factory=dict)
