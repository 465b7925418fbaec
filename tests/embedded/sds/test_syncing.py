"""Flushes in threads: nobody is told too early."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from artesian.embedded.errors import DeviceIoError
from artesian.embedded.sds.service_times import ServiceTimes


class SlowStore:
    """Each sync waits until it is let go, and remembers what had been written when it began."""

    def __init__(self) -> None:
        self.written = 0
        self.synced: list[int] = []
        self.gate = threading.Semaphore(0)
        self.error: Exception | None = None

    def begin_sync(self) -> int:
        self.covered = self.written
        return self.covered

    def end_sync(self, token: int) -> None:
        self.synced.append(token)

    def abandon_sync(self, token: int) -> None:
        pass

    def sync_disk(self) -> None:
        assert self.gate.acquire(timeout=5)
        if self.error is not None:
            raise self.error


async def _write(store: SlowStore, syncer: object) -> None:
    store.written += 1
    syncer.dirty = True  # type: ignore[attr-defined]


def test_who_writes_after_a_sync_began_waits_for_the_next() -> None:
    from artesian.embedded.sds.syncing import Syncer

    async def story() -> None:
        store = SlowStore()
        syncer = Syncer(store, ServiceTimes(time.monotonic))  # type: ignore[arg-type]
        await _write(store, syncer)
        first = asyncio.create_task(syncer.sync())
        await asyncio.sleep(0.01)
        await _write(store, syncer)
        second = asyncio.create_task(syncer.sync())
        third = asyncio.create_task(syncer.sync())
        await asyncio.sleep(0.01)
        store.gate.release()
        await first
        await asyncio.sleep(0.01)
        assert not second.done()
        assert not third.done()
        store.gate.release()
        await asyncio.gather(second, third)
        assert store.synced == [1, 2]

    asyncio.run(story())


def test_a_clean_device_is_not_synced() -> None:
    from artesian.embedded.sds.syncing import Syncer

    async def story() -> None:
        store = SlowStore()
        syncer = Syncer(store, ServiceTimes(time.monotonic))  # type: ignore[arg-type]
        store.gate.release()
        await syncer.sync()
        assert store.synced == [0], "what an earlier process left unsynced is synced first"
        await syncer.sync()
        assert store.synced == [0]

    asyncio.run(story())


def test_who_flushes_while_an_equal_sync_runs_waits_for_that_one() -> None:
    from artesian.embedded.sds.syncing import Syncer

    async def story() -> None:
        store = SlowStore()
        syncer = Syncer(store, ServiceTimes(time.monotonic))  # type: ignore[arg-type]
        await _write(store, syncer)
        tasks = [asyncio.create_task(syncer.sync()) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in tasks)
        store.gate.release()
        await asyncio.gather(*tasks)
        assert store.synced == [1]

    asyncio.run(story())


def test_a_failed_sync_is_told_to_everyone_and_not_forgotten() -> None:
    from artesian.embedded.sds.syncing import Syncer

    async def story() -> None:
        store = SlowStore()
        syncer = Syncer(store, ServiceTimes(time.monotonic))  # type: ignore[arg-type]
        await _write(store, syncer)
        store.error = DeviceIoError("the disk is gone")
        store.gate.release()
        store.gate.release()
        for _ in range(2):
            with pytest.raises(DeviceIoError):
                await syncer.sync()

    asyncio.run(story())
