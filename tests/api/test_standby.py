"""A scheduler that waits: it says who leads, leads when it can, and ends when it is told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from artesian.api import standby as module
from artesian.api.standby import Ending, Standby
from artesian.store.port import NotLeading, StoreUnusable


class Store:
    """`why`: why it cannot lead."""

    def __init__(self, why: Exception | None) -> None:
        self.why = why
        self.closed = False

    def lead(self) -> None:
        if self.why is not None:
            raise self.why

    def close(self) -> None:
        self.closed = True


TAKEN = NotLeading("scheduler 1 (http://h:1) leads", "http://h:1")


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.setattr(module, "_LOOK_S", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


class Waiting:
    """Standby in a thread of its own."""

    def __init__(self, listening: socket.socket, *stores: Store) -> None:
        rest: Any = iter(stores[1:])
        self.ending = Ending()
        self.standby = Standby(stores[0], lambda: next(rest))  # type: ignore[arg-type]
        self.found: Any = "nothing yet"
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self.thread = threading.Thread(target=self._wait, args=(listening,))
        self.thread.start()

    def _wait(self, listening: socket.socket) -> None:
        self.found = self.standby.wait(listening, self.ending)

    def ends(self) -> Any:
        self.thread.join(20.0)
        assert not self.thread.is_alive()
        return self.found


def test_it_says_who_leads_and_leads_when_it_can(listening: socket.socket) -> None:
    store = Store(TAKEN)
    waiting = Waiting(listening, store)
    with httpx.Client(base_url=waiting.url, trust_env=False) as client:
        health = client.get("/healthz").json()
        assert (health["alive"], health["leading"], health["leader"]) == (True, False, "http://h:1")
        for method, path in (("GET", "/v1/volumes"), ("PUT", "/v1/agents/n1/report"), ("POST", "/v1/passes")):
            answer = client.request(method, path)
            assert (answer.status_code, answer.json()["title"]) == (503, "not-leading")
            assert answer.json()["detail"].endswith("scheduler 1 (http://h:1) leads")
    store.why = None
    assert waiting.ends() is store
    assert not store.closed


def test_a_store_that_is_away_is_opened_anew(listening: socket.socket) -> None:
    away, back = Store(TAKEN), Store(None)
    waiting = Waiting(listening, away, back)
    away.why = StoreUnusable("nobody answers")
    assert waiting.ends() is back
    assert away.closed


def test_it_ends_when_it_is_told_to(listening: socket.socket) -> None:
    store = Store(TAKEN)
    waiting = Waiting(listening, store)
    waiting.ending.tell()
    assert waiting.ends() is None
    assert store.closed


def test_what_is_told_too_early_is_heard(listening: socket.socket) -> None:
    ending = Ending()
    ending.tell()
    store: Any = Store(TAKEN)
    assert Standby(store, lambda: store).wait(listening, ending) is None
    assert store.closed
