"""What the scheduler asks of a cluster substrate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from artesian.model.errors import ArtesianError


class SubstrateUnusable(ArtesianError):
    """The substrate does not answer, or cannot be read: nothing new is known of its nodes."""


class NodeRefused(ArtesianError):
    """The substrate makes no such machine, has made nothing, and would say the same if asked again."""


@dataclass(frozen=True, slots=True)
class SubstrateNode:
    """A node that the substrate knows. `gone`: it is off for certain, and nothing of it writes any more."""

    name: str
    address: str
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    gone: bool = False
    cpus: float = 0.0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class AgentCredentials:
    """What an agent needs to find the scheduler and to be believed. Never logged, never an argument.

    `scheduler_url`: of all schedulers, with commas between them.
    """

    scheduler_url: str
    token: str
    engine_secret: str


class Substrate(Protocol):
    """Every verb may be repeated. All raise SubstrateUnusable."""

    def nodes(self) -> tuple[SubstrateNode, ...]:
        """Every node, also those that are gone."""

    def ensure_agent(self, node: str, credentials: AgentCredentials) -> bool:
        """Start the agent of a node that is not gone, if it does not run with these credentials; whether it
        was started. What an agent that runs with others has started goes on."""

    def stop_agent(self, node: str) -> bool:
        """End a node's agent; what it started goes on. Whether it ran."""


@runtime_checkable
class NodeMaker(Protocol):
    """What a substrate can do that gets machines by itself; not every one does."""

    def make_node(self, name: str, disk_bytes: Sequence[int]) -> None:
        """A bare machine of this name with raw disks of these sizes; nothing if there is one: the name is
        what keeps a repeated question from making two. Raises NodeRefused, SubstrateUnusable."""
