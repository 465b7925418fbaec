"""What the plugin needs of the scheduler and of its node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from artesian.model.errors import ArtesianError


class SchedulerAway(ArtesianError):
    """Nobody can be asked now. What was asked for may have been heard all the same."""


@dataclass(frozen=True, slots=True)
class VolumeSeen:
    """A volume as the scheduler tells of it. `because`: what it waits for, empty if it is as wished."""

    name: str
    size_bytes: int = 0
    pool: str = ""
    exists: bool = False
    node: str | None = None
    mount_path: str | None = None
    hold: str = ""
    generation: int = 0
    deleted: bool = False
    because: str = ""

    @staticmethod
    def of(document: Mapping[str, Any]) -> VolumeSeen:
        """Raises KeyError, TypeError or ValueError for what is none."""
        node, path = document["node"], document["mount_path"]
        return VolumeSeen(
            name=str(document["name"]),
            size_bytes=int(document["size_bytes"]),
            pool=str(document["pool"]),
            exists=bool(document["exists"]),
            node=str(node) if node is not None else None,
            mount_path=str(path) if path is not None else None,
            hold=str(document["hold"]),
            generation=int(document["generation"]),
            deleted=bool(document["deleted"]),
            because=str(document["because"]),
        )


@dataclass(frozen=True, slots=True)
class NewVolume:
    """What a volume is to be like that is made for a container."""

    size_bytes: int
    pool: str | None = None
    thick: bool = False
    fstype: str | None = None
    limit_iops: int = 0
    limit_bandwidth_bytes_per_s: int = 0
    preempt: bool = False


class Volumes(Protocol):
    """The scheduler. Everything raises SchedulerAway, or with its reason NotThere, Conflict, NotPossible."""

    def known(self, have: str) -> tuple[str, dict[str, int]] | None:
        """A digest, and the sizes of all volumes in bytes; None if that is as `have` says."""

    def find(self, name: str) -> VolumeSeen:
        """One volume, also one that is being deleted."""

    def create(self, name: str, wanted: NewVolume) -> None:
        """Wish for a volume; nothing changes if there is one."""

    def mount(self, name: str, path: str, hold: str, *, preempt: bool, force: bool) -> VolumeSeen:
        """Wish for it to be mounted on this node."""

    def release(self, name: str, hold: str) -> None:
        """Take that back."""

    def delete(self, name: str) -> None:
        """Wish for it to be no more."""


class OwnNode(Protocol):
    """What the plugin can see for itself."""

    @property
    def name(self) -> str:
        """The node's."""

    def mounted(self, volume: str, generation: int | None = None) -> str | None:
        """Where a volume that is assigned is mounted and alive; None if it is not, or not in this
        generation."""

    def for_containers(self) -> list[str]:
        """The volumes that are assigned only as long as containers use them."""

    def users(self, path: str) -> str:
        """Who really uses what is mounted at a path, as text; empty if nobody does."""


class Clock(Protocol):
    """Time, which tests have their own of."""

    def monotonic(self) -> float:
        """Seconds since some moment."""

    def since_boot(self) -> float:
        """Seconds that this run of the machine has lasted, those while it slept included."""

    def sleep(self, seconds: float) -> None:
        """Do nothing for so long."""
