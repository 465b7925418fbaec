"""What a user wants, whatever the strategy: checked, frozen, with its defaults filled in."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from artesian.model.disk import Disk, Media, PoolName
from artesian.model.drill import DrillSchedule
from artesian.model.engine import CephSettings, ExistingEngine, Healing
from artesian.model.node import Node
from artesian.model.provider_spec import ProviderSpec
from artesian.model.rule import Budget, Notification, Rule

DEFAULT_POOL = PoolName("default", "default")
MINIMUM_DISK_BYTES = 1 << 30


class Taking(StrEnum):
    """What to do with disks or nodes that nobody has spoken of."""

    ASK = "ask"  # they are shown in the plan, and taken when that is approved
    TAKE = "take"
    NEVER = "never"


class Survives(StrEnum):
    """What a pool has to survive without losing data; each includes the ones before."""

    DISK = "disk"
    NODE = "node"
    FAULT_SET = "fault-set"


@dataclass(frozen=True, slots=True)
class NodeSelector:
    """Nodes by name patterns (any of them) and attributes (all of them); an empty one selects every node."""

    names: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def selects(self, node: Node) -> bool:
        """Whether a node is meant."""
        named = not self.names or any(fnmatch.fnmatchcase(node.name, pattern) for pattern in self.names)
        return named and all(
            fnmatch.fnmatchcase(node.attributes.get(key, ""), pattern)
            for key, pattern in self.attributes.items()
        )


@dataclass(frozen=True, slots=True)
class DiskSelector:
    """Disks by what they are; an empty one selects every disk."""

    media: Media | None = None
    models: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    at_least_bytes: int = 0
    at_most_bytes: int | None = None

    def selects(self, disk: Disk) -> bool:
        """Whether a disk is meant."""
        names = (disk.path, *disk.other_paths)
        return (
            (self.media is None or disk.media is self.media)
            and (not self.models or any(fnmatch.fnmatchcase(disk.model, one) for one in self.models))
            and (
                not self.paths or any(fnmatch.fnmatchcase(name, one) for name in names for one in self.paths)
            )
            and disk.size_bytes >= self.at_least_bytes
            and (self.at_most_bytes is None or disk.size_bytes <= self.at_most_bytes)
        )


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """A pool by what it has to hold and to survive; `usable_bytes` None: all disks that are selected."""

    name: PoolName
    usable_bytes: int | None = None
    survives: Survives = Survives.NODE
    nodes: NodeSelector = NodeSelector()
    disks: DiskSelector = DiskSelector()
    spare_percentage: int = 10


@dataclass(frozen=True, slots=True)
class ManagersSpec:
    """How many managers, and where; `count` None: as many as the cluster's size deserves."""

    count: int | None = None
    nodes: NodeSelector = NodeSelector()


@dataclass(frozen=True, slots=True)
class Spec:
    """Everything that a user can say. `pools` are those of the declarative strategy; `engine` is one that is
    there already, and none is made then; one that is made is Ceph if there is a `ceph`. `rules` come before
    the default ones, of which none are added without `default_rules`; `budget` is for all of them together.
    Without a word on `healing` it stays as the engine has it.
    """

    global_pool: PoolName | None = DEFAULT_POOL
    pools: tuple[PoolSpec, ...] = ()
    managers: ManagersSpec = ManagersSpec()
    fault_set_attribute: str = "scaleio-fault-set"
    minimum_disk_bytes: int = MINIMUM_DISK_BYTES
    healing: Healing | None = None
    new_disks: Taking = Taking.ASK
    new_nodes: Taking = Taking.ASK
    engine: ExistingEngine | None = None
    ceph: CephSettings | None = None
    rules: tuple[Rule, ...] = ()
    default_rules: bool = True
    providers: tuple[ProviderSpec, ...] = ()
    budget: Budget = field(default_factory=Budget)
    notify: tuple[Notification, ...] = ()
    drills: tuple[DrillSchedule, ...] = ()
