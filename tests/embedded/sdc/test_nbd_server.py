"""The server on a real socket: who may come, who is sent away, and how it ends."""

from __future__ import annotations

import errno
import os
import random
import socket
import stat
import threading
import time
from pathlib import Path

import pytest

from artesian.embedded.errors import EngineError
from artesian.embedded.sdc.nbd import NbdServer
from artesian.embedded.sdc.nbd_constants import (
    NBD_CMD_FLUSH,
    NBD_CMD_READ,
    NBD_CMD_WRITE,
    NBD_REQUEST_MAGIC,
    REQUEST,
)
from tests.embedded.sdc.nbd_memory import HoldingExport, MemoryExport
from tests.embedded.sdc.nbd_running import BlockingClient, RunningServer, running_server

SIZE = 4 << 20


def wait_for(condition: object, what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.001)


# --- the socket


def test_only_the_owner_may_connect_and_the_socket_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "nbd.sock"
    with running_server(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_a_socket_that_nobody_serves_any_more_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "nbd.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    with running_server(path, MemoryExport("vol", SIZE)):
        assert BlockingClient(path, "vol").ask(NBD_CMD_READ, 0, 10).data == bytes(10)


def test_a_socket_that_is_served_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "nbd.sock"
    with running_server(path, MemoryExport("vol", SIZE)) as first:
        second = NbdServer(lambda name: None, list)
        with pytest.raises(EngineError, match="already serves"):
            first.wait(second.start(path))
        assert BlockingClient(path, "vol").ask(NBD_CMD_FLUSH).error == 0


def test_what_is_not_a_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    server = RunningServer(path)
    with pytest.raises(EngineError, match="not a socket"):
        server.loop.run_until_complete(server.server.start(path))
    server.loop.close()
    assert path.read_text() == "data"


def test_a_stopping_server_does_not_remove_its_successors_socket(tmp_path: Path) -> None:
    path = tmp_path / "nbd.sock"
    with running_server(path):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
    assert path.exists()


# --- exports come and go


def test_exports_are_looked_up_when_a_client_comes(tmp_path: Path) -> None:
    path = tmp_path / "nbd.sock"
    with running_server(path) as running:
        with pytest.raises(ConnectionError):
            BlockingClient(path, "late")
        running.exports["late"] = MemoryExport("late", SIZE)
        assert BlockingClient(path, "late").ask(NBD_CMD_READ, 0, 10).data == bytes(10)


def test_connections_are_counted_by_export(tmp_path: Path) -> None:
    path = tmp_path / "nbd.sock"
    with running_server(path, MemoryExport("one", SIZE), MemoryExport("two", SIZE)) as running:
        count = running.server.connection_count
        clients = [BlockingClient(path, "one") for _ in range(3)]
        assert (running.call(count, "one"), running.call(count, "two")) == (3, 0)
        clients[0].close()
        wait_for(lambda: running.call(count, "one") == 2, "a closed connection does not count")


def test_dropping_an_export_closes_its_connections_only(tmp_path: Path) -> None:
    path = tmp_path / "nbd.sock"
    export, other = HoldingExport("vol", SIZE), MemoryExport("other", SIZE)
    with running_server(path, export, other) as running:
        clients = [BlockingClient(path, "vol") for _ in range(2)]
        bystander = BlockingClient(path, "other")
        clients[0].send(NBD_CMD_READ, 0, 4096)
        wait_for(lambda: export.held, "the request arrives")
        running.call(running.server.drop_export, "vol")
        assert [client.is_closed_by_server() for client in clients] == [True, True]
        assert running.call(running.server.connection_count, "vol") == 0
        running.call(export.release)
        assert bystander.ask(NBD_CMD_READ, 0, 10).data == bytes(10)


def test_an_export_is_dropped_by_the_name_that_it_has_now(tmp_path: Path) -> None:
    path = tmp_path / "nbd.sock"
    export = MemoryExport("before", SIZE)
    with running_server(path, export) as running:
        client = BlockingClient(path, "before")
        export.name = "after"
        running.call(running.server.drop_export, "before")
        assert client.ask(NBD_CMD_READ, 0, 10).data == bytes(10)
        running.call(running.server.drop_export, "after")
        assert client.is_closed_by_server()


# --- several connections


def test_all_connections_reach_the_same_export(tmp_path: Path) -> None:
    path = tmp_path / "nbd.sock"
    export = MemoryExport("vol", SIZE)
    with running_server(path, export):
        one, two = BlockingClient(path, "vol"), BlockingClient(path, "vol", structured=False)
        assert one.ask(NBD_CMD_WRITE, 5, data=b"hello").error == 0
        assert two.ask(NBD_CMD_READ, 5, 5).data == b"hello"
        assert two.ask(NBD_CMD_FLUSH).error == 0
        assert export.flushes == 1


def test_large_reads_and_writes_survive_slow_sockets(tmp_path: Path) -> None:
    path = tmp_path / "nbd.sock"
    data = random.Random(3).randbytes(3 << 20)
    with running_server(path, MemoryExport("vol", SIZE)):
        for structured in (False, True):
            client = BlockingClient(path, "vol", structured=structured)
            assert client.ask(NBD_CMD_WRITE, 11, data=data).error == 0
            numbers = [client.send(NBD_CMD_READ, 11, len(data)) for _ in range(8)]
            assert all(client.answer(number).data == data for number in numbers)


# --- a client that misbehaves does not harm the others


def test_a_client_that_asks_and_never_reads_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "nbd.sock"
    with running_server(path, MemoryExport("vol", SIZE)):
        deaf = BlockingClient(path, "vol")
        deaf.socket.setblocking(False)
        message = REQUEST.pack(NBD_REQUEST_MAGIC, 0, NBD_CMD_READ, bytes(8), 0, SIZE) * 50
        with pytest.raises(BlockingIOError):
            while True:
                deaf.socket.send(message)
        assert BlockingClient(path, "vol").ask(NBD_CMD_READ, 0, SIZE).data == bytes(SIZE)
        deaf.close()


def test_clients_that_vanish_at_any_moment_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "nbd.sock"
    rng = random.Random(5)
    export = HoldingExport("vol", SIZE)
    with running_server(path, export) as running:
        for _ in range(30):
            client = BlockingClient(path, "vol")
            for _ in range(rng.randrange(4)):
                client.send(rng.choice((NBD_CMD_READ, NBD_CMD_FLUSH)), 0, 0)
                client.send(NBD_CMD_WRITE, 0, data=bytes(rng.choice((10, 70_000))))
            client.socket.sendall(os.urandom(rng.randrange(28)))
            client.close()
            if rng.random() < 0.5:
                running.call(export.release)
        running.call(export.release)
        wait_for(lambda: not running.server._connections, "connections are forgotten")


# --- stopping


def test_stopping_answers_what_is_under_way(tmp_path: Path) -> None:
    path = tmp_path / "nbd.sock"
    export = HoldingExport("vol", SIZE)
    with running_server(path, export) as running:
        client, idle = BlockingClient(path, "vol"), BlockingClient(path, "vol")
        number = client.send(NBD_CMD_READ, 0, 4096)
        wait_for(lambda: export.held, "the request arrives")
        stopping = threading.Thread(target=lambda: running.wait(running.server.stop(grace_s=10)))
        stopping.start()
        assert idle.is_closed_by_server()
        assert client.ask(NBD_CMD_FLUSH).error == errno.ESHUTDOWN
        with pytest.raises(OSError):
            BlockingClient(path, "vol")
        running.call(export.release)
        assert client.answer(number).data == bytes(4096)
        assert client.is_closed_by_server()
        stopping.join(10)
        assert not stopping.is_alive()


def test_stopping_does_not_wait_longer_than_its_grace(tmp_path: Path) -> None:
    path = tmp_path / "nbd.sock"
    export = HoldingExport("vol", SIZE)
    with running_server(path, export) as running:
        client = BlockingClient(path, "vol")
        client.send(NBD_CMD_READ, 0, 4096)
        wait_for(lambda: export.held, "the request arrives")
        running.wait(running.server.stop(grace_s=0.01))
        assert client.is_closed_by_server()
        running.call(export.release)


def test_a_server_that_was_never_started_can_be_stopped(tmp_path: Path) -> None:
    running = RunningServer(tmp_path / "nbd.sock")
    running.loop.run_until_complete(running.server.stop())
    running.loop.close()
