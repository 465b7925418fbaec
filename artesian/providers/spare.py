"""Disks that their nodes have already, and that nobody has claimed: free of charge, and there at once.

There is no I/O here. What is free the strategy judges; which token got which disk the framework remembers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from artesian.model.provided import DiskRequest, ProvidedDisk, ProvidedState, Quote
from artesian.model.sizes import format_size
from artesian.providers.port import ProviderRefused


@dataclass(frozen=True, slots=True)
class SpareDisk:
    """A disk by its identity: "wwn:…", "serial:…" and so on."""

    node: str
    identity: str
    size_bytes: int


class SpareProvider:
    """Gives out free disks: for a request the smallest that is big enough on its node, then by identity."""

    def __init__(
        self, free: Callable[[], Iterable[SpareDisk]], granted: Callable[[], Mapping[str, SpareDisk]]
    ) -> None:
        """`free`: the disks that may be taken now. `granted`: by token, those that were given out and kept.

        What is given out has to show in `granted` once it is stored, and no more when it is released. Until
        then this object remembers it; after a restart the same token is answered from what is free then.
        """
        self._free = free
        self._granted = granted
        self._lock = threading.Lock()
        self._given: dict[str, SpareDisk] = {}  # by token

    def check(self) -> None:
        """There is nobody to ask."""

    def quote(self, request: DiskRequest) -> Quote:
        """The size of the disk that a request would get."""
        try:
            with self._lock:
                return Quote(self._choose(request).size_bytes)
        except ProviderRefused as error:
            return Quote(refused=str(error))

    def provide(self, request: DiskRequest) -> ProvidedDisk:
        """The disk of a token, or the best one that is free. Raises ProviderRefused if there is none."""
        with self._lock:
            chosen = self._choose(request)
            self._given[request.token] = chosen
        return _provided(request.token, chosen)

    def disks(self) -> tuple[ProvidedDisk, ...]:
        """Every disk that was given out and is not released, by token."""
        with self._lock:
            return tuple(_provided(token, disk) for token, disk in sorted(self._taken().items()))

    def release(self, disk_id: str) -> bool:
        """A disk that is free again needs nothing done to it: True."""
        with self._lock:
            self._given = {token: disk for token, disk in self._given.items() if disk.identity != disk_id}
        return True

    def _taken(self) -> dict[str, SpareDisk]:
        granted = self._granted()
        self._given = {token: disk for token, disk in self._given.items() if token not in granted}
        return {**self._given, **granted}

    def _choose(self, request: DiskRequest) -> SpareDisk:
        taken = self._taken()
        mine = taken.get(request.token)
        if mine is not None:
            if mine.node != request.node:
                raise ProviderRefused(f"{request.token} is a disk of node {mine.node}, not of {request.node}")
            return mine
        identities = {disk.identity for disk in taken.values()}
        here = [d for d in self._free() if d.node == request.node and d.identity not in identities]
        fitting = [disk for disk in here if disk.size_bytes >= request.size_bytes]
        if not fitting:
            largest = max((disk.size_bytes for disk in here), default=0)
            rest = f"; its largest has {format_size(largest)}" if here else ""
            raise ProviderRefused(
                f"node {request.node} has no free disk of at least {format_size(request.size_bytes)}{rest}"
            )
        return min(fitting, key=lambda disk: (disk.size_bytes, disk.identity))


def _provided(token: str, disk: SpareDisk) -> ProvidedDisk:
    name = disk.identity.partition(":")[2]
    return ProvidedDisk(disk.identity, token, disk.node, disk.size_bytes, ProvidedState.ATTACHED, name)
