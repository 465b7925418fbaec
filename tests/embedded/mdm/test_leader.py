"""A manager that leads, with servers and clients that say what a test wants, in simulated time."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from artesian.embedded.config import ManagerPeer, MdmConfig
from artesian.embedded.control import Connection, ManagerLink, connect
from artesian.embedded.errors import CommandRefused, EngineError, NotLeader
from artesian.embedded.mdm.process import Manager
from artesian.embedded.state.model import CopyState, Lifecycle
from tests.embedded.mdm.engines import SLICES, device_report
from tests.embedded.simulation.loop import SimulatedLoop, SimulatedProcess

SECRET = b"the engine's secret, 32 bytes..."
ADDRESS = ("127.0.0.1", 6611)


class Server:
    """A server that formats what it is given, carries out everything at once, and reports it."""

    def __init__(self, cluster: Cluster, n: int) -> None:
        self.ip, self.port = f"127.0.1.{n + 1}", 7072
        self.process = SimulatedProcess(cluster.loop, self.ip)
        self.cluster = cluster
        self.server_id: str | None = None
        self.assignment: dict[str, Any] = {}
        self.pings = 0
        self.says: dict[str, Any] = {}  # of its devices
        self.joins: dict[str, dict[str, Any]] = {}
        self.link = ManagerLink([ADDRESS], SECRET, "sds", self._handle, self._register, self._registered)
        self.process.run(self.link.run())

    def _register(self) -> tuple[str, dict[str, Any]]:
        return "register_server", {"ip": self.ip, "port": self.port, "name": "s", "process_id": 1}

    def _registered(self, answer: dict[str, Any]) -> None:
        self.server_id = answer["server_id"]

    async def _handle(self, connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        assert kind == "assignment", kind
        self.server_id, self.assignment = body["server_id"], body
        self.report()
        return {}

    def report(self) -> None:
        devices = {id: device_report(**self.says) for id in self.assignment["devices"]}
        for document in devices.values():
            document["dropped_volumes"] = [
                number for one in self.assignment["devices"].values() for number in one["drop_volumes"]
            ]
        self.link.push("report", {
            "server_id": self.server_id, "version": self.assignment["version"], "devices": devices,
            "joins": self.joins,
        })  # fmt: skip

    def die(self) -> None:
        self.process.kill()


class Cluster:
    """One manager, and what it is talking to."""

    def __init__(self, loop: SimulatedLoop, folder: Path) -> None:
        self.loop = loop
        self.folder = folder
        self.fatal: list[Exception] = []
        peer: dict[str, Any] = {"name": "mdm", "ip": "127.0.0.1", "raft_port": 6711, "control_port": 6611}
        self.config = MdmConfig(
            **peer, data_dir=folder / "mdm", secret_file=folder / "secret", peers=[ManagerPeer(**peer)]
        )
        self.manager = Manager(self.config, SECRET, self.fatal.append)
        self.servers: list[Server] = []
        self.gateway: Connection

    @property
    def state(self) -> Any:
        return self.manager._machine.state

    async def command(self, name: str, /, **args: Any) -> dict[str, Any]:
        return await self.gateway.request("command", {"name": name, "args": args})

    async def query(self) -> dict[str, Any]:
        return await self.gateway.request("query", {})

    async def connect(self) -> None:
        while True:
            self.gateway = await connect(*ADDRESS, SECRET, "gateway", ignore)
            try:
                await self.gateway.request("register_gateway", {})
                return
            except NotLeader:
                await asyncio.sleep(0.01)

    async def build(self, servers: int = 3) -> None:
        await self.gateway.request("bootstrap", {"name": "engine", "password_hash": "x"})
        self.domain = (await self.command("add_protection_domain", name="d"))["id"]
        self.pool = (
            await self.command(
                "add_storage_pool", name="p", protection_domain_id=self.domain, slice_count=SLICES
            )
        )["id"]
        for n in range(servers):
            server = Server(self, n)
            self.servers.append(server)
            await self.add(server)
        await self.until(lambda: all(len(one.copies) == min(2, servers) for one in self.slices()))
        await self.command("add_volume", storage_pool_id=self.pool, name="v", size_bytes=1 << 30)
        await asyncio.sleep(4)

    async def add(self, server: Server) -> str:
        ips = [{"ip": server.ip, "role": "all"}]
        id = (await self.command("add_server", protection_domain_id=self.domain, ips=ips, port=server.port))[
            "id"
        ]
        device = await self.command("add_device", server_id=id, storage_pool_id=self.pool, path="/disk")
        return str(device["id"])

    def slices(self) -> Any:
        return self.state.storage_pools[self.pool].slices

    def device_of(self, server: Server) -> str:
        [id] = server.assignment["devices"]
        return str(id)

    def stale(self, server: Server) -> int:
        device = self.device_of(server)
        return sum(
            copy.device_id == device and copy.state is CopyState.STALE
            for one in self.slices()
            for copy in one.copies
        )

    async def until(self, condition: Callable[[], bool], within_s: float = 10.0) -> None:
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.01)


async def ignore(connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    return {}


def simulate(story: Callable[[Cluster], Awaitable[None]], servers: int | None = 3) -> None:
    random.seed(1)
    loop = SimulatedLoop(1)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:

        async def told() -> None:
            cluster = Cluster(loop, Path(folder))
            await cluster.manager.start()
            await cluster.connect()
            if servers is not None:
                await cluster.build(servers)
            await story(cluster)
            assert not cluster.fatal
            await cluster.manager.stop()

        try:
            loop.run_until_complete(told())
        finally:
            for task in asyncio.all_tasks(loop):
                task._log_destroy_pending = False  # type: ignore[attr-defined]
            loop.close()


# --- the beginning


def test_before_its_beginning_an_engine_answers_that_there_is_none_and_takes_no_clients() -> None:
    async def story(cluster: Cluster) -> None:
        client = {"guid": "G", "name": "c", "ip": "127.0.1.1", "process_id": 1, "session": "s"}
        command = {"name": "add_protection_domain", "args": {"name": "d"}}
        for kind, body in (("query", {}), ("command", command), ("register_client", client)):
            with pytest.raises(EngineError, match="not been bootstrapped"):
                await cluster.gateway.request(kind, body)
        server = Server(cluster, 0)
        await cluster.until(lambda: server.link.connected)
        assert server.server_id is None and not server.assignment
        assert cluster.state.version == 0

    simulate(story, servers=None)


def test_a_server_may_be_there_before_it_is_added_and_is_told_as_soon_as_it_is() -> None:
    async def story(cluster: Cluster) -> None:
        server = Server(cluster, 3)
        await cluster.until(lambda: server.link.connected)
        assert server.server_id is None
        device = await cluster.add(server)
        await cluster.until(lambda: cluster.state.devices[device].lifecycle is Lifecycle.NORMAL)
        assert server.server_id is not None
        assert cluster.state.devices[device].slot_count == 1000

    simulate(story)


def test_the_managers_own_commands_are_not_for_gateways() -> None:
    async def story(cluster: Cluster) -> None:
        with pytest.raises(CommandRefused):
            await cluster.command("mark_stale", device_ids=[])
        with pytest.raises(CommandRefused):
            await cluster.command("no_such_command")

    simulate(story, servers=1)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("surprise", {}),
        ("command", {}),
        ("command", {"name": "add_volume", "args": 5}),
        ("register_server", {"ip": "1", "port": "x"}),
        ("open_volume", {}),
        ("report_failed", {"device_ids": 5}),
        ("bootstrap", {}),
    ],
)
def test_malformed_requests_are_refused_and_harm_nobody(kind: str, body: dict[str, Any]) -> None:
    async def story(cluster: Cluster) -> None:
        before = cluster.state.version
        with pytest.raises(EngineError):
            await cluster.gateway.request(kind, body)
        for report in ({}, {"server_id": 5}, {"server_id": "x", "devices": []}):
            cluster.gateway.push("report", report)
            cluster.gateway.push("client_report", report)
        assert (await cluster.query())["state"]["version"] == before

    simulate(story, servers=1)


# --- figures


def test_ids_times_and_room_come_from_the_leader_whatever_a_gateway_says() -> None:
    async def story(cluster: Cluster) -> None:
        size = 4 << 40
        with pytest.raises(CommandRefused, match="Not enough capacity"):
            await cluster.command(
                "add_volume", storage_pool_id=cluster.pool, name="thick", size_bytes=size, thin=False,
                available_bytes=1 << 60, random="ffffffff",
            )  # fmt: skip
        [volume] = cluster.state.volumes.values()
        assert volume.creation_time > 1_600_000_000

    simulate(story)


def test_a_query_shows_state_and_observations() -> None:
    async def story(cluster: Cluster) -> None:
        answer = await cluster.query()
        assert answer["state"]["name"] == "engine"
        live = answer["live"]
        assert live["settled"] and all(one["connected"] for one in live["servers"].values())
        assert {one["state"] for one in live["devices"].values()} == {"ready"}
        assert list(live["managers"].values()) == [{"connected": True, "leader": True}]

    simulate(story)


# --- devices


def test_a_device_that_the_server_refuses_goes_and_its_reason_stays_for_whoever_added_it() -> None:
    async def story(cluster: Cluster) -> None:
        server = Server(cluster, 3)
        server.says = {"state": "refused", "error": "it carries an ext4 file system"}
        device = await cluster.add(server)
        await cluster.until(lambda: device not in cluster.state.devices)
        live = (await cluster.query())["live"]
        assert live["devices"][device]["error"] == "it carries an ext4 file system"

    simulate(story)


def test_a_disk_that_fails_is_recorded_and_its_copies_are_stale() -> None:
    async def story(cluster: Cluster) -> None:
        server = cluster.servers[0]
        server.says = {"state": "failed", "error": "EIO"}
        server.report()
        await cluster.until(lambda: cluster.state.devices[cluster.device_of(server)].error == "EIO", 0.5)
        assert cluster.stale(server) > 0

    simulate(story)


def test_a_removed_volume_is_dropped_everywhere() -> None:
    async def story(cluster: Cluster) -> None:
        [volume_id] = cluster.state.volumes
        await cluster.command("remove_volume", volume_id=volume_id)
        assert cluster.state.deleted_volumes
        await cluster.until(lambda: not cluster.state.deleted_volumes)

    simulate(story)


# --- servers that go away


def test_copies_on_a_server_that_is_away_are_stale_after_two_seconds_not_before() -> None:
    async def story(cluster: Cluster) -> None:
        server = cluster.servers[1]
        server.die()
        await asyncio.sleep(1.8)
        assert cluster.stale(server) == 0
        await asyncio.sleep(0.5)
        assert cluster.stale(server) > 0

    simulate(story)


def test_a_server_that_comes_back_in_time_keeps_its_copies() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.servers[1].die()
        await asyncio.sleep(1.0)
        again = Server(cluster, 1)
        await cluster.until(lambda: bool(again.assignment))
        await asyncio.sleep(5)
        assert cluster.stale(again) == 0

    simulate(story)


def test_a_new_leader_waits_for_servers_to_find_it_before_it_misses_them() -> None:
    async def story(cluster: Cluster) -> None:
        for server in cluster.servers:
            server.die()
        await cluster.manager.stop()
        cluster.manager = Manager(cluster.config, SECRET, cluster.fatal.append)
        await cluster.manager.start()
        await cluster.connect()
        await asyncio.sleep(2.8)
        for n in range(3):
            cluster.servers[n] = Server(cluster, n)
        await asyncio.sleep(8)
        assert not any(cluster.stale(server) for server in cluster.servers)

    simulate(story)


# --- clients


async def client(cluster: Cluster) -> tuple[Connection, str, list[dict[str, Any]]]:
    maps: list[dict[str, Any]] = []

    async def handle(connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        if kind == "client_map":
            maps.append(body)
        return {}

    connection = await connect(*ADDRESS, SECRET, "sdc", handle)
    body = {"guid": "G", "name": "c", "ip": "127.0.1.9", "process_id": 3, "session": "s"}
    client_id = (await connection.request("register_client", body))["client_id"]
    return connection, client_id, maps


def test_a_client_keeps_its_id_and_gets_the_map_when_something_is_mapped_to_it() -> None:
    async def story(cluster: Cluster) -> None:
        connection, client_id, maps = await client(cluster)
        await cluster.until(lambda: bool(maps))
        assert maps[-1]["volumes"] == []
        connection.push("client_report", {"version": maps[-1]["version"], "volumes": {}})
        [volume_id] = cluster.state.volumes
        await cluster.command("map_volume", volume_id=volume_id, client_id=client_id)
        await cluster.until(lambda: bool(maps[-1]["volumes"]), 0.2)
        assert len(maps[-1]["pools"][cluster.pool]["slices"]) == SLICES
        connection.close()
        version = cluster.state.version
        assert (await client(cluster))[1] == client_id
        assert cluster.state.version == version  # nothing new about it

    simulate(story)


def test_opening_a_volume_gives_a_new_epoch_and_the_whole_map() -> None:
    async def story(cluster: Cluster) -> None:
        connection, client_id, _ = await client(cluster)
        [volume_id] = cluster.state.volumes
        body = {"volume_id": volume_id, "client_id": client_id, "session": "s"}
        with pytest.raises(CommandRefused):
            await connection.request("open_volume", body)
        await cluster.command("map_volume", volume_id=volume_id, client_id=client_id)
        first = await connection.request("open_volume", body)
        second = await connection.request("open_volume", body)
        assert second["epoch"] == first["epoch"] + 1
        assert second["map"]["full"] and second["map"]["volumes"][0]["epoch"] == second["epoch"]
        assert cluster.servers[0].assignment["version"] <= second["map"]["version"]
        number = str(second["map"]["volumes"][0]["number"])
        await cluster.until(
            lambda: cluster.servers[0].assignment["volumes"][number]["epoch"] == second["epoch"], 0.2
        )

    simulate(story)


async def complain(cluster: Cluster, *servers: Server) -> dict[str, Any]:
    connection, client_id, _ = await client(cluster)
    [volume_id] = cluster.state.volumes
    if client_id not in cluster.state.volumes[volume_id].mappings:
        await cluster.command("map_volume", volume_id=volume_id, client_id=client_id)
    device_ids = [cluster.device_of(server) for server in servers]
    body = {"client_id": client_id, "device_ids": device_ids, "reason": "no answer", "version": 0}
    return await connection.request("report_failed", body)


def test_a_client_that_could_not_write_gets_a_map_without_the_copies_it_could_not_reach() -> None:
    async def story(cluster: Cluster) -> None:
        server = cluster.servers[0]
        answer = await complain(cluster, server)
        device = cluster.device_of(server)
        states = [
            state
            for _, copies in answer["map"]["pools"][cluster.pool]["slices"].values()
            for id, state in copies
            if id == device
        ]
        assert set(states) == {"stale"}
        assert answer["version"] == answer["map"]["version"]
        await asyncio.sleep(0.003)  # no longer than a message takes: servers know as soon as the client
        assert all(one.assignment["version"] == answer["version"] for one in cluster.servers)
        before = cluster.state.version
        assert (await complain(cluster, server))["version"] >= before  # again: nothing is left to mark
        assert cluster.stale(server) == len(states)

    simulate(story)


def test_a_copy_is_not_given_up_for_one_whose_server_has_just_gone() -> None:
    async def story(cluster: Cluster) -> None:
        first, second = cluster.servers
        second.die()
        await asyncio.sleep(0.1)
        await complain(cluster, first)
        assert cluster.stale(first) == cluster.stale(second) == 0

    simulate(story, servers=2)


def test_the_last_copy_stays_whatever_a_client_says() -> None:
    async def story(cluster: Cluster) -> None:
        await complain(cluster, *cluster.servers)
        assert not any(cluster.stale(server) for server in cluster.servers)

    simulate(story, servers=2)


# --- healing


def test_stale_copies_are_joined_again_and_a_mirrored_join_is_committed() -> None:
    async def story(cluster: Cluster) -> None:
        away, other = cluster.servers
        await complain(cluster, away)
        await cluster.until(lambda: bool(other.assignment["joins"]))
        jobs = {str(join["job_id"]): join["slice"] for join in other.assignment["joins"]}
        mirrored = {"state": "mirrored", "copied_bytes": 1, "total_bytes": 1, "error": None}
        other.joins = dict.fromkeys(jobs, mirrored)
        other.report()
        await cluster.until(
            lambda: all(
                copy.state is CopyState.IN_SYNC
                for index in jobs.values()
                for copy in cluster.slices()[index].copies
            ),
            1.0,
        )

    simulate(story, servers=2)


# --- who says nothing any more


async def hang(connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    await asyncio.Event().wait()
    return {}


def test_a_peer_that_answers_no_ping_is_given_up() -> None:
    async def story(cluster: Cluster) -> None:
        hanging = await connect(*ADDRESS, SECRET, "sdc", hang)
        idle = await connect(*ADDRESS, SECRET, "gateway", ignore)
        await asyncio.sleep(5.9)
        assert not hanging.closed.is_set()
        await asyncio.sleep(1.0)
        assert hanging.closed.is_set() and not idle.closed.is_set()

    simulate(story, servers=None)


def test_a_peer_that_only_reports_is_heard() -> None:
    async def story(cluster: Cluster) -> None:
        busy = await connect(*ADDRESS, SECRET, "sds", hang)
        for _ in range(20):
            await asyncio.sleep(1.0)
            busy.push("report", {})
        assert not busy.closed.is_set()

    simulate(story, servers=None)


# --- the end of a lead


def test_everybody_is_pinged_while_the_manager_leads_and_told_when_it_stops() -> None:
    async def story(cluster: Cluster) -> None:
        heard: list[str] = []

        async def listen(connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
            heard.append(kind)
            return {}

        listener = await connect(*ADDRESS, SECRET, "gateway", listen)
        await asyncio.sleep(2.1)
        assert heard == ["ping"] * 4
        cluster.manager._raft._lose_lead()
        await listener.closed.wait()
        assert heard[-1] == "not_leader"

    simulate(story, servers=None)
