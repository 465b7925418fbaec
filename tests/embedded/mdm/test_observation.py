"""What the leader remembers of what it was told."""

from __future__ import annotations

from typing import Any

import pytest

from artesian.embedded.mdm.observation import REFUSAL_KEPT_S, SETTLE_S, Observation
from artesian.embedded.state.live import DeviceLive, Live
from tests.embedded.mdm.engines import Engine, device_report


class Watcher:
    """An observation of a small engine, begun at 10 s."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.server, self.device = self.engine.servers[0], self.engine.devices[0]
        self.observation = Observation(10.0)

    def live(self, now_s: float) -> Live:
        return self.observation.live(self.engine.state, {}, now_s)

    def report(
        self, now_s: float, version: int = 1, joins: dict[str, Any] | None = None, **fields: Any
    ) -> bool:
        body = {
            "version": version,
            "devices": {self.device: device_report(**fields)},
            "joins": joins or {},
        }
        return self.observation.server_report(self.server, body, now_s)


def copying(copied_bytes: int, state: str = "copying") -> dict[str, Any]:
    return {"state": state, "copied_bytes": copied_bytes, "total_bytes": 1000, "error": None}


def test_it_settles_after_a_while_and_until_then_everybody_is_away_since_it_began() -> None:
    watcher = Watcher()
    seen = watcher.live(12.0)
    assert not seen.settled and watcher.live(10.0 + SETTLE_S).settled
    assert not seen.servers[watcher.server].connected
    assert seen.servers[watcher.server].changed_s == 10.0


def test_a_server_comes_reports_and_goes() -> None:
    watcher = Watcher()
    watcher.observation.server_connected(watcher.server, 42, 11.0)
    watcher.report(12.0, version=7, used_slots=5)
    seen = watcher.live(13.0)
    assert seen.servers[watcher.server].connected and seen.servers[watcher.server].version == 7
    assert seen.servers[watcher.server].process_id == 42
    assert seen.devices[watcher.device].used_slots == 5
    watcher.observation.server_lost(watcher.server, 14.0)
    seen = watcher.live(15.0)
    assert not seen.servers[watcher.server].connected and seen.servers[watcher.server].changed_s == 14.0
    assert seen.devices[watcher.device].used_slots == 5  # for the figures


def test_a_server_that_comes_again_has_said_nothing_yet() -> None:
    watcher = Watcher()
    watcher.observation.server_connected(watcher.server, 1, 11.0)
    watcher.report(12.0, joins={"5": copying(1)})
    watcher.observation.server_connected(watcher.server, 2, 13.0)
    seen = watcher.live(14.0)
    assert not seen.devices and not seen.joins
    assert seen.servers[watcher.server].version == 0


def test_a_report_of_who_is_not_connected_is_void() -> None:
    watcher = Watcher()
    assert not watcher.report(12.0)
    assert not watcher.live(13.0).devices


def test_devices_of_other_servers_are_not_a_servers_to_report() -> None:
    watcher = Watcher()
    watcher.device = watcher.engine.devices[1]
    watcher.observation.server_connected(watcher.server, 1, 11.0)
    watcher.report(12.0)
    assert not watcher.live(13.0).devices


def test_only_news_calls_for_action() -> None:
    watcher = Watcher()
    watcher.observation.server_connected(watcher.server, 1, 11.0)
    assert watcher.report(12.0)
    assert not watcher.report(13.0, used_slots=99, read_bytes=5)
    assert watcher.report(14.0, state="failed")
    assert not watcher.report(15.0, state="failed")
    assert watcher.report(16.0, state="failed", dropped_volumes=[3])
    assert watcher.report(17.0, state="failed", dropped_volumes=[3], joins={"1": copying(0)})
    assert not watcher.report(18.0, state="failed", dropped_volumes=[3], joins={"1": copying(9)})
    assert watcher.report(19.0, state="failed", dropped_volumes=[3], joins={"1": copying(9, "mirrored")})
    assert watcher.report(20.0, version=2, state="failed", dropped_volumes=[3])


def test_the_rate_of_a_join_follows_its_progress_smoothly() -> None:
    watcher = Watcher()
    watcher.observation.server_connected(watcher.server, 1, 11.0)
    rates = []
    for second, copied in enumerate((0, 100, 200, 200, 200)):
        watcher.report(12.0 + second, joins={"8": copying(copied)})
        rates.append(watcher.live(17.0).joins[8].rate_bytes_per_s)
    assert rates[:3] == [0.0, 100.0, 100.0]
    assert rates[2] > rates[3] > rates[4] > 0


def test_a_refusal_is_remembered_for_a_minute_though_the_device_is_gone() -> None:
    watcher = Watcher()
    watcher.observation.device_refused("f" * 16, DeviceLive("refused", error="foreign"), 20.0)
    assert watcher.live(20.0 + REFUSAL_KEPT_S - 1).devices["f" * 16].error == "foreign"
    assert "f" * 16 not in watcher.live(20.0 + REFUSAL_KEPT_S + 1).devices


def test_a_client_comes_reports_and_goes() -> None:
    watcher = Watcher()
    client = watcher.engine.add_client()
    assert not watcher.live(11.0).clients[client].connected
    watcher.observation.client_connected(client, 9, 12.0)
    watcher.observation.client_report(client, {"version": 4, "volumes": {"v": {"open": True}}})
    seen = watcher.live(13.0).clients[client]
    assert (seen.connected, seen.version, seen.process_id, seen.volumes) == (
        True,
        4,
        9,
        {"v": {"open": True}},
    )
    watcher.observation.client_lost(client, 14.0)
    assert not watcher.live(15.0).clients[client].connected


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"version": "x", "devices": {}, "joins": {}},
        {"version": 1, "devices": {"d": {"state": "on fire"}}, "joins": {}},
        {"version": 1, "devices": [], "joins": {}},
        {"version": 1, "devices": {}, "joins": {"five": {}}},
        {"version": 1, "devices": {}, "joins": {"5": {"state": "mirrored"}}},
    ],
)
def test_a_malformed_report_changes_nothing(body: dict[str, Any]) -> None:
    watcher = Watcher()
    watcher.observation.server_connected(watcher.server, 1, 11.0)
    watcher.report(12.0, used_slots=3)
    with pytest.raises((KeyError, ValueError, AttributeError, TypeError)):
        watcher.observation.server_report(watcher.server, body, 13.0)
    assert watcher.live(14.0).devices[watcher.device].used_slots == 3
