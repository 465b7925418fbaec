"""Views are never older than the call, and commands are carried out once, whatever becomes of the leader."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from artesian.embedded.errors import CommandRefused, ManagersUnavailable
from artesian.embedded.gateway.managers import Managers

from .engine import MemoryEngine, Topology


class SlowEngine(MemoryEngine):
    """Answers queries only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()

    async def request(self, kind: str, body: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        answer = await super().request(kind, body, *args, **kwargs)
        if kind == "query":
            await self.let.wait()
        return answer


def test_calls_that_come_during_a_query_share_the_next_one() -> None:
    async def scenario() -> None:
        engine = SlowEngine()
        managers = Managers(engine)
        first = asyncio.create_task(managers.look())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        engine.apply("set_system_name", name="renamed")
        later = [asyncio.create_task(managers.look()) for _ in range(5)]
        await asyncio.sleep(0)
        engine.let.set()
        assert (await first).state.name == "mocksystem"
        assert {(await one).state.name for one in later} == {"renamed"}
        assert engine.queries == 2

    asyncio.run(scenario())


def test_a_state_of_a_known_version_is_not_decoded_again() -> None:
    async def scenario() -> None:
        engine = MemoryEngine()
        managers = Managers(engine)
        one, two = await managers.look(), await managers.look()
        assert one.state is two.state
        assert one.live is not two.live
        engine.apply("set_system_name", name="renamed")
        assert (await managers.look()).state.name == "renamed"

    asyncio.run(scenario())


def test_one_caller_that_gives_up_does_not_disturb_the_others() -> None:
    async def scenario() -> None:
        engine = SlowEngine()
        managers = Managers(engine)
        impatient, patient = (asyncio.create_task(managers.look()) for _ in range(2))
        await asyncio.sleep(0)
        impatient.cancel()
        engine.let.set()
        assert (await patient).state.name == "mocksystem"

    asyncio.run(scenario())


def test_after_a_failure_the_next_call_asks_again() -> None:
    async def scenario() -> None:
        engine = MemoryEngine()
        managers = Managers(engine)
        engine.reachable = False
        with pytest.raises(ManagersUnavailable):
            await managers.look()
        engine.reachable = True
        assert (await managers.look()).state.name == "mocksystem"

    asyncio.run(scenario())


def commands_for(topology: Topology, volume_id: str) -> list[tuple[str, dict[str, Any]]]:
    """One of each that must not simply be repeated."""
    return [
        ("add_protection_domain", {"name": "domain2"}),
        ("add_fault_set", {"protection_domain_id": topology.domain, "name": "rack9"}),
        ("add_storage_pool", {"protection_domain_id": topology.domain, "name": "pool2"}),
        (
            "add_server",
            {
                "protection_domain_id": topology.domain,
                "ips": [{"ip": "127.0.1.9", "role": "all"}],
                "port": 7072,
            },
        ),
        (
            "add_device",
            {"server_id": topology.servers[0], "storage_pool_id": topology.pool, "path": "/disks/z"},
        ),
        ("add_volume", {"storage_pool_id": topology.pool, "size_bytes": 1 << 30, "name": "vol2"}),
        ("add_user", {"name": "ann", "role": "Monitor", "password_hash": ""}),
        ("map_volume", {"volume_id": volume_id, "client_id": topology.clients[0]}),
        ("unmap_volume", {"volume_id": volume_id, "client_id": topology.clients[0]}),
        ("map_volume", {"volume_id": volume_id, "client_id": topology.clients[1]}),
        ("unmap_volume", {"volume_id": volume_id, "client_id": None}),
        ("remove_volume", {"volume_id": volume_id}),
        ("remove_client", {"client_id": topology.clients[0]}),
        ("remove_device", {"device_id": topology.devices[0]}),
        ("remove_server", {"server_id": topology.servers[1]}),
    ]


@pytest.mark.parametrize("lost", ["the command", "its answer", "both in turn"])
def test_a_command_whose_connection_is_lost_is_carried_out_exactly_once(lost: str) -> None:
    async def scenario() -> None:
        engine, reference = MemoryEngine(), MemoryEngine()
        topology, same = Topology(engine), Topology(reference)
        volumes = [
            str(one.apply("add_volume", storage_pool_id=same.pool, size_bytes=1 << 30, name="vol1")["id"])
            for one in (engine, reference)
        ]
        engine.servers_work = False
        managers = Managers(engine)
        for name, args in commands_for(topology, volumes[0]):
            before = await managers.look()
            engine.lost_commands = lost != "its answer"
            engine.lost_answers = lost != "the command"
            result = await managers.command(name, args, before)
            assert (engine.lost_commands, engine.lost_answers) == (0, 0)
            expected = reference.apply(name, **args)
            assert result == expected, name
            assert engine.document() == reference.document(), name

    asyncio.run(scenario())


def test_a_refusal_stays_a_refusal() -> None:
    async def scenario() -> None:
        engine = MemoryEngine()
        topology = Topology(engine)
        managers = Managers(engine)
        before = await managers.look()
        engine.lost_commands = 1
        with pytest.raises(CommandRefused) as refusal:
            await managers.command("add_protection_domain", {"name": "domain1"}, before)
        assert refusal.value.code == 141
        with pytest.raises(CommandRefused):
            await managers.command("remove_storage_pool", {"storage_pool_id": topology.pool}, before)

    asyncio.run(scenario())


def test_what_was_there_before_is_not_taken_for_the_commands_work() -> None:
    async def scenario() -> None:
        engine = MemoryEngine()
        topology = Topology(engine)
        engine.apply("add_volume", storage_pool_id=topology.pool, size_bytes=1 << 30, name="vol1")
        managers = Managers(engine)
        before = await managers.look()
        engine.lost_commands = 1
        with pytest.raises(CommandRefused, match="already in use"):
            args = {"storage_pool_id": topology.pool, "size_bytes": 1 << 30, "name": "vol1"}
            await managers.command("add_volume", args, before)

    asyncio.run(scenario())


def test_settings_are_simply_sent_again_by_the_link() -> None:
    async def scenario() -> None:
        engine = MemoryEngine()
        managers = Managers(engine)
        before = await managers.look()
        await managers.command("set_system_name", {"name": "renamed"}, before)
        assert engine.sent == ["set_system_name"]

    asyncio.run(scenario())
