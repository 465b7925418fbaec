"""The wanted arrangement: who is manager, server and client, and which disks are in which pools.

Each part carries `because`, one English sentence on why it is as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from artesian.model.disk import PoolName


class ManagerRole(StrEnum):
    """What a manager does: all of them vote, tiebreakers lead only when nobody else can."""

    MANAGER = "manager"
    TIEBREAKER = "tiebreaker"


@dataclass(frozen=True, slots=True)
class WantedManager:
    """A manager on a node."""

    node: str
    role: ManagerRole
    because: str


@dataclass(frozen=True, slots=True)
class WantedPool:
    """A storage pool in its protection domain."""

    name: PoolName
    because: str


@dataclass(frozen=True, slots=True)
class WantedServer:
    """A node that offers disks to a protection domain, in a fault set if the domain has any."""

    node: str
    domain: str
    fault_set: str | None
    because: str


@dataclass(frozen=True, slots=True)
class WantedDevice:
    """A disk in a pool. `path` is what its node calls it now; `identity` is what counts."""

    node: str
    identity: str
    path: str
    pool: PoolName
    size_bytes: int
    because: str


@dataclass(frozen=True, slots=True)
class WantedClient:
    """A node that uses volumes of these pools."""

    node: str
    pools: tuple[PoolName, ...]
    because: str


class VerdictKind(StrEnum):
    """What may be done with a disk."""

    CLAIMED = "claimed"  # it is a member of a pool, or about to be
    FREE = "free"  # it may be taken
    REFUSED = "refused"  # it must not be touched


@dataclass(frozen=True, slots=True)
class DiskVerdict:
    """What may be done with one disk, and why."""

    node: str
    path: str
    identity: str | None
    size_bytes: int
    kind: VerdictKind
    because: str


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything that is wanted, in a fixed order, and in words what is missing for it."""

    managers: tuple[WantedManager, ...] = ()
    pools: tuple[WantedPool, ...] = ()
    servers: tuple[WantedServer, ...] = ()
    devices: tuple[WantedDevice, ...] = ()
    clients: tuple[WantedClient, ...] = ()
    verdicts: tuple[DiskVerdict, ...] = ()
    shortfalls: tuple[str, ...] = ()
