"""What the scheduler asks of a cluster substrate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from artesian.model.errors import ArtesianError
from artesian.model.resources import Resources
from artesian.model.standing import NodeStanding


class SubstrateUnusable(ArtesianError):
    """The substrate does not answer, or cannot be read: nothing new is known of its nodes."""


class NodeRefused(ArtesianError):
    """The substrate makes no such machine, has made nothing, and would say the same if asked again."""


@dataclass(frozen=True, slots=True)
class SubstrateNode:
    """A node that the substrate knows. `gone`: it is off for certain, and nothing of it writes any more.

    `unreachable`: the substrate has lost sight of it, and it may well run. `leaving`: whoever runs the
    cluster wants it empty. `problem`: why it cannot be used as it is, in words. `cpus` and `memory_bytes` are
    what may be used of it, 0 when unknown.
    """

    name: str
    address: str
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    gone: bool = False
    cpus: float = 0.0
    memory_bytes: int = 0
    unreachable: bool = False
    leaving: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class AgentCredentials:
    """What an agent needs to find the scheduler and to be believed. Never logged, never an argument.

    `scheduler_url`: of all schedulers, with commas between them.
    """

    scheduler_url: str
    token: str
    engine_secret: str


_NO_ROLES: Mapping[str, Resources] = MappingProxyType({})


class Substrate(Protocol):
    """Every verb may be repeated. All raise SubstrateUnusable."""

    def nodes(self) -> tuple[SubstrateNode, ...]:
        """Every node, also those that are gone."""

    def ensure_agent(
        self, node: str, credentials: AgentCredentials, roles: Mapping[str, Resources] = _NO_ROLES
    ) -> bool:
        """Start the agent of a node that is not gone, if it does not run with these credentials; whether this
        call has begun that. What an agent that runs with others has started goes on.

        `roles`: what the node does for the engine, and what that takes, which a substrate that shares its
        nodes with others keeps free for it.
        """

    def stop_agent(self, node: str) -> bool:
        """End a node's agent; what it started goes on. Whether it ran."""

    def listen(self, listener: Callable[[], None]) -> None:
        """Be called, in any thread, when something new is known; not every substrate ever does."""

    def leave(self) -> list[str]:
        """End all agents, and give back whatever is kept for them; what was done, in words. What agents have
        started goes on."""

    def close(self) -> None:
        """Let go of threads and connections; everything goes on."""


@dataclass(frozen=True, slots=True)
class TaskWanted:
    """An ordinary program on a node, beside the storage. `command` is the program and its arguments."""

    id: str
    node: str
    command: tuple[str, ...]
    resources: Resources
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class TaskState(StrEnum):
    """What is known of a task."""

    STARTING = "starting"
    RUNNING = "running"
    UNREACHABLE = "unreachable"  # its node is; it may well run
    ENDED = "ended"  # by itself, and all was well
    FAILED = "failed"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class TaskSeen:
    """A task as the substrate last saw it; `because` says why it is so, if anything is known."""

    id: str
    node: str
    state: TaskState
    because: str = ""


@runtime_checkable
class TaskRunner(Protocol):
    """A substrate that runs ordinary programs. Every verb may be repeated. All raise SubstrateUnusable."""

    def launch_task(self, task: TaskWanted) -> None:
        """Have it run on its node, as soon as there is room; nothing if there is one of this id."""

    def tasks(self) -> tuple[TaskSeen, ...]:
        """Every task that was launched and not yet forgotten."""

    def kill_task(self, task: str) -> None:
        """End it: first kindly, after some seconds by force; then, and for one that has ended, forget it."""


class SubstrateMemory(Protocol):
    """Where a substrate keeps what it has to know after a restart. Everything raises StoreUnusable."""

    def confirm(self) -> None:
        """Nobody else can lead. Raises NotLeading."""

    def load(self) -> Mapping[str, str]:
        """All of it."""

    def save(self, changes: Mapping[str, str | None]) -> None:
        """Store texts by key (None: remove), all or nothing."""


@runtime_checkable
class NodeKeeper(Protocol):
    """What a substrate can do that does more with a node than to have it; not every one does."""

    def hear(self, standings: Mapping[str, NodeStanding]) -> None:
        """How it is with every node, by name, after each pass: when one may go, or its agent be renewed."""


@runtime_checkable
class NodeMaker(Protocol):
    """What a substrate can do that gets machines by itself; not every one does."""

    def make_node(self, name: str, disk_bytes: Sequence[int]) -> None:
        """A bare machine of this name with raw disks of these sizes; nothing if there is one: the name is
        what keeps a repeated question from making two. Raises NodeRefused, SubstrateUnusable."""
