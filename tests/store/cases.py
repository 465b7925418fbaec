"""Stores of every kind, as the tests of them open them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path

from artesian.model.event import Event
from artesian.store.journal import JournalStore
from artesian.store.opening import open_store
from artesian.store.sqlite import SqliteStore
from artesian.store.url import read_store_url
from artesian.store.who import Who
from tests.patience import PATIENCE

AnyStore = SqliteStore | JournalStore
SESSION_S = 4.0  # machines that are busy with other tests make everybody slow
_paths = itertools.count(1)


class Place:
    """Where one test's store is. `server`: its URL without a path; None: a file."""

    def __init__(self, folder: Path, server: str | None) -> None:
        self._folder = folder
        self.server = server
        self.path = f"/test/{next(_paths)}"
        self._opened: list[AnyStore] = []

    @property
    def url(self) -> str:
        return f"{self.server}{self.path}?session_s={SESSION_S:g}"

    def open(self, name: str = "one", kept_events: int = 100_000, url: str | None = None) -> AnyStore:
        if self.server is None:
            store: AnyStore = SqliteStore(self._folder / "store.sqlite", kept_events)
        else:
            store = open_store(read_store_url(url or self.url), Who(name, f"http://{name}:8700"))
            store._kept = kept_events
        self._opened.append(store)
        return store

    def leading(self, name: str = "one", kept_events: int = 100_000, url: str | None = None) -> AnyStore:
        store = self.open(name, kept_events, url)
        store.lead()
        return store

    def close(self) -> None:
        for store in self._opened:
            store.close()


def event(because: str) -> Event:
    return Event("step", "AddDevice", because, at_s=12.5)


def wait_for(what: str, condition: Callable[[], bool], timeout_s: float = 20.0) -> float:
    """How long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout_s * PATIENCE, f"not in time: {what}"
        time.sleep(0.05)
    return time.monotonic() - began
