"""Providers that do not answer for a while, because a drill wants to see that nothing else waits for them."""

from __future__ import annotations

import threading
import time

from artesian.model.provided import DiskRequest, ProvidedDisk, Quote
from artesian.providers.port import DiskProvider


class Stalls:
    """Safe to use from several threads. A stall ends by itself, or when it is let go of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, tuple[float, threading.Event]] = {}

    def begin(self, name: str, seconds: float) -> None:
        """Let a provider not answer for so long from now, unless it does not already."""
        with self._lock:
            if name not in self._until:
                self._until[name] = (time.monotonic() + seconds, threading.Event())

    def end(self, name: str) -> None:
        """Let everything that waits go on."""
        with self._lock:
            found = self._until.pop(name, None)
        if found is not None:
            found[1].set()

    def end_all(self) -> None:
        """For whichever provider."""
        for name in list(self._until):
            self.end(name)

    def wait(self, name: str) -> None:
        """As long as a provider does not answer."""
        with self._lock:
            found = self._until.get(name)
        if found is not None:
            found[1].wait(max(0.0, found[0] - time.monotonic()))

    def before(self, name: str, provider: DiskProvider) -> DiskProvider:
        """The provider, behind a stall if there is one now."""
        return _Stalled(self, name, provider) if name in self._until else provider


class _Stalled:
    """Answers what the provider answers, once it may."""

    def __init__(self, stalls: Stalls, name: str, provider: DiskProvider) -> None:
        self._stalls = stalls
        self._name = name
        self._provider = provider

    def check(self) -> None:
        self._stalls.wait(self._name)
        self._provider.check()

    def quote(self, request: DiskRequest) -> Quote:
        self._stalls.wait(self._name)
        return self._provider.quote(request)

    def provide(self, request: DiskRequest) -> ProvidedDisk:
        self._stalls.wait(self._name)
        return self._provider.provide(request)

    def disks(self) -> tuple[ProvidedDisk, ...]:
        self._stalls.wait(self._name)
        return self._provider.disks()

    def release(self, disk_id: str) -> bool:
        self._stalls.wait(self._name)
        return self._provider.release(disk_id)
