"""Disks that are got from somewhere: what is asked for, what it would cost, and how far it has come."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from artesian.model.disk import Disk


@dataclass(frozen=True, slots=True)
class DiskRequest:
    """A disk for a node. `token` names it for ever: asked for twice, it is made once."""

    token: str
    node: str
    address: str
    size_bytes: int  # at least
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # the node's


@dataclass(frozen=True, slots=True)
class Quote:
    """What would come of a request. `refused`: why it cannot be had, in words; empty if it can.

    `for_now`: only as the provider does not answer, which says nothing of what it would give.
    """

    size_bytes: int = 0  # in the provider's own steps
    cost_per_month: float = 0.0  # in the currency of the spec's prices
    lead_time_s: float = 0.0  # between asking and a disk that the node sees
    refused: str = ""
    for_now: bool = False


class ProvidedState(StrEnum):
    """How far a disk has come."""

    MAKING = "making"
    ATTACHING = "attaching"
    ATTACHED = "attached"
    STUCK = "stuck"  # it has been attaching or detaching for longer than it may
    RELEASING = "releasing"


@dataclass(frozen=True, slots=True)
class ProvidedDisk:
    """A disk that was made for us. `name`: its serial number, or the last part of its path on the node."""

    id: str
    token: str
    node: str
    size_bytes: int
    state: ProvidedState
    name: str
    cost_per_month: float = 0.0
    detail: str = ""

    def is_seen_as(self, disk: Disk) -> bool:
        """Whether this is the disk that its node reports."""
        names = (os.path.basename(path) for path in (disk.path, *disk.other_paths))
        serial = (disk.identity or "").partition(":")[2]
        return self.name == serial or any(one == self.name or one.endswith(f"_{self.name}") for one in names)
