"""What an engine that was just started still waits for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from artesian.embedded.local import planning, readiness
from artesian.embedded.local.description import EngineDescription
from artesian.embedded.local.planning import Wish
from artesian.embedded.state.live import ClientLive, DeviceLive, Live, ServerLive
from artesian.embedded.state.model import Client, Device, Server, State

SERVER = ServerLive(connected=True, changed_s=0.0)
CLIENT = ClientLive(connected=True, changed_s=0.0)


@pytest.fixture
def described(tmp_path: Path) -> EngineDescription:
    return planning.make(Wish(nodes=2, disks_per_node=1, managers=1), tmp_path)


@pytest.fixture
def state(described: EngineDescription) -> State:
    """As the engine keeps it: a server, a client and a device for each node."""
    state = State()
    for node in described.nodes:
        id = str(node.number)
        ips = [{"ip": node.ip, "role": "all"}]
        state.servers[id] = Server(id, node.name, "pd", None, ips, node.sds_port)
        state.clients[id] = Client(id, node.guid, None, node.ip)
        state.devices[id] = Device(id, f"disk-{id}", "", id, "sp", f"/disk-{id}")
    return state


@pytest.fixture
def all_there() -> Live:
    return Live(
        now_s=10.0,
        settled=True,
        servers={"1": SERVER, "2": SERVER},
        clients={"1": CLIENT, "2": CLIENT},
        devices={"1": DeviceLive("ready"), "2": DeviceLive("ready")},
    )


def test_nothing_once_everything_has_reported(
    described: EngineDescription, state: State, all_there: Live
) -> None:
    assert readiness.awaited(described, state, all_there) == []


def test_everything_when_the_managers_have_just_started(described: EngineDescription, state: State) -> None:
    assert readiness.awaited(described, state, Live(0.0, False)) == [
        *("the client of node-1", "the client of node-2"),
        *("the server node-1", "the server node-2"),
    ]


def test_a_client_that_has_never_been_there(
    described: EngineDescription, state: State, all_there: Live
) -> None:
    del state.clients["2"]
    assert readiness.awaited(described, state, all_there) == ["the client of node-2"]


def test_a_server_and_a_client_that_were_there_before(
    described: EngineDescription, state: State, all_there: Live
) -> None:
    lost = replace(
        all_there,
        servers={"1": SERVER, "2": replace(SERVER, connected=False)},
        clients={"1": CLIENT, "2": replace(CLIENT, connected=False)},
    )
    assert readiness.awaited(described, state, lost) == ["the client of node-2", "the server node-2"]


@pytest.mark.parametrize("devices", [{}, {"2": DeviceLive("opening")}], ids=["silent", "opening"])
def test_a_device_that_is_not_open_yet(
    described: EngineDescription, state: State, all_there: Live, devices: dict[str, DeviceLive]
) -> None:
    seen = replace(all_there, devices={"1": DeviceLive("ready"), **devices})
    assert readiness.awaited(described, state, seen) == ["the device disk-2"]


@pytest.mark.parametrize("verdict", ["failed", "refused"])
def test_not_a_device_that_cannot_be_opened(
    described: EngineDescription, state: State, all_there: Live, verdict: str
) -> None:
    seen = replace(all_there, devices={"1": DeviceLive("ready"), "2": DeviceLive(verdict)})
    assert readiness.awaited(described, state, seen) == []


def test_not_a_device_that_failed_before(described: EngineDescription, state: State, all_there: Live) -> None:
    state.devices["2"].error = "it answered with errors"
    assert readiness.awaited(described, state, replace(all_there, devices={"1": DeviceLive("ready")})) == []


def test_not_the_servers_of_other_machines(
    described: EngineDescription, state: State, all_there: Live
) -> None:
    ips = [{"ip": "192.0.2.7", "role": "all"}]
    state.servers["3"] = Server("3", "elsewhere", "pd", None, ips, 7072)
    state.devices["3"] = Device("3", None, "", "3", "sp", "/dev/sdb")
    assert readiness.awaited(described, state, all_there) == []
