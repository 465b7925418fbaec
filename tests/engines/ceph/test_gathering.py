"""What the manager daemon tells, and for how long it counts."""

from __future__ import annotations

import socket
from typing import Any, cast

import pytest

from artesian.engines.ceph import gathering
from artesian.engines.ceph.gathering import Gatherer
from artesian.engines.ceph.session import CephSession


class Clock:
    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(gathering, "time", made)
    return made


class Session:
    """A cluster whose disks tell of these latencies, in milliseconds by number, and of nothing else."""

    def __init__(self) -> None:
        self.latencies: dict[int, int] = {}

    def ask(self, prefix: str, **_: Any) -> Any:
        if prefix == "mgr stat":
            return {"available": True}
        if prefix == "osd perf":
            told = [
                {"id": osd, "perf_stats": {"commit_latency_ns": ms * 1_000_000}}
                for osd, ms in self.latencies.items()
            ]
            return {"osdstats": {"osd_perf_infos": told}}
        return {"nodes": [], "pg_stats": []} if prefix != "osd pool stats" else []


def latencies(gatherer: Gatherer) -> dict[int, int]:
    """In milliseconds."""
    return {
        one["id"]: one["perf_stats"]["commit_latency_ns"] // 1_000_000
        for one in gatherer._measured().latencies
    }


def test_a_disk_that_has_completed_nothing_just_now_is_as_slow_as_it_was(clock: Clock) -> None:
    session = Session()
    gatherer = Gatherer(cast(CephSession, session))
    session.latencies = {0: 3000, 1: 2, 2: 0}
    assert latencies(gatherer) == {0: 3000, 1: 2}
    session.latencies = {0: 0, 1: 3, 2: 0}
    clock.now_s += 30
    assert latencies(gatherer) == {0: 3000, 1: 3}
    clock.now_s += 31
    assert latencies(gatherer) == {1: 3}


def test_a_disk_that_is_not_there_any_more_has_none(clock: Clock) -> None:
    session = Session()
    gatherer = Gatherer(cast(CephSession, session))
    session.latencies = {0: 5, 1: 2}
    assert latencies(gatherer) == {0: 5, 1: 2}
    session.latencies = {1: 2}
    assert latencies(gatherer) == {1: 2}


class Quorum:
    """Monitors by name, and who says that he is connected to each."""

    def __init__(self, connected: dict[str, list[str]]) -> None:
        self.connected = connected
        self.asked: list[str] = []

    def ask(self, prefix: str, *, monitor: str) -> Any:
        assert prefix == "sessions"
        self.asked.append(monitor)
        return [{"entity_name": one} for one in self.connected[monitor]]


def monitor(name: str, rank: int, port: int) -> dict[str, Any]:
    addresses = [{"type": "v2", "addr": f"127.0.0.1:{port}", "nonce": 0}]
    return {"name": name, "rank": rank, "public_addrs": {"addrvec": addresses}}


def test_a_monitor_that_has_died_is_not_asked_who_is_connected_to_it() -> None:
    quorum = Quorum({"a": ["client.1"], "b": ["client.2"], "c": ["client.3"]})
    with socket.create_server(("127.0.0.1", 0)) as there, socket.create_server(("127.0.0.1", 0)) as dies:
        alive, dead = there.getsockname()[1], dies.getsockname()[1]
        dies.close()
        dump = {
            "mons": [monitor("a", 0, alive), monitor("b", 1, dead), monitor("c", 2, alive)],
            "quorum": [0, 1],
        }
        found = gathering.sessions(cast(CephSession, quorum), dump)
    assert found == [{"entity_name": "client.1"}]
    assert quorum.asked == ["a"]
