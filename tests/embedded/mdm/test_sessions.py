"""What servers and clients are told."""

from __future__ import annotations

from typing import Any

from artesian.embedded.mdm.sessions import MAX_BACKLOG_BYTES, ClientSession, ServerSession, Sessions
from tests.embedded.mdm.engines import SLICES, Engine


class Wire:
    """Stands for a connection."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.backlog_bytes = 0
        self.aborted = False

    def push(self, kind: str, body: dict[str, Any]) -> None:
        self.sent.append((kind, body))

    def abort(self) -> None:
        self.aborted = True


class Told:
    """An engine with a server and a client that mapped a volume, both connected."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.client_id = self.engine.add_client()
        self.volume_id = self.engine.add_volume()
        self.engine.make("map_volume", volume_id=self.volume_id, client_id=self.client_id)
        self.sessions = Sessions()
        self.server_wire, self.client_wire = Wire(), Wire()
        self.server = ServerSession(self.server_wire, "127.0.1.1", 7072, 1, self.engine.servers[0])  # type: ignore[arg-type]
        self.client = ClientSession(self.client_wire, self.client_id)  # type: ignore[arg-type]
        self.sessions.add_server(self.server)
        self.sessions.add_client(self.client)

    def tell(self) -> None:
        self.sessions.tell_servers(self.engine.state)
        self.sessions.tell_clients(self.engine.state)

    def last_map(self) -> dict[str, Any]:
        kind, body = self.client_wire.sent[-1]
        assert kind == "client_map"
        return body

    def slices(self) -> set[int]:
        return {int(index) for index in self.last_map()["pools"][self.engine.pool]["slices"]}

    def fail(self, device: int) -> set[int]:
        """Mark a device's copies stale; the slices that changed."""
        self.engine.make("mark_stale", device_ids=[self.engine.devices[device]])
        version = self.engine.state.version
        slices = self.engine.state.storage_pools[self.engine.pool].slices
        return {index for index, one in enumerate(slices) if one.version == version}


def test_everybody_is_told_once_for_every_change() -> None:
    told = Told()
    told.tell()
    told.tell()
    assert [kind for kind, _ in told.server_wire.sent] == ["assignment"]
    assert [kind for kind, _ in told.client_wire.sent] == ["client_map"]
    assert not told.sessions.behind(told.engine.state)
    told.engine.make("set_system_name", name="other")
    assert told.sessions.behind(told.engine.state)
    told.tell()
    assert [body["version"] for _, body in told.server_wire.sent][-1] == told.engine.state.version
    assert len(told.client_wire.sent) == 2


def test_a_client_gets_everything_until_it_has_acknowledged_and_then_what_changed() -> None:
    told = Told()
    told.tell()
    assert told.last_map()["full"] and len(told.slices()) == SLICES
    told.fail(0)
    told.tell()
    assert told.last_map()["full"]
    told.client.acknowledged = told.engine.state.version
    changed = told.fail(1)
    told.tell()
    assert not told.last_map()["full"] and told.slices() == changed != set()


def test_what_was_not_acknowledged_is_told_again() -> None:
    told = Told()
    told.tell()
    told.client.acknowledged = told.engine.state.version
    first = told.fail(0)
    told.tell()
    second = told.fail(1)
    told.tell()
    assert told.slices() == first | second


def test_a_client_that_gets_to_know_another_pool_or_device_gets_everything() -> None:
    told = Told()
    told.tell()
    told.client.acknowledged = told.engine.state.version
    told.engine.add_server(7, formatted=True)
    told.tell()
    assert told.last_map()["full"] and len(told.slices()) == SLICES
    told.client.acknowledged = told.engine.state.version
    told.engine.make("set_server_port", server_id=told.engine.servers[0], port=9999)
    told.tell()
    assert told.last_map()["full"]
    told.engine.make("unmap_volume", volume_id=told.volume_id)
    told.tell()
    assert told.last_map()["pools"] == {}
    told.client.acknowledged = told.engine.state.version
    told.engine.make("map_volume", volume_id=told.volume_id, client_id=told.client_id)
    told.tell()
    assert len(told.slices()) == SLICES


def test_who_does_not_take_what_is_sent_is_told_the_newest_later() -> None:
    told = Told()
    for wire in (told.server_wire, told.client_wire):
        wire.backlog_bytes = MAX_BACKLOG_BYTES + 1
    told.tell()
    assert not told.server_wire.sent and not told.client_wire.sent
    assert told.sessions.behind(told.engine.state)


def test_servers_that_have_not_been_added_and_clients_that_were_removed_are_told_nothing() -> None:
    told = Told()
    told.server.server_id = None
    told.engine.make("unmap_volume", volume_id=told.volume_id)
    told.engine.make("remove_client", client_id=told.client_id)
    told.tell()
    assert not told.server_wire.sent and not told.client_wire.sent
    assert not told.sessions.behind(told.engine.state)


def test_a_server_is_known_by_its_address() -> None:
    told = Told()
    assert told.server.matches(told.engine.state) == told.engine.servers[0]
    for ip, port in (("127.0.1.1", 7073), ("127.0.1.9", 7072)):
        assert ServerSession(Wire(), ip, port, 1).matches(told.engine.state) is None  # type: ignore[arg-type]


def test_whoever_comes_again_replaces_the_connection_it_had() -> None:
    told = Told()
    again = Wire()
    told.sessions.add_client(ClientSession(again, told.client_id))  # type: ignore[arg-type]
    told.sessions.add_server(ServerSession(again, "127.0.1.1", 7072, 2))  # type: ignore[arg-type]
    assert told.client_wire.aborted and told.server_wire.aborted and not again.aborted
    assert len(told.sessions.clients) == len(told.sessions.servers) == 1
    told.sessions.add_client(ClientSession(again, told.client_id))  # type: ignore[arg-type]
    assert not again.aborted
