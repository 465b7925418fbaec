"""What the leader does about reports and absences."""

from __future__ import annotations

from typing import Any

import pytest

from artesian.embedded.mdm.duties import (
    absent_device_ids,
    commands_for_reports,
    disconnected_device_ids,
    marking_changes,
)
from artesian.embedded.state.live import DeviceLive, Live, ServerLive
from tests.embedded.mdm.engines import Engine

NOW_S = 100.0


def live(
    engine: Engine, away_s: dict[int, float] | None = None, settled: bool = True, **options: Any
) -> Live:
    """All servers are there but those in `away_s`, by their number."""
    away_s = away_s or {}
    versions = options.get("versions", {})
    servers = {
        server_id: ServerLive(n not in away_s, NOW_S - away_s.get(n, 50.0), versions.get(n, 1000))
        for n, server_id in enumerate(engine.servers)
    }
    return Live(NOW_S, settled, servers, options.get("devices", {}))


def test_a_new_device_that_is_ready_becomes_a_member_with_what_the_server_says_of_it() -> None:
    engine = Engine(formatted=False)
    seen = live(engine, devices={engine.devices[0]: DeviceLive("ready", uuid="abc", slot_count=77)})
    expected = {"device_id": engine.devices[0], "uuid": "abc", "slot_count": 77}
    assert commands_for_reports(engine.state, seen, {}) == [("device_formatted", expected)]


@pytest.mark.parametrize("state", ["refused", "failed"])
def test_a_new_device_that_the_server_will_not_have_goes_with_the_servers_reason(state: str) -> None:
    engine = Engine(formatted=False)
    seen = live(engine, devices={engine.devices[1]: DeviceLive(state, error="it carries an ext4")})
    expected = {"device_id": engine.devices[1], "error": "it carries an ext4"}
    assert commands_for_reports(engine.state, seen, {}) == [("device_refused", expected)]


@pytest.mark.parametrize("state", ["refused", "failed"])
def test_a_member_that_does_not_work_any_more_has_failed_and_that_is_said_once(state: str) -> None:
    engine = Engine()
    seen = live(engine, devices={engine.devices[1]: DeviceLive(state, error="EIO")})
    [(name, args)] = commands_for_reports(engine.state, seen, {})
    assert (name, args) == ("device_failed", {"device_id": engine.devices[1], "error": "EIO"})
    engine.make(name, **args)
    assert commands_for_reports(engine.state, seen, {}) == []


def test_nothing_follows_from_what_a_server_said_before_it_went_away() -> None:
    engine = Engine()
    seen = live(engine, {1: 1.0}, devices={engine.devices[1]: DeviceLive("failed", error="EIO")})
    assert commands_for_reports(engine.state, seen, {}) == []


def test_devices_that_work_or_are_being_opened_need_nothing() -> None:
    engine = Engine()
    devices = {engine.devices[0]: DeviceLive("ready"), engine.devices[1]: DeviceLive("opening")}
    assert commands_for_reports(engine.state, live(engine, devices=devices), {}) == []


def test_devices_that_have_dropped_removed_volumes_are_crossed_off() -> None:
    engine = Engine()
    numbers = []
    for name in ("one", "two"):
        volume_id = engine.add_volume(name)
        numbers.append(engine.state.volumes[volume_id].number)
        engine.make("remove_volume", volume_id=volume_id)
    device = engine.devices[2]
    seen = live(engine, devices={device: DeviceLive("ready", dropped_volumes=(*numbers, 999))})
    [(name, args)] = commands_for_reports(engine.state, seen, {})
    assert (name, args) == ("volume_chunks_dropped", {"device_id": device, "numbers": numbers})


class TestThickVolumes:
    def setup_method(self) -> None:
        self.engine = Engine()
        self.volume = self.engine.state.volumes[self.engine.add_volume(thin=False)]

    def commands(self, allocated: set[int], versions: dict[int, int] | None = None) -> list[str]:
        devices = {
            device: DeviceLive("ready", allocated_volumes=(self.volume.number,) if n in allocated else ())
            for n, device in enumerate(self.engine.devices)
        }
        seen = live(self.engine, devices=devices, versions=versions or {0: 5, 1: 5, 2: 5})
        return [name for name, _ in commands_for_reports(self.engine.state, seen, {self.volume.id: 5})]

    def test_are_there_when_every_device_has_allocated_its_part(self) -> None:
        assert self.commands({0, 1, 2}) == ["volume_allocated"]

    def test_are_not_there_while_one_device_has_not(self) -> None:
        assert self.commands({0, 2}) == []

    def test_are_not_there_while_one_server_may_speak_of_an_earlier_size(self) -> None:
        assert self.commands({0, 1, 2}, versions={0: 5, 1: 4, 2: 5}) == []


class TestAbsentServers:
    def test_lose_their_copies_after_two_seconds(self) -> None:
        engine = Engine()
        assert absent_device_ids(engine.state, live(engine, {1: 1.9})) == []
        assert absent_device_ids(engine.state, live(engine, {1: 2.0})) == [engine.devices[1]]

    def test_lose_nothing_while_the_leader_is_new(self) -> None:
        engine = Engine()
        assert absent_device_ids(engine.state, live(engine, {1: 50.0}, settled=False)) == []

    def test_are_marked_only_once(self) -> None:
        engine = Engine()
        engine.make("mark_stale", device_ids=[engine.devices[1]])
        assert absent_device_ids(engine.state, live(engine, {1: 9.0})) == []

    def test_keep_copies_whose_partner_has_gone_as_well(self) -> None:
        engine = Engine(servers=2)
        assert absent_device_ids(engine.state, live(engine, {0: 2.0, 1: 2.5})) == []

    def test_are_waited_for_together_when_they_go_one_after_the_other(self) -> None:
        engine = Engine()
        assert absent_device_ids(engine.state, live(engine, {0: 2.1, 1: 1.5})) == []
        assert absent_device_ids(engine.state, live(engine, {0: 2.6, 1: 2.0})) == sorted(engine.devices[:2])

    def test_are_not_waited_for_for_ever(self) -> None:
        engine = Engine()
        assert absent_device_ids(engine.state, live(engine, {0: 4.0, 1: 0.1})) == [engine.devices[0]]

    def test_lose_the_joins_they_took_part_in_even_with_the_last_copy(self) -> None:
        engine = Engine()
        engine.add_volume()
        engine.make("mark_stale", device_ids=[engine.devices[1]])
        source, stale = (copy.device_id for copy in engine.state.storage_pools[engine.pool].slices[0].copies)
        join = {"slice": 0, "source": source, "target": stale, "replaces": stale, "reason": "resync"}
        engine.make("begin_joins", pool_id=engine.pool, joins=[join])
        assert absent_device_ids(engine.state, live(engine, {1: 2.0})) == [engine.devices[1]]


def test_servers_that_are_away_for_a_moment_count_when_a_client_complains_but_not_before_we_can_know() -> (
    None
):
    engine = Engine()
    assert disconnected_device_ids(engine.state, live(engine, {1: 0.1})) == {engine.devices[1]}
    assert disconnected_device_ids(engine.state, live(engine, {1: 0.1}, settled=False)) == set()


def test_marking_changes_nothing_when_the_other_copy_is_away_stale_or_not_there() -> None:
    engine = Engine(servers=2)
    first, second = engine.devices
    assert marking_changes(engine.state, {first})
    assert not marking_changes(engine.state, {first}, {second})
    assert not marking_changes(engine.state, {first, second})
    assert not marking_changes(engine.state, {"another"})
    engine.make("mark_stale", device_ids=[first])
    assert not marking_changes(engine.state, {first})
    assert not marking_changes(engine.state, {second})
