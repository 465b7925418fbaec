"""Drills: real faults that are provoked on purpose, watched, undone and reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from artesian.model.disk import PoolName
from artesian.model.rule import QuietHours


class DrillKind(StrEnum):
    """What is provoked."""

    FILL_POOL = "fill-pool"
    KILL_SERVER = "kill-server"
    FAIL_DISK = "fail-disk"
    CUT_OFF_NODE = "cut-off-node"
    KILL_MANAGER = "kill-manager"
    KILL_SCHEDULER = "kill-scheduler"
    STALL_PROVIDER = "stall-provider"


ON_NODES = frozenset(DrillKind) - {DrillKind.KILL_SCHEDULER, DrillKind.STALL_PROVIDER}  # done by agents


class DrillState(StrEnum):
    """How far a drill has come."""

    PREPARING = "preparing"  # its volume is made and mounted, and somebody begins to write to it
    PROVOKING = "provoking"
    WATCHING = "watching"  # until everything is well again
    VERIFYING = "verifying"  # all that was acknowledged is read back
    UNDOING = "undoing"  # whatever is left of the fault and of the volume is taken away
    PASSED = "passed"
    FAILED = "failed"
    ABORTED = "aborted"

    @property
    def is_open(self) -> bool:
        """Whether something of it may still be there."""
        return self not in (DrillState.PASSED, DrillState.FAILED, DrillState.ABORTED)

    @property
    def has_fault(self) -> bool:
        """Whether its fault is to be there."""
        return self in (DrillState.PROVOKING, DrillState.WATCHING, DrillState.VERIFYING)

    @property
    def has_writer(self) -> bool:
        """Whether somebody is to use its volume."""
        return self is not DrillState.UNDOING and self.is_open


class Moment(StrEnum):
    """What happened of a drill's fault, and of its remedy."""

    PROVOKED = "provoked"  # the fault is there
    DETECTED = "detected"  # somebody has noticed
    DECIDED = "decided"  # a remedy was chosen, or the engine has begun to heal
    ACTED = "acted"  # the remedy is at work, or data moves
    OVER = "over"  # the fault itself is gone
    HEALED = "healed"


@dataclass(frozen=True, slots=True)
class Fault:
    """What an agent does to its own node for `hold_s`, and undoes by itself then, or once it is not assigned
    any more. `target`: a disk's identity, or the folder that is filled with `amount_bytes`. It is not begun
    after `begin_by_s` (Unix time): an agent that was away may know an old assignment only."""

    id: str
    kind: DrillKind
    target: str
    hold_s: float
    amount_bytes: int = 0
    begin_by_s: float = 0.0


class WriterMode(StrEnum):
    WRITE = "write"
    VERIFY = "verify"  # read back all that was acknowledged


@dataclass(frozen=True, slots=True)
class DrillWriter:
    """A process that uses the drill's volume, which is mounted at `path`."""

    drill: str
    path: str
    mode: WriterMode = WriterMode.WRITE


@dataclass(frozen=True, slots=True)
class SeenFault:
    """A fault on its node. `over`: it has been undone. `problem`: why something of it cannot be done."""

    id: str
    over: bool = False
    done_bytes: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SeenWriter:
    """How far the process on the drill's volume has come. `error` is what it has seen go wrong.

    `pause_s` is the longest time between two acknowledgements, the present one included. `verified`: the
    records that were found as they were written, None as long as not all have been looked at.
    """

    drill: str
    running: bool
    acknowledged: int = 0
    pause_s: float = 0.0
    verified: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class DrillWish:
    """What somebody, or the schedule, asks for; what is left out is chosen. Shares are those of 1."""

    kind: DrillKind
    node: str | None = None
    thing: str | None = None  # a pool, a disk or a provider
    hold_s: float | None = None
    limit_s: float | None = None
    share: float | None = None
    disturb: bool = False  # even a node with volumes in use
    wait_approval: bool = False
    restarts_scheduler: bool = False  # whoever asks starts the scheduler again
    who: str = ""
    schedule: str = ""


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill. Times are Unix time. `thing` is what is hit, on `node` if it is on one.

    `ending` is how it ends once everything is undone, and `verdict` says why. `undone` says how far
    undoing has come. `killer` names the scheduler process that was to kill itself.
    """

    id: str
    kind: DrillKind
    state: DrillState
    created_s: float
    changed_s: float
    thing: str
    node: str | None = None
    target: str = ""
    pool: PoolName | None = None
    writer_node: str = ""
    mount_path: str = ""
    hold_s: float = 0.0
    limit_s: float = 300.0
    amount_bytes: int = 0
    begin_by_s: float = 0.0
    wait_approval: bool = False
    expects: tuple[str, ...] = ()  # rules of which one has to fire
    who: str = ""
    schedule: str = ""
    because: str = ""  # why this very thing was chosen
    others_bytes: int = 0  # what others had written to the pool when it began to be filled
    killer: str = ""
    times: Mapping[Moment, float] = field(default_factory=dict)
    remedies: tuple[str, ...] = ()  # those that were raised meanwhile
    acknowledged: int = 0
    verified: int | None = None
    pause_s: float = 0.0
    uneasy_s: float = 0.0  # since when something is wrong that may be a moment's, 0: nothing is
    ending: DrillState | None = None
    verdict: str = ""

    @property
    def volume(self) -> str:
        """The name of its own volume."""
        return f"drill-{self.id}"

    def fault(self) -> Fault:
        """What the node's agent is told."""
        return Fault(self.id, self.kind, self.target, self.hold_s, self.amount_bytes, self.begin_by_s)


@dataclass(frozen=True, slots=True)
class DrillSchedule:
    """A drill that comes back. `between`: times of the day (UTC) in which it may begin; none: always."""

    name: DrillKind
    every_s: float
    between: tuple[QuietHours, ...] = ()
    node: str | None = None
    thing: str | None = None
    hold_s: float | None = None
    disturb: bool = False

    @property
    def wish(self) -> DrillWish:
        """What it asks for when it is due."""
        return DrillWish(
            self.name,
            self.node,
            self.thing,
            self.hold_s,
            disturb=self.disturb,
            who="the schedule",
            schedule=str(self.name),
        )


def faults_on(drills: Mapping[str, Drill], node: str) -> tuple[Fault, ...]:
    """Those that are to be on a node now."""
    return tuple(
        drill.fault()
        for _, drill in sorted(drills.items())
        if drill.node == node and drill.kind in ON_NODES and drill.state.has_fault
    )


def writer_on(drills: Mapping[str, Drill], node: str) -> DrillWriter | None:
    """Who is to use a drill's volume on a node now."""
    for _, drill in sorted(drills.items()):
        if drill.writer_node == node and drill.state.has_writer:
            verifying = drill.state is DrillState.VERIFYING
            mode = WriterMode.VERIFY if verifying else WriterMode.WRITE
            return DrillWriter(drill.id, drill.mount_path, mode)
    return None
