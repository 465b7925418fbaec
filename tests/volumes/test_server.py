"""The plugin's socket, with the very bytes that Docker, podman and dvdcli send."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artesian.volumes.protocol import VolumeDriver
from artesian.volumes.server import PluginServer
from tests.patience import eventually
from tests.volumes.cases import NODE, Machine


class Plugin:
    """A machine with one volume, and its plugin's socket."""

    def __init__(self, folder: Path) -> None:
        self.machine = Machine(folder)
        self.machine.cluster.put("v")
        self.path = folder / "p" / "artesian.sock"
        self.server = PluginServer(self.path, VolumeDriver(self.machine.service))

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        connection.connect(str(self.path))
        return connection

    def send(self, request: bytes) -> tuple[int, Any]:
        """One request as it is; status and document of the answer."""
        with self.connect() as connection:
            connection.sendall(request)
            return read(connection)

    def post(self, call: str, body: Any = None) -> tuple[int, Any]:
        content = json.dumps(body).encode() if body is not None else b""
        head = f"POST /{call} HTTP/1.1\r\nHost: \r\nContent-Length: {len(content)}\r\n\r\n"
        return self.send(head.encode() + content)


def read(connection: socket.socket) -> tuple[int, Any]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        assert more, "the connection has ended without an answer"
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:"))
    while len(body) < length:
        body += connection.recv(4096)
    return int(head.split()[1]), json.loads(body)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    monkeypatch.chdir(tmp_path)
    made = Plugin(tmp_path)
    made.path = Path("p/artesian.sock")  # the kernel limits the length of sockets' paths
    made.server = PluginServer(made.path, VolumeDriver(made.machine.service))
    assert made.server.ensure() == ""
    yield made
    made.server.close()


def test_docker_asks_without_a_content_type_and_without_a_host(plugin: Plugin) -> None:
    accept = "Accept: application/vnd.docker.plugins.v1.2+json"
    head = f"POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nUser-Agent: Go-http-client/1.1\r\n{accept}\r\n"
    assert plugin.send(f"{head}Content-Length: 0\r\n\r\n".encode()) == (200, {"Implements": ["VolumeDriver"]})
    assert plugin.post("VolumeDriver.Capabilities", {}) == (200, {"Capabilities": {"Scope": "global"}})


def test_podman_asks_without_a_body(plugin: Plugin) -> None:
    for call, key in (("Plugin.Activate", "Implements"), ("VolumeDriver.List", "Volumes")):
        request = f"POST /{call} HTTP/1.1\r\nHost: plugin\r\n\r\n"
        status, answer = plugin.send(request.encode())
        assert status == 200
        assert answer[key]


def test_a_body_may_come_in_pieces(plugin: Plugin) -> None:
    head = b"POST /VolumeDriver.Get HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    status, answer = plugin.send(head + b'4\r\n{"Na\r\n8\r\nme":"v"}\r\n0\r\n\r\n')
    assert (status, answer["Volume"]["Name"]) == (200, "v")


def test_a_connection_serves_several_requests(plugin: Plugin) -> None:
    with plugin.connect() as connection:
        for _ in range(3):
            connection.sendall(b"POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\n\r\n")
            assert read(connection)[0] == 200


def test_the_life_of_a_volume(plugin: Plugin) -> None:
    assert plugin.post("VolumeDriver.Create", {"Name": "new", "Opts": {"size": "2"}}) == (200, {"Err": ""})
    assert plugin.post("VolumeDriver.Create", {"Name": "new", "Opts": None}) == (200, {"Err": ""})
    path = plugin.machine.path("new")
    mounted = plugin.post("VolumeDriver.Mount", {"Name": "new", "ID": "a" * 64})
    assert mounted == (200, {"Mountpoint": path, "Err": ""})
    assert plugin.post("VolumeDriver.Path", {"Name": "new"})[1]["Mountpoint"] == path
    status, answer = plugin.post("VolumeDriver.Get", {"Name": "new"})
    assert (status, answer["Volume"]["Mountpoint"]) == (200, path)
    assert answer["Volume"]["Status"]["size"] == "2 GiB"
    listed = plugin.post("VolumeDriver.List", {})[1]["Volumes"]
    assert listed == [{"Name": "new", "Mountpoint": path}, {"Name": "v", "Mountpoint": ""}]
    assert plugin.post("VolumeDriver.Unmount", {"Name": "new", "ID": "a" * 64}) == (200, {"Err": ""})
    assert plugin.post("VolumeDriver.Path", {"Name": "new"})[1]["Mountpoint"] == ""
    assert plugin.post("VolumeDriver.Remove", {"Name": "new"}) == (200, {"Err": ""})
    assert "new" not in plugin.machine.cluster.volumes


@pytest.mark.parametrize("call", ["Create", "Remove", "Mount", "Unmount", "Path", "Get"])
@pytest.mark.parametrize("body", [None, {}, {"Name": ""}, {"Name": None}, {"Name": 7}, [], "v"])
def test_errors_have_a_status_of_their_own_and_a_sentence(plugin: Plugin, call: str, body: Any) -> None:
    status, answer = plugin.post(f"VolumeDriver.{call}", body)
    assert (status, list(answer)) == (500, ["Err"])
    assert answer["Err"]
    assert plugin.machine.cluster.asked == []


def test_what_is_refused_is_an_error(plugin: Plugin) -> None:
    plugin.machine.cluster.put("v", node="n2", mount_path="/m")
    for call, body, words in (
        ("Get", {"Name": "nope"}, "there is no volume nope"),
        ("Mount", {"Name": "v", "ID": "a"}, "mounted at /m of node n2"),
        ("Create", {"Name": "w", "Opts": {"colour": "red"}}, "there is no option 'colour'"),
        ("Create", {"Name": "w", "Opts": {"size": 7}}, "Opts is no object of texts"),
        ("Remove", {"Name": "v"}, "detach it first"),
    ):
        status, answer = plugin.post(f"VolumeDriver.{call}", body)
        assert status == 500
        assert words in answer["Err"]
        assert "\n" not in answer["Err"]


def test_a_mistake_of_ours_is_an_error_too(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin.machine.cluster, "find", lambda name: 1 // 0)
    status, answer = plugin.post("VolumeDriver.Get", {"Name": "v"})
    assert status == 500
    assert "a mistake in Artesian itself: ZeroDivisionError" in answer["Err"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /Volume.Nope HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 404),
        (b"GET /Plugin.Activate HTTP/1.1\r\n\r\n", 405),
        (b"POST /VolumeDriver.Get HTTP/1.1\r\nContent-Length: 3\r\n\r\n{x}", 500),
        (b"POST /VolumeDriver.Get HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 400),
        (b"POST /VolumeDriver.Get HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"POST /VolumeDriver.Get HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /VolumeDriver.Get HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
def test_what_is_no_request_is_refused(plugin: Plugin, request_: bytes, status: int) -> None:
    answer = plugin.send(request_)
    assert answer[0] == status
    assert answer[1]["Err"]


def test_what_is_nested_without_an_end_is_refused_as_such(plugin: Plugin) -> None:
    body = b"[" * 200_000
    head = b"POST /VolumeDriver.Get HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    status, answer = plugin.send(head + body)
    assert (status, answer["Err"]) == (500, "the request is no JSON of ours: it is nested too deeply")


def test_whoever_goes_before_the_answer_uses_nothing(plugin: Plugin) -> None:
    plugin.machine.node.hangs = True
    gone = threading.Event()

    def wait() -> None:
        gone.wait(10)
        plugin.machine.node.hangs = False

    plugin.machine.clock.then = wait
    body = b'{"Name":"v","ID":"a"}'
    with plugin.connect() as connection:
        connection.sendall(
            b"POST /VolumeDriver.Mount HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        eventually(lambda: plugin.machine.where("v") == NODE)
    gone.set()
    eventually(lambda: (entry := plugin.machine.uses.find("v")) is not None and not entry.uses)
    assert plugin.post("Plugin.Activate")[0] == 200


# --- the socket itself


def test_only_root_may_connect(plugin: Plugin) -> None:
    assert plugin.path.stat().st_mode & 0o777 == 0o600


def test_a_socket_that_was_left_behind_is_replaced(plugin: Plugin) -> None:
    plugin.server.close()
    assert not plugin.path.exists()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(plugin.path))
    assert plugin.server.ensure() == ""
    assert plugin.post("Plugin.Activate")[0] == 200


def test_a_socket_that_lives_is_not_taken(plugin: Plugin) -> None:
    other = PluginServer(plugin.path, VolumeDriver(plugin.machine.service))
    assert "another program serves p/artesian.sock already" in other.ensure()
    other.close()
    assert plugin.post("Plugin.Activate")[0] == 200
    plugin.server.close()
    assert other.ensure() == ""
    other.close()


def test_a_socket_that_was_taken_away_is_made_again(plugin: Plugin) -> None:
    plugin.path.unlink()
    assert plugin.server.ensure() == ""
    assert plugin.post("Plugin.Activate")[0] == 200


@pytest.mark.parametrize("path", ["x" * 120, "file/artesian.sock"])
def test_where_none_can_be_that_is_said(plugin: Plugin, path: str) -> None:
    Path("file").touch()
    server = PluginServer(Path(path), VolumeDriver(plugin.machine.service))
    assert server.ensure().startswith("no volumes for containers: ")
    assert os.listdir("p") == ["artesian.sock"]
