"""What has to go on, and to come back, when nodes die, whichever engine runs on them."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from artesian.engines.port import ChangeRefused, EngineUnreachable, NotYet
from artesian.model.assignment import Assignment
from artesian.model.changes import (
    AddDomain,
    AddManager,
    CreateEngine,
    CreateVolume,
    DeleteVolume,
    EnterMaintenance,
    ExitMaintenance,
    RemoveDevice,
    RemoveManager,
    RemoveServer,
    RestartProcesses,
)
from artesian.model.engine import EngineSeen
from artesian.model.names import device_name, server_name
from artesian.model.observation import SeenProcess
from artesian.model.plan import Step
from artesian.model.restart import Restart, RestartPart
from artesian.model.topology import ManagerRole
from artesian.planner.assigning import assignment_of
from artesian.planner.recording import intend
from tests.engines.deployment import DOMAIN, NODES, POOL, SERVING, Capability, Deployment, need, shape
from tests.engines.volumes import BLOCK, GIB, MIB, in_use, pattern


class FailureContract:
    """Tests of `system`, with or without a `volume` of their own."""

    # --- nodes

    def test_one_nodes_death_stops_nobody(self, system: Deployment, volume: str) -> None:
        before, after = pattern(40, 4 * MIB), pattern(41, 4 * MIB)
        with in_use(system, volume, "n4") as blocks:
            blocks.write_durably(0, before)
            system.switch_off("n3")
            assert blocks.read(0, len(before)) == before
            blocks.write_durably(2 * MIB, after)
            seen = system.until("its death is seen", lambda seen: not _is_whole(seen))
            assert {one.name for one in seen.servers if not one.connected} == {server_name("n3", DOMAIN)}
            system.until("its manager is missed", lambda seen: _unhealthy(seen) == {_address(system, "n3")})
            system.do(CreateVolume("meanwhile", POOL, GIB, False), DeleteVolume("meanwhile"))
            system.switch_on("n3")
            system.settle()
            system.switch_off("n2")  # what n3 has missed is read from it now
            assert blocks.read(0, 6 * MIB) == before[: 2 * MIB] + after
            system.switch_on("n2")
            system.settle()

    def test_everything_is_there_after_everything_died(self, system: Deployment, volume: str) -> None:
        data = pattern(42, 2 * MIB)
        with in_use(system, volume, "n4") as blocks:
            blocks.write_durably(0, data)
            before = shape(system.observe())
            system.switch_off(*SERVING)
            for _ in range(2):
                with pytest.raises(EngineUnreachable, match=r"\w"):
                    system.engine.observe()
                with pytest.raises(EngineUnreachable, match=r"\w"):
                    system.attempt(AddDomain("never"))
            blocks.begin_write(MIB, data)  # waits until it can be kept
            system.switch_on(*SERVING)
            system.settle()
            blocks.answer()
            assert shape(system.observe()) == before
            system.make(CreateEngine(system.identity.managers))
            assert blocks.read(0, 3 * MIB) == data[:MIB] + data

    def test_a_client_that_died_goes_on(self, system: Deployment, volume: str) -> None:
        with in_use(system, volume, "n4") as blocks:
            blocks.write_durably(0, pattern(43))
            system.switch_off("n4")
            seen = system.until("it is missed", lambda seen: not _client(system, seen, "n4"))
            assert system.volume(volume).mapped_to == (system.guid("n4"),)
            assert system.guid("n4") in {one.guid for one in seen.clients}
            system.switch_on("n4")
            with system.open("n4", volume) as again:
                assert again.read(0, BLOCK) == pattern(43)
                again.write_durably(0, pattern(44))
            system.until("it is back", lambda seen: _client(system, seen, "n4"))

    def test_a_node_that_is_dead_for_good_is_taken_out(self, system: Deployment, volume: str) -> None:
        disk = system.handle.add_disk("n4")
        data = pattern(45, 24 * MIB)
        with in_use(system, volume, "n1") as blocks:
            blocks.write_durably(0, data)
            system.do(system.server("n4"), system.device(disk))
            system.settle()
            system.switch_off("n4")
            seen = system.make(RemoveDevice("n4", disk.identity, POOL), RemoveServer("n4", DOMAIN))
            assert device_name(disk.identity) not in {one.name for one in seen.devices}
            assert server_name("n4", DOMAIN) not in {one.name for one in seen.servers}
            system.settle()
            assert blocks.read(0, len(data)) == data
            system.switch_on("n4")
            assert len(system.settle().servers) == len(SERVING)

    # --- managers

    def test_the_leaders_death_delays_changes_for_a_moment(self, system: Deployment, volume: str) -> None:
        leader = _leader(system)
        with in_use(system, volume, "n4") as blocks:
            system.switch_off(leader)
            blocks.write(0, pattern(46))
            system.do(CreateVolume("meanwhile", POOL, GIB, False), DeleteVolume("meanwhile"))
            system.switch_on(leader)
            assert blocks.read(0, BLOCK) == pattern(46)

    def test_a_leader_that_hangs_keeps_nobody_from_an_answer(self, system: Deployment) -> None:
        leader = _leader(system)
        system.handle.freeze(leader)
        began = time.monotonic()
        system.do(CreateVolume("meanwhile", POOL, GIB, False), DeleteVolume("meanwhile"))
        assert time.monotonic() - began < system.handle.patience_s
        system.handle.thaw(leader)

    def test_a_manager_that_does_not_run_yet_is_waited_for(self, system: Deployment) -> None:
        before = shape(system.observe())
        for _ in range(2):
            with pytest.raises(NotYet, match="n4"):
                system.attempt(AddManager(system.place("n4")))
        assert shape(system.observe()) == before

    def test_managers_move_one_at_a_time(self, system: Deployment, volume: str) -> None:
        with in_use(system, volume, "n2") as blocks:
            blocks.write_durably(0, pattern(47))
            seen = system.make(AddManager(system.place("n4")))
            assert _hosts(seen) == {_address(system, node) for node in ("n1", "n2", "n3", "n4")}
            seen = system.make(RemoveManager(system.place("n1")))
            assert _hosts(seen) == {_address(system, node) for node in ("n2", "n3", "n4")}
            system.settle()
            system.switch_off("n2")
            system.do(CreateVolume("meanwhile", POOL, GIB, False), DeleteVolume("meanwhile"))
            assert system.volume(volume).mapped_to == (system.guid("n2"),)
            system.switch_on("n2")
            with system.open("n2", volume) as again:
                assert again.read(0, BLOCK) == pattern(47)
            system.make(AddManager(system.place("n1")))
            seen = system.make(RemoveManager(system.place("n4")))
            assert _hosts(seen) == {_address(system, node) for node in SERVING}

    def test_a_manager_that_is_dead_is_replaced(self, system: Deployment) -> None:
        system.switch_off("n1")
        system.make(AddManager(system.place("n4")))
        seen = system.make(RemoveManager(system.place("n1")))
        assert _hosts(seen) == {_address(system, node) for node in ("n2", "n3", "n4")}
        system.switch_on("n1")
        assert _hosts(system.settle()) == {_address(system, node) for node in ("n2", "n3", "n4")}
        system.do(AddManager(system.place("n1")))
        system.do(RemoveManager(system.place("n4")))

    def test_the_leader_gives_way(self, system: Deployment) -> None:
        leader = _leader(system)
        role = next(one.role for one in system.identity.managers if one.node == leader)
        system.do(AddManager(system.place("n4")))
        seen = system.make(RemoveManager(system.place(leader, role)))
        assert _address(system, leader) not in _hosts(seen)
        assert system.settle()
        system.do(AddManager(system.place(leader, role)))
        system.do(RemoveManager(system.place("n4")))

    def test_a_tiebreaker_is_replaced_by_a_tiebreaker(self, system: Deployment) -> None:
        system.make(AddManager(system.place("n4", ManagerRole.TIEBREAKER)))
        seen = system.make(RemoveManager(system.place("n3", ManagerRole.TIEBREAKER)))
        roles = {one.host: one.role for one in seen.managers}
        assert roles[_address(system, "n4")] is ManagerRole.TIEBREAKER
        system.do(AddManager(system.place("n3", ManagerRole.TIEBREAKER)))
        system.do(RemoveManager(system.place("n4", ManagerRole.TIEBREAKER)))

    def test_a_manager_becomes_what_the_change_says_or_the_change_is_refused(
        self, system: Deployment
    ) -> None:
        refused = False
        try:
            system.attempt(AddManager(system.place("n3", ManagerRole.MANAGER)))
        except ChangeRefused:
            refused = True
        roles = {one.host: one.role for one in system.observe().managers}
        role = roles[_address(system, "n3")]
        if role is ManagerRole.MANAGER:
            system.do(AddManager(system.place("n3", ManagerRole.TIEBREAKER)))
        assert refused == (role is ManagerRole.TIEBREAKER)

    # --- maintenance

    def test_a_server_in_maintenance_is_away_without_ado(self, system: Deployment, volume: str) -> None:
        need(system, Capability.MAINTENANCE)
        data = pattern(48, 4 * MIB)
        with in_use(system, volume, "n4") as blocks:
            blocks.write_durably(0, data)
            seen = system.make(EnterMaintenance("n3", DOMAIN))
            assert _in_maintenance(seen) == {server_name("n3", DOMAIN)}
            system.switch_off("n3")
            blocks.write_durably(0, data[::-1])
            assert blocks.read(0, len(data)) == data[::-1]
            seen = system.until("it is away", lambda seen: not all(one.connected for one in seen.servers))
            assert _in_maintenance(seen) == {server_name("n3", DOMAIN)}
            system.switch_on("n3")
            seen = system.make(ExitMaintenance("n3", DOMAIN))
            assert _in_maintenance(seen) == set()
            system.settle()
            system.switch_off("n1")  # what was missed in maintenance is there
            assert blocks.read(0, len(data)) == data[::-1]
            system.switch_on("n1")

    # --- the node's side

    def test_a_node_does_what_is_assigned_and_nothing_twice(self, system: Deployment) -> None:
        assignment = _assignment(system, "n3")
        before = _processes(system, "n3")
        assert before and all(one.running and one.process_id for one in before)
        for _ in range(2):
            assert system.handle.node_engine("n3").ensure(assignment) == []
        assert _processes(system, "n3") == before  # they outlive who started them

    def test_a_node_starts_again_what_died(self, system: Deployment) -> None:
        before = {one.name: one.process_id for one in _processes(system, "n3")}
        system.handle.kill("n3")
        assert not any(one.running for one in _processes(system, "n3"))
        node = system.handle.node_engine("n3")
        assert set(node.ensure(_assignment(system, "n3"))) == set(before)
        after = {one.name: one.process_id for one in _processes(system, "n3") if one.running}
        assert after.keys() == before.keys()
        assert not set(after.values()) & set(before.values())

    def test_a_node_ends_everything_and_begins_again(self, system: Deployment) -> None:
        names = {one.name for one in _processes(system, "n3")}
        node = system.handle.node_engine("n3")
        assert set(node.stop()) == names
        assert node.stop() == []
        assert not any(one.running for one in _processes(system, "n3"))
        assert set(node.ensure(_assignment(system, "n3"))) == names
        assert system.settle()

    # --- restarts

    @pytest.mark.parametrize("part", RestartPart)
    def test_a_part_is_started_anew_once_for_each_restart_and_nothing_else_is(
        self, system: Deployment, volume: str, part: RestartPart
    ) -> None:
        data = pattern(47, 2 * MIB)
        with in_use(system, volume, "n4") as blocks:
            blocks.write_durably(0, data)
            before = {one.name: one for one in _processes(system, "n1")}
            number = 1 + max(one.started_under or 0 for one in before.values())
            told = Step(RestartProcesses("n1", part, number), "the suite wants it")
            asked = replace(system.state, restart=Restart(number, NODES))
            system.state = intend(asked, [told], system.identity, {})
            system.assign()
            after = {one.name: one for one in _processes(system, "n1")}
            anew = {name for name, one in after.items() if one.process_id != before[name].process_id}
            assert anew == {name for name, one in before.items() if one.part is part} != set()
            assert {one.started_under for one in after.values() if one.part is part} == {number}
            assert all(one.running for one in after.values())
            again = system.handle.node_engine("n1")  # as of an agent that was started again
            assert again.ensure(_assignment(system, "n1")) == []
            assert _processes(system, "n1") == tuple(after.values())
            system.settle()
            assert blocks.read(0, len(data)) == data

    def test_what_died_is_started_under_the_last_restart_and_not_started_anew(
        self, system: Deployment
    ) -> None:
        number = 1 + max(one.started_under or 0 for one in _processes(system, "n3"))
        system.state = replace(system.state, restart=Restart(number, NODES))
        system.handle.kill("n3")
        system.assign()
        before = _processes(system, "n3")
        assert {one.started_under for one in before} == {number}
        for part in RestartPart:
            told = Step(RestartProcesses("n3", part, number), "the suite wants it")
            system.state = intend(system.state, [told], system.identity, {})
        system.assign()
        assert _processes(system, "n3") == before
        system.settle()


def _assignment(system: Deployment, node: str) -> Assignment:
    return assignment_of(system.state, node, _address(system, node))


def _processes(system: Deployment, node: str) -> tuple[SeenProcess, ...]:
    return system.handle.node_engine(node).processes()


def _address(system: Deployment, node: str) -> str:
    return system.handle.address(node)


def _hosts(seen: EngineSeen) -> set[str]:
    return {one.host for one in seen.managers}


def _unhealthy(seen: EngineSeen) -> set[str]:
    return {one.host for one in seen.managers if not one.healthy}


def _is_whole(seen: EngineSeen) -> bool:
    pool = seen.pool(POOL)
    return pool is not None and pool.is_whole


def _client(system: Deployment, seen: EngineSeen, node: str) -> bool:
    """Whether a node's client is connected."""
    return any(one.connected for one in seen.clients if one.guid == system.guid(node))


def _in_maintenance(seen: EngineSeen) -> set[str]:
    return {one.name for one in seen.servers if one.in_maintenance}


def _leader(system: Deployment) -> str:
    host = next(one.host for one in system.settle().managers if one.leads)
    return next(node for node in SERVING if _address(system, node) == host)
