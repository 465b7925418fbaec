"""What managers, domains, pools, servers, devices and clients have to do, whichever engine has them."""

from __future__ import annotations

from contextlib import suppress

import pytest

from artesian.engines.port import NotYet
from artesian.model.changes import (
    AddClient,
    AddDevice,
    AddDomain,
    AddFaultSet,
    AddPool,
    AddServer,
    CreateVolume,
    DeleteVolume,
    MapVolume,
    RemoveClient,
    RemoveDevice,
    RemoveServer,
    SetHealing,
    SetSpare,
    UnmapVolume,
)
from artesian.model.disk import PoolName
from artesian.model.engine import Healing
from artesian.model.names import device_name, server_name
from artesian.model.topology import ManagerRole
from tests.engines.deployment import (
    DOMAIN,
    ELSEWHERE,
    NODES,
    POOL,
    RACKS,
    SECOND_POOL,
    SERVING,
    SPARE_PERCENTAGE,
    Capability,
    Deployment,
    need,
    shape,
)
from tests.engines.volumes import BLOCK, GIB, MIB, in_use, pattern, refused

NO_POOL = PoolName(DOMAIN, "none")
NO_DOMAIN = PoolName("none", "none")


class ArrangementContract:
    """Tests of `system`, with or without a `volume` of their own."""

    # --- what is there

    def test_managers_are_seen(self, system: Deployment) -> None:
        managers = {one.host: one for one in system.observe().managers}
        assert set(managers) == {system.handle.address(node) for node in SERVING}
        roles = [managers[system.handle.address(node)].role for node in SERVING]
        assert roles == [ManagerRole.MANAGER, ManagerRole.MANAGER, ManagerRole.TIEBREAKER]
        assert all(one.healthy and one.name for one in managers.values())
        assert sum(one.leads for one in managers.values()) == 1

    def test_servers_are_seen_by_the_names_of_node_and_domain(self, system: Deployment) -> None:
        seen = system.observe()
        assert DOMAIN in seen.domains
        servers = {one.name: one for one in seen.servers}
        has_racks = Capability.FAULT_SETS in system.handle.capabilities
        for node in SERVING:
            server = servers[server_name(node, DOMAIN)]
            assert (server.domain, server.connected) == (DOMAIN, True)
            assert server.fault_set == (RACKS[node] if has_racks else None)
            assert (server.in_maintenance, server.leaving) == (False, False)

    def test_devices_are_seen_by_the_identity_of_their_disk(self, system: Deployment) -> None:
        seen = system.observe()
        devices = {one.name: one for one in seen.devices}
        for node, disk in system.disks.items():
            device = devices[device_name(disk.identity)]
            assert (device.server, device.pool) == (server_name(node, DOMAIN), POOL)
            assert disk.size_bytes * 0.9 < device.size_bytes <= disk.size_bytes
            assert (device.failed, device.leaving) == (False, False)

    def test_a_pool_has_the_room_of_its_devices(self, system: Deployment) -> None:
        seen = system.observe()
        pool = seen.pool(POOL)
        assert pool is not None and pool.is_settled
        assert pool.spare_percentage == SPARE_PERCENTAGE
        sizes = sum(one.size_bytes for one in seen.devices if one.pool == POOL)
        assert 0.9 * sizes < pool.size_bytes <= sizes
        assert 0 < pool.free_bytes <= pool.size_bytes // 2

    def test_clients_are_seen_by_the_guids_of_their_nodes(self, system: Deployment) -> None:
        clients = {one.guid: one for one in system.observe().clients}
        for node in NODES:
            client = clients[system.guid(node)]
            assert (client.name, client.connected) == (node, True)

    def test_who_looks_anew_sees_the_same(self, system: Deployment) -> None:
        other = system.handle.connect(system.identity)
        assert shape(other.observe()) == shape(system.observe())
        other.close()
        assert shape(other.observe()) == shape(system.observe())  # what was let go of is made anew
        other.close()

    # --- what is too early, or contradicts what is there

    def test_what_a_change_needs_is_waited_for(self, system: Deployment) -> None:
        before = shape(system.observe())
        for change in (
            AddFaultSet("none", "rack"),
            AddPool(NO_DOMAIN, 10),
            SetSpare(NO_POOL, 10),
            SetHealing(NO_POOL, Healing.LIMITED),
            AddServer("n4", "127.0.0.1", "none", None),
            AddServer("n4", "127.0.0.1", DOMAIN, "no-rack"),
            AddDevice("n1", "serial:1", "/dev/none", NO_POOL, GIB),
            AddDevice("n4", "serial:1", "/dev/none", POOL, GIB),
            AddClient("n5"),
            CreateVolume("early", NO_POOL, GIB, False),
            CreateVolume("early", NO_DOMAIN, GIB, False),
        ):
            with pytest.raises(NotYet, match=r"\w"):
                system.attempt(change)
        assert shape(system.observe()) == before

    def test_a_client_that_is_not_there_yet_is_waited_for(self, system: Deployment, volume: str) -> None:
        with pytest.raises(NotYet, match="n5"):
            system.attempt(MapVolume(volume, "n5"))
        assert system.volume(volume).mapped_to == ()

    def test_a_server_stays_in_its_fault_set(self, system: Deployment) -> None:
        need(system, Capability.FAULT_SETS)
        address = system.handle.address("n1")
        refused(system, AddServer("n1", address, DOMAIN, "rack-2"))
        refused(system, AddServer("n1", address, DOMAIN, None))

    def test_a_disk_stays_in_its_pool(self, system: Deployment) -> None:
        system.do(AddPool(SECOND_POOL, 10))
        disk = system.disks["n1"]
        assert disk.identity in refused(system, system.device(disk, SECOND_POOL))

    def test_what_is_not_there_is_removed_already(self, system: Deployment) -> None:
        before = shape(system.observe())
        system.make(RemoveDevice("n1", "serial:none", POOL), RemoveServer("n4", DOMAIN), RemoveClient("n5"))
        assert shape(system.observe()) == before

    # --- domains and pools

    def test_domains_and_pools_are_made(self, system: Deployment) -> None:
        name = PoolName("third", "pool")
        seen = system.make(AddDomain("third"), AddPool(name, 20))
        assert {DOMAIN, "third"} <= set(seen.domains)
        pool = seen.pool(name)
        assert pool is not None and pool.id
        assert (pool.spare_percentage, pool.size_bytes) == (20, 0)

    def test_fault_sets_are_made_in_their_domain(self, system: Deployment) -> None:
        need(system, Capability.FAULT_SETS)
        system.do(AddDomain("third"))
        seen = system.make(AddFaultSet("third", "rack-1"), AddFaultSet("third", "rack-9"))
        mine = {pair for pair in seen.fault_sets if pair[0] == "third"}
        assert mine == {("third", "rack-1"), ("third", "rack-9")}

    def test_the_spare_share_is_set(self, system: Deployment) -> None:
        before = system.observe().pool(POOL)
        seen = system.make(SetSpare(POOL, 34)).pool(POOL)
        assert before is not None and seen is not None
        assert (seen.spare_percentage, before.spare_percentage) == (34, SPARE_PERCENTAGE)
        assert seen.free_bytes < before.free_bytes
        system.do(SetSpare(POOL, SPARE_PERCENTAGE))

    def test_healing_disturbs_as_much_as_it_may(self, system: Deployment) -> None:
        seen = system.observe().pool(POOL)
        assert seen is not None and seen.healing is Healing.LIMITED
        for healing in Healing:
            seen = system.make(SetHealing(POOL, healing)).pool(POOL)
            assert seen is not None and seen.healing is healing
        system.do(SetHealing(POOL, Healing.LIMITED))

    # --- disks

    def test_a_disk_adds_its_room_and_takes_it_away_again(self, system: Deployment, volume: str) -> None:
        data = pattern(30, 24 * MIB)
        with in_use(system, volume, "n1") as blocks:
            blocks.write_durably(0, data)
            before = system.observe().pool(POOL)
            disk = system.handle.add_disk("n2")
            seen = system.make(system.device(disk)).pool(POOL)
            assert before is not None and seen is not None
            assert seen.size_bytes > before.size_bytes
            system.settle()
            for change in (RemoveDevice("n2", disk.identity, POOL), system.device(disk)):
                with suppress(NotYet):  # as long as data moves away; never refused
                    system.attempt(change)
            assert blocks.read(0, len(data)) == data
            after = system.make(RemoveDevice("n2", disk.identity, POOL))
            assert device_name(disk.identity) not in {one.name for one in after.devices}
            assert blocks.read(0, len(data)) == data
        settled = system.settle().pool(POOL)
        assert settled is not None and settled.size_bytes == before.size_bytes

    def test_a_disk_that_was_removed_can_come_back(self, system: Deployment) -> None:
        disk = system.handle.add_disk("n3")
        for _ in range(2):
            seen = system.make(system.device(disk))
            assert device_name(disk.identity) in {one.name for one in seen.devices}
            system.settle()
            system.do(RemoveDevice("n3", disk.identity, POOL))

    def test_the_disk_of_somebody_else_is_refused_and_left_alone(self, system: Deployment) -> None:
        disk = system.handle.add_foreign_disk("n1")
        before = system.handle.content(disk)
        assert refused(system, system.device(disk))
        assert system.handle.content(disk) == before

    def test_a_disk_that_is_not_there_is_refused(self, system: Deployment) -> None:
        assert refused(system, AddDevice("n1", "serial:gone", "/dev/gone-for-good", POOL, GIB))

    def test_the_last_place_for_a_second_copy_is_not_given_away(self, system: Deployment) -> None:
        disks = [system.handle.add_disk(node) for node in ("n1", "n2")]
        system.do(
            AddDomain(ELSEWHERE.domain),
            AddPool(ELSEWHERE, 10),
            *(system.server(disk.node, ELSEWHERE.domain) for disk in disks),
            *(system.device(disk, ELSEWHERE) for disk in disks),
            CreateVolume("in-the-pair", ELSEWHERE, GIB, False),
        )
        with in_use(system, "in-the-pair", "n4") as blocks:
            blocks.write_durably(0, pattern(31))
            for disk in disks:
                refused(system, RemoveDevice(disk.node, disk.identity, ELSEWHERE))
            assert blocks.read(0, BLOCK) == pattern(31)
        system.do(
            DeleteVolume("in-the-pair"),
            *(RemoveDevice(disk.node, disk.identity, ELSEWHERE) for disk in disks),
            *(RemoveServer(disk.node, ELSEWHERE.domain) for disk in disks),
        )

    # --- servers and clients

    def test_a_server_comes_and_goes(self, system: Deployment, volume: str) -> None:
        running = _running(system, "n4")
        disk = system.handle.add_disk("n4")
        data = pattern(32, 24 * MIB)
        with in_use(system, volume, "n1") as blocks:
            blocks.write_durably(0, data)
            seen = system.make(system.server("n4"), system.device(disk))
            assert server_name("n4", DOMAIN) in {one.name for one in seen.servers}
            system.settle()
            with pytest.raises(NotYet, match=r"\w"):
                system.attempt(RemoveServer("n4", DOMAIN))
            seen = system.make(RemoveDevice("n4", disk.identity, POOL), RemoveServer("n4", DOMAIN))
            assert server_name("n4", DOMAIN) not in {one.name for one in seen.servers}
            assert _running(system, "n4") == running
            assert blocks.read(0, len(data)) == data

    def test_a_server_that_is_off_gets_no_disk_yet(self, system: Deployment) -> None:
        disk = system.handle.add_disk("n4")
        before = system.handle.content(disk)
        system.switch_off("n4")
        system.intend(system.server("n4"))
        system.attempt(system.server("n4"))
        with pytest.raises(NotYet, match=r"\w"):
            system.attempt(system.device(disk))
        assert system.handle.content(disk) == before
        system.switch_on("n4")
        seen = system.make(system.server("n4"), system.device(disk))
        assert device_name(disk.identity) in {one.name for one in seen.devices}
        system.do(RemoveDevice("n4", disk.identity, POOL), RemoveServer("n4", DOMAIN))

    def test_a_node_serves_several_domains(self, system: Deployment) -> None:
        domain = ELSEWHERE.domain
        disk = system.handle.add_disk("n1")
        system.do(AddDomain(domain), AddPool(ELSEWHERE, 10))
        seen = system.make(system.server("n1", domain), system.device(disk, ELSEWHERE))
        names = {one.name for one in seen.servers if one.connected}
        assert {server_name("n1", DOMAIN), server_name("n1", domain)} <= names
        assert [one.name for one in seen.devices if one.pool == ELSEWHERE] == [device_name(disk.identity)]
        system.do(RemoveDevice("n1", disk.identity, ELSEWHERE), RemoveServer("n1", domain))

    def test_a_client_that_uses_something_stays(self, system: Deployment, volume: str) -> None:
        with in_use(system, volume, "n4") as blocks:
            refused(system, RemoveClient("n4"))
            blocks.write(0, pattern(33))

    def test_a_client_comes_and_goes(self, system: Deployment) -> None:
        with pytest.raises(NotYet, match=r"\w"):
            system.attempt(RemoveClient("n4"))  # it runs
        seen = system.make(RemoveClient("n4"))
        assert system.guid("n4") not in {one.guid for one in seen.clients}
        assert not _running(system, "n4")
        seen = system.make(AddClient("n4"))
        assert [one.name for one in seen.clients if one.guid == system.guid("n4")] == ["n4"]

    def test_a_volume_that_a_client_left_is_there_for_the_next(self, system: Deployment, volume: str) -> None:
        with in_use(system, volume, "n4") as blocks:
            blocks.write_durably(0, pattern(34))
        system.do(RemoveClient("n4"))
        with in_use(system, volume, "n1") as blocks:
            assert blocks.read(0, BLOCK) == pattern(34)
        system.do(AddClient("n4"), UnmapVolume(volume, "n4"))


def _running(system: Deployment, node: str) -> set[str]:
    """The names of the engine's processes that run on a node."""
    return {one.name for one in system.handle.node_engine(node).processes() if one.running}
