"""Rules: what to watch, when it is bad, and what to do about it; checked, frozen, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Scope(StrEnum):
    """What a rule is looked at for, one by one; its metrics are those of that thing and of the cluster."""

    CLUSTER = "cluster"
    POOL = "pool"
    DEVICE = "device"
    NODE = "node"
    MANAGER = "manager"
    VOLUME = "volume"


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class RemedyKind(StrEnum):
    """What can be done about something. Each is for things of one scope, or of those of `OTHER_SCOPES`."""

    EXPAND_POOL = "expand-pool"
    REPLACE_DEVICE = "replace-device"
    REPLACE_MANAGER = "replace-manager"
    REMOVE_NODE = "remove-node"  # one that is gone for good, when everything it held has been rebuilt
    GROW_VOLUME = "grow-volume"
    CHANGE_LIMIT = "change-limit"  # of the requests to a volume
    MOVE_VOLUMES = "move-volumes"  # away from a node
    ADD_NODE = "add-node"  # another machine, from the substrate
    NOTIFY = "notify"


REMEDY_SCOPES: Mapping[RemedyKind, Scope | None] = MappingProxyType(
    {
        RemedyKind.EXPAND_POOL: Scope.POOL,
        RemedyKind.REPLACE_DEVICE: Scope.DEVICE,
        RemedyKind.REPLACE_MANAGER: Scope.MANAGER,
        RemedyKind.REMOVE_NODE: Scope.NODE,
        RemedyKind.GROW_VOLUME: Scope.VOLUME,
        RemedyKind.CHANGE_LIMIT: Scope.VOLUME,
        RemedyKind.MOVE_VOLUMES: Scope.NODE,
        RemedyKind.ADD_NODE: Scope.POOL,
        RemedyKind.NOTIFY: None,  # anything
    }
)
OTHER_SCOPES: Mapping[RemedyKind, tuple[Scope, ...]] = MappingProxyType(
    {RemedyKind.ADD_NODE: (Scope.CLUSTER,)}
)


class NotificationKind(StrEnum):
    """How somebody is told."""

    WEBHOOK = "webhook"  # a POST with a JSON body
    COMMAND = "command"  # run by the scheduler, with the JSON on its standard input
    EMAIL = "email"  # by the mail server of the scheduler's machine


@dataclass(frozen=True, slots=True)
class Notification:
    """Whom to tell when a remedy asks, has failed, or is there to tell. `target`: URL, command or address."""

    kind: NotificationKind
    target: str


class Approval(StrEnum):
    """Whether somebody has to agree before a remedy acts."""

    ASK = "ask"
    AUTOMATIC = "automatic"


@dataclass(frozen=True, slots=True)
class Budget:
    """What remedies may spend, in a day and altogether; None: as much as it takes, but for nodes: where the
    spec's own budget says nothing of them, few may be added (see remedy.machines)."""

    bytes_per_day: int | None = None
    disks_per_day: int | None = None
    cost_per_day: float | None = None  # of what a month of the new disks costs
    bytes_total: int | None = None
    disks_total: int | None = None
    cost_total: float | None = None
    nodes_per_day: int | None = None
    nodes_total: int | None = None


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A time of the day (minutes after midnight, UTC) in which nothing is begun; it may go past midnight."""

    begin_minute: int
    end_minute: int

    def contain(self, minute: int) -> bool:
        """Whether a minute of the day is within."""
        if self.begin_minute <= self.end_minute:
            return self.begin_minute <= minute < self.end_minute
        return minute >= self.begin_minute or minute < self.end_minute


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `when` is an expression over the metrics of its scope (see docs/remedies.md).

    `things`: patterns of names of pools, nodes and so on; none: all. `parameters` are the remedy's.
    """

    name: str
    scope: Scope
    when: str
    remedy: RemedyKind
    for_s: float = 0.0
    severity: Severity = Severity.WARNING
    parameters: Mapping[str, str | float] = field(default_factory=lambda: MappingProxyType({}))
    cooldown_s: float = 600.0
    approval: Approval = Approval.ASK
    quiet_hours: tuple[QuietHours, ...] = ()
    things: tuple[str, ...] = ()
    budget: Budget = Budget()
