"""Flushing devices in threads, so that requests go on meanwhile."""

from __future__ import annotations

import asyncio

from artesian.embedded.device.space import SyncToken
from artesian.embedded.device.store import DeviceStore
from artesian.embedded.errors import DeviceError
from artesian.embedded.sds.service_times import ServiceTimes


class Syncer:
    """Runs a device's sync in a thread, one at a time.

    Whoever writes to the device sets `dirty`. Who asks for a sync while one runs waits for the next if
    something was written since that one began; all of them share that next one.
    """

    __slots__ = ("_loop", "_next", "_running", "_store", "_times", "dirty")

    def __init__(self, store: DeviceStore, times: ServiceTimes) -> None:
        self._store = store
        self._times = times
        self._loop = asyncio.get_running_loop()
        self._running: asyncio.Future[None] | None = None
        self._next: asyncio.Future[None] | None = None
        self.dirty = True  # an earlier process may have left writes in the page cache

    async def sync(self) -> None:
        """Return when everything written until now is on stable storage; raises DeviceError."""
        while self._running is not None and self.dirty:
            if self._next is None:
                self._next = self._loop.create_future()
            waiting = self._next
            await waiting
        if self._running is not None:
            await asyncio.shield(self._running)
        elif self.dirty:
            await asyncio.shield(self._start())

    def _start(self) -> asyncio.Future[None]:
        self.dirty = False
        self._running = self._loop.create_future()
        self._running.add_done_callback(lambda done: done.exception())
        token = self._store.begin_sync()
        in_thread = self._loop.run_in_executor(None, self._times.measure, self._store.sync_disk)
        in_thread.add_done_callback(lambda done: self._finished(done, token))
        return self._running

    def _finished(self, done: asyncio.Future[None], token: SyncToken) -> None:
        running, self._running = self._running, None
        assert running is not None
        error = done.exception()
        if error is None:
            self._store.end_sync(token)
            running.set_result(None)
        else:
            self._store.abandon_sync(token)
            self.dirty = True
            running.set_exception(error if isinstance(error, DeviceError) else DeviceError(str(error)))
        if self._next is not None:
            waiting, self._next = self._next, None
            waiting.set_result(None)
