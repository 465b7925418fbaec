"""What a device's disk has to do before some requests can go on, done in threads while others go on.

A write to a chunk that is closed waits until the chunk is marked as open on stable storage; writes to the
same chunk wait behind it, so that every copy applies them in the same order. Slots are prepared before they
are needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from artesian.embedded.device.store import DeviceStore
from artesian.embedded.errors import DeviceError, NoSpace
from artesian.embedded.sds.service_times import ServiceTimes
from artesian.embedded.sds.session import DataSession, Handler
from artesian.embedded.wire import Request, Status

Key = tuple[int, int]  # volume, chunk
Held = tuple[Handler, DataSession, Request, bytes]


class DiskWork:
    """The threads' work for one device. `failed` is told when the disk fails."""

    __slots__ = ("_failed", "_loop", "_opening", "_store", "_tasks", "_times", "closed", "held")

    def __init__(self, store: DeviceStore, failed: Callable[[str], None], times: ServiceTimes) -> None:
        self._store = store
        self._times = times
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening = False
        self.closed = False
        self.held: dict[Key, list[Held]] = {}
        store.on_few_free = self._prepare

    def close(self) -> None:
        """The device is given up: what is held is never answered by it, and errors do not matter."""
        self.closed = True
        self._store.on_few_free = None
        self.held.clear()

    # --- opening chunks

    def hold(self, handler: Handler, session: DataSession, request: Request, payload: memoryview) -> None:
        """Carry the request out when its chunk is open, and after those that wait for the same chunk."""
        key = (request.volume, request.chunk)
        self.held.setdefault(key, []).append((handler, session, request, bytes(payload)))
        if not self._opening:
            self._opening = True
            self._start(self._open())

    async def _open(self) -> None:
        try:
            while self.held and not self.closed:
                await self._open_held()
        finally:
            self._opening = False

    async def _open_held(self) -> None:
        """Open the chunks of everything that is held now, in one go."""
        chunks = [(*key, max(held[2].generation for held in waiting)) for key, waiting in self.held.items()]
        opening = self._store.begin_opening(chunks)
        try:
            await self._loop.run_in_executor(None, self._times.measure, opening.work.run)
        except NoSpace:
            self._store.end_opening(opening)
            self._answer_held(Status.NO_SPACE)
            return
        except DeviceError as error:
            self._store.end_opening(opening)
            if not self.closed:
                self._failed(str(error))
            self._answer_held(Status.DEVICE_ERROR)
            return
        self._store.end_opening(opening)
        for volume, chunk, _ in chunks:
            for handler, session, request, payload in self.held.pop((volume, chunk), ()):
                if not session.is_closed:
                    handler(session, request, memoryview(payload))

    def _answer_held(self, status: Status) -> None:
        waiting = [held for requests in self.held.values() for held in requests]
        self.held.clear()
        for _, session, request, _ in waiting:
            session.reply(request.tag, status)

    # --- preparing slots

    def _prepare(self) -> None:
        preparing = self._store.begin_preparing()
        if preparing is None:
            return

        async def work() -> None:
            try:
                await self._loop.run_in_executor(None, preparing.run)
            except NoSpace:
                pass  # whoever needs the slots is told
            except DeviceError as error:
                if not self.closed:
                    self._failed(str(error))
            finally:
                self._store.end_preparing(preparing)

        self._start(work())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
