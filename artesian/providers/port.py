"""What the scheduler asks of a provider of disks. An adapter is a file, and passes the conformance suite."""

from __future__ import annotations

from typing import Protocol

from artesian.model.errors import ArtesianError
from artesian.model.provided import DiskRequest, ProvidedDisk, Quote


class ProviderUnreachable(ArtesianError):
    """The provider does not answer, or is throttled: nothing is known now. The same may be asked again."""


class ProviderRefused(ArtesianError):
    """The provider says no, in words; nothing was made."""


class DiskProvider(Protocol):
    """Every verb may be repeated, and returns within seconds."""

    def check(self) -> None:
        """Ask for nothing, to see whether anything could be asked for: whether it answers and lets us in.

        Raises ProviderRefused, with what is to be mended, or ProviderUnreachable.
        """

    def quote(self, request: DiskRequest) -> Quote:
        """What a request would give and cost, with all limits that are known beforehand; nothing is made.

        Raises ProviderUnreachable.
        """

    def provide(self, request: DiskRequest) -> ProvidedDisk:
        """Take a request one step further: make the disk, attach it. The disk of a token is made once.

        Raises ProviderRefused or ProviderUnreachable.
        """

    def disks(self) -> tuple[ProvidedDisk, ...]:
        """Every disk that was made for this cluster and is not gone. Raises ProviderUnreachable."""

    def release(self, disk_id: str) -> bool:
        """Take a disk one step further towards being gone: detach it, delete it; True when it is gone.

        Whoever asks has made sure that nothing is on it. Raises ProviderRefused or ProviderUnreachable.
        """
