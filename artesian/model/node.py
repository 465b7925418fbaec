"""Nodes of the cluster as they were seen last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from artesian.model.disk import Disk


class NodeState(StrEnum):
    """What is known of a node now."""

    ALIVE = "alive"  # its agent reports
    SILENT = "silent"  # its agent does not report: what was seen of it is stale
    GONE = "gone"  # it is gone for certain: the substrate or the cloud says so


@dataclass(frozen=True, slots=True)
class Node:
    """One machine of the cluster. `cpus` and `memory_bytes` are what may be used of it, 0 when unknown."""

    name: str
    address: str
    state: NodeState = NodeState.ALIVE
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    disks: tuple[Disk, ...] = ()
    cpus: float = 0.0
    memory_bytes: int = 0
    unreachable: bool = False  # the substrate has lost sight of it, and it may well run
    leaving: bool = False  # whoever runs the cluster wants it empty
    problem: str = ""  # why the substrate cannot use it as it is
    joined: bool = True  # whether somebody, or the policy, has agreed to use it
    in_maintenance: bool = False
