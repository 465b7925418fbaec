"""Raw disks as an agent sees them, and what the framework remembers of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Media(StrEnum):
    """What a disk is made of."""

    SSD = "ssd"
    HDD = "hdd"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class EngineLabel:
    """The superblock of a storage engine, of ours or of its kind, which is no foreign signature.

    `foreign`: others than the framework have made this device.
    """

    system_id: str
    device_id: str
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class DiskSays:
    """What a disk says of itself (SMART): whether it will fail, and why; empty if it will not."""

    failing: bool
    because: str = ""


@dataclass(frozen=True, slots=True)
class Disk:
    """Everything seen of a disk at one moment that decides whether it may be taken.

    `identity` stays with the disk wherever it is plugged in and whatever the system calls it: "wwn:…",
    "serial:…" or "uuid:…" (a superblock of ours). A disk that nothing but its name identifies has none.
    `unreadable` says which of these facts could not be found out, in words; empty if all could.
    """

    path: str
    identity: str | None
    size_bytes: int
    media: Media = Media.UNKNOWN
    model: str = ""
    read_only: bool = False
    is_system: bool = False  # the node boots from it, runs on it or swaps to it
    mounted_at: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()  # as libblkid and wipefs name them: "ext4", "gpt", "LVM2_member"
    label: EngineLabel | None = None
    other_paths: tuple[str, ...] = ()  # further names of the same disk: /dev/disk/by-id/…
    stable_path: str = ""  # a name that stays with the disk when the others change; empty if there is none
    unreadable: str = ""
    smart: DiskSays | None = None  # None: not known

    def is_called(self, path: str) -> bool:
        """Whether this is one of the disk's names on its node."""
        return path == self.path or path in self.other_paths


@dataclass(frozen=True, slots=True, order=True)
class PoolName:
    """A storage pool by the names of its domain and its own."""

    domain: str
    pool: str

    def __str__(self) -> str:
        return f"{self.domain}/{self.pool}"


@dataclass(frozen=True, slots=True)
class Claim:
    """A disk that was given to a pool: stored before it is written to, and kept until it is released.

    `path` is what its node called it then. What the node calls it now does not matter.
    """

    identity: str
    node: str
    path: str
    pool: PoolName
    size_bytes: int
    because: str
    try_again: bool = False  # its device has failed, and somebody wants it to be used again


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A disk that was removed, or has failed: it does not come back by itself."""

    identity: str
    because: str
