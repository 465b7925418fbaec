"""What a journal needs of a service that several schedulers share, such as ZooKeeper or etcd.

Small cells by name, a lead that ends with its session, and writes that are refused to whoever has lost it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from artesian.model.errors import ArtesianError

HEAD = "head"
LOG = "log"
BLOBS = "blobs"


class Beaten(ArtesianError):
    """A condition did not hold: the lead is lost, or the head is another one. Nothing was written."""


class Unclear(ArtesianError):
    """There was no answer: it may have been done, and may even be done later."""


@dataclass(frozen=True, slots=True)
class Cell:
    """`version` changes with every write."""

    body: bytes
    version: int


class Keeper(Protocol):
    """Every verb raises StoreUnusable if it is certain that nothing was done. Usable from any thread."""

    shown: str  # what to call it, without secrets
    session_s: float  # for how long it keeps a lead of which it hears nothing

    def leader(self) -> bytes | None:
        """What the leader says of itself; None if nobody leads."""

    def take_lead(self, epoch: int, who: bytes, head: bytes, version: int | None) -> int:
        """Lead, and write the head, if nobody leads and the head has this version (None: there is none);
        the head's new version. Raises Beaten, Unclear."""

    def beat(self) -> None:
        """Let the lead last for another session. Raises Beaten if it is lost, Unclear."""

    def read(self, name: str) -> Cell | None:
        """One cell as it is now, not as it was a moment ago."""

    def names(self, folder: str) -> list[str]:
        """The cells of a folder, without the folder's name."""

    def write(self, cells: Mapping[str, bytes], head: bytes | None, version: int) -> int:
        """Make new cells, and write the head unless it is None, if we lead and the head has this version;
        the head's version then. A few cells, less than a MiB together. Raises Beaten, Unclear."""

    def delete(self, names: Collection[str]) -> None:
        """Cells that nobody needs any more; those that are gone already do not matter."""

    def erase(self) -> None:
        """Delete everything."""

    def close(self) -> None:
        """Give the lead back, as well as that can be done."""
