"""One ZooKeeper and one etcd for all tests of a worker: they take seconds to start."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.store.cases import Place
from tests.store.servers import EtcdServer, Server, ZooKeeperServer, no_etcd, no_zookeeper


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """The server of a kind, started when it is first asked for."""
    started: dict[str, ZooKeeperServer | EtcdServer] = {}

    def get(kind: str) -> ZooKeeperServer | EtcdServer:
        missing = no_zookeeper() if kind == "zookeeper" else no_etcd()
        if missing:
            pytest.skip(missing)
        if kind not in started:
            folder = tmp_path_factory.mktemp(kind) / "one"
            started[kind] = ZooKeeperServer(folder) if kind == "zookeeper" else EtcdServer(folder)
            started[kind].start()
        return started[kind]

    yield get
    for server in started.values():
        server.kill()


@pytest.fixture(params=["sqlite", "zookeeper", "etcd"])
def place(request: pytest.FixtureRequest, tmp_path, shared) -> Iterator[Place]:
    """Of every kind."""
    made = Place(tmp_path, None if request.param == "sqlite" else shared(request.param).url)
    yield made
    made.close()


@pytest.fixture(params=["zookeeper", "etcd"])
def far_place(request: pytest.FixtureRequest, tmp_path, shared) -> Iterator[Place]:
    """Of those that several schedulers share."""
    made = Place(tmp_path, shared(request.param).url)
    yield made
    made.close()
