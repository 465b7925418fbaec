"""Who may be in maintenance: one fault unit of a domain at a time, and none with the last good copy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.embedded.errors import CommandRefused
from artesian.embedded.state.codec import state_from_json, state_to_json
from artesian.embedded.state.model import CopyState, Server
from artesian.embedded.state.slices import fault_unit
from tests.embedded.state.test_commands import RANDOM, Engine


class Maintained(Engine):
    """An engine with a volume, of which the servers in `away` are not connected."""

    def __init__(self, servers: int = 3, slices: int = 16, *, volume: bool = True) -> None:
        super().__init__(servers, slices)
        self.away: set[str] = set()
        if volume:
            self.add_volume()

    def server(self, number: int) -> Server:
        return self.state.servers[self.state.devices[self.devices[number]].server_id]

    def figures(self) -> dict[str, list[str]]:
        """What the leading manager adds."""
        return {
            "connected_servers": [id for id in self.state.servers if id not in self.away],
            "answering_devices": [
                id
                for id, device in self.state.devices.items()
                if device.server_id not in self.away and device.error is None
            ],
        }

    def enter(self, number: int) -> None:
        self.do("enter_maintenance", server_id=self.server(number).id, **self.figures())

    def refuses(self, code: int, number: int) -> str:
        return self.refused(code, "enter_maintenance", server_id=self.server(number).id, **self.figures())

    def exit(self, number: int) -> None:
        self.do("exit_maintenance", server_id=self.server(number).id)

    def join(self, index: int, source: int, target: int, replaces: int, reason: str) -> dict[str, Any]:
        return {
            "slice": index,
            "source": self.devices[source],
            "target": self.devices[target],
            "replaces": self.devices[replaces],
            "reason": reason,
        }


def test_a_server_enters_and_leaves_and_doing_so_twice_is_fine() -> None:
    engine = Maintained()
    for _ in range(2):
        engine.enter(0)
        assert engine.server(0).in_maintenance
    engine.away.add(engine.server(0).id)
    engine.enter(0)
    for _ in range(2):
        engine.exit(0)
        assert not engine.server(0).in_maintenance


def test_nothing_of_its_data_is_touched() -> None:
    engine = Maintained()
    before = state_to_json(engine.state)["storage_pools"]
    engine.enter(0)
    assert state_to_json(engine.state)["storage_pools"] == before


def test_a_server_that_there_is_not_is_refused() -> None:
    engine = Maintained()
    engine.refused(78, "enter_maintenance", server_id="none", **engine.figures())
    engine.refused(78, "exit_maintenance", server_id="none")


def test_only_one_server_of_a_domain_may_be_in_maintenance() -> None:
    engine = Maintained()
    engine.enter(0)
    assert engine.server(0).name in engine.refuses(412, 1)
    engine.exit(0)
    engine.enter(1)


def test_another_domain_has_one_of_its_own() -> None:
    engine = Maintained()
    engine.enter(0)
    domain = engine.do("add_protection_domain", random=RANDOM, name="other")["id"]
    other = engine.do("add_server", random=RANDOM, protection_domain_id=domain, ips=[{"ip": "127.0.9.1"}])[
        "id"
    ]
    engine.do("enter_maintenance", server_id=other, **engine.figures())
    assert engine.state.servers[other].in_maintenance


def test_servers_of_one_fault_set_may_be_in_maintenance_together() -> None:
    engine = Maintained(servers=4, volume=False)
    for number, fault_set in enumerate("xyxy"):
        engine.server(number).fault_set_id = fault_set
    engine.add_volume()
    engine.enter(0)
    engine.enter(2)
    engine.refuses(412, 1)


def test_a_server_that_is_away_is_refused() -> None:
    engine = Maintained()
    engine.away.add(engine.server(0).id)
    assert "not connected" in engine.refuses(69, 0)


def test_a_server_with_the_only_good_copies_is_refused_and_told_how_many() -> None:
    engine = Maintained()
    engine.do("mark_stale", device_ids=[engine.devices[1]])
    alone = sum(engine.in_sync(index) == [engine.devices[0]] for index in range(len(engine.slices)))
    assert f"of {alone} slices" in engine.refuses(413, 0)
    engine.enter(1)


def test_a_good_copy_out_of_reach_does_not_count() -> None:
    engine = Maintained()
    engine.away.add(engine.server(1).id)
    engine.refuses(413, 0)


def test_a_good_copy_in_maintenance_does_not_count() -> None:
    """It is no partner's at first; but its server may have come to another fault set since."""
    engine = Maintained()
    engine.server(0).fault_set_id = "x"
    engine.enter(0)
    engine.server(1).fault_set_id = "x"
    engine.refuses(413, 1)


def test_the_only_server_of_a_domain_may_not_enter_unless_there_is_no_data() -> None:
    engine = Maintained(servers=1, volume=False)
    engine.enter(0)
    engine.exit(0)
    engine.add_volume()
    engine.refuses(413, 0)


def test_a_server_that_is_being_emptied_is_refused() -> None:
    engine = Maintained(servers=4)
    engine.do("remove_device", device_id=engine.devices[0], device_slots={})
    engine.refuses(135, 0)
    engine.do("remove_server", server_id=engine.server(1).id, device_slots={})
    engine.refuses(103, 1)


def test_a_server_in_maintenance_is_not_emptied_not_even_by_force() -> None:
    engine = Maintained(servers=4)
    engine.enter(0)
    for force in (False, True):
        more: dict[str, Any] = {"device_slots": {}, "force": force}
        engine.refused(414, "remove_device", device_id=engine.devices[0], **more)
        engine.refused(414, "remove_server", server_id=engine.server(0).id, **more)
    engine.exit(0)
    engine.do("remove_server", server_id=engine.server(0).id, device_slots={})


def test_no_copy_is_placed_on_it_or_made_there() -> None:
    engine = Maintained(servers=4)
    engine.enter(0)
    index = next(n for n in range(16) if engine.devices[0] not in engine.in_sync(n))
    one, other = (engine.devices.index(device) for device in engine.in_sync(index))
    join = engine.join(index, one, 0, other, "rebalance")
    engine.refused(62, "begin_joins", pool_id=engine.pool, joins=[join])
    engine.slices[index].copies.clear()
    placements = {str(index): [engine.devices[0], engine.devices[one]]}
    engine.refused(62, "place_slices", pool_id=engine.pool, placements=placements)


def test_a_stale_copy_there_may_be_brought_up_to_date() -> None:
    engine = Maintained()
    engine.enter(0)
    engine.do("mark_stale", device_ids=[engine.devices[0]])
    (source,) = engine.in_sync(0)
    join = engine.join(0, engine.devices.index(source), 0, 0, "resync")
    (job,) = engine.do("begin_joins", pool_id=engine.pool, joins=[join])["job_ids"]
    engine.do("finish_joins", jobs=[[engine.pool, 0, job]])
    assert len(engine.in_sync(0)) == 2


@pytest.mark.parametrize(
    ("join", "goes_on"),
    [
        ((0, 0, 2, 1, "rebalance"), False),  # from it
        ((0, 1, 2, 0, "rebalance"), False),  # in its place
        ((1, 1, 0, 2, "rebalance"), False),  # to it
        ((1, 1, 3, 2, "rebalance"), True),  # among the others
    ],
)
def test_what_moves_there_or_away_is_given_up_and_can_no_longer_be_completed(
    join: tuple[int, int, int, int, str], goes_on: bool
) -> None:
    engine = Maintained(servers=4)
    described = engine.join(*join)
    (job,) = engine.do("begin_joins", pool_id=engine.pool, joins=[described])["job_ids"]
    generation = engine.slices[join[0]].generation
    engine.enter(0)
    assert (engine.slices[join[0]].join is not None) is goes_on
    assert (engine.slices[join[0]].generation == generation) is goes_on
    assert engine.do("finish_joins", jobs=[[engine.pool, join[0], job]])["finished"] == goes_on


def test_it_is_kept_and_a_state_from_before_there_was_maintenance_has_none() -> None:
    engine = Maintained()
    engine.enter(0)
    document = json.loads(json.dumps(state_to_json(engine.state)))
    assert state_from_json(document) == engine.state
    for server in document["servers"].values():
        del server["in_maintenance"]
    old = state_from_json(document)
    assert not any(server.in_maintenance for server in old.servers.values())


number = st.integers(0, 3)
command = st.one_of(
    st.tuples(st.sampled_from(["enter", "exit", "go", "come", "stale", "fail"]), number),
    st.tuples(st.just("mend"), st.integers(0, 7)),
)


@settings(max_examples=200, deadline=None)
@given(st.booleans(), st.lists(command, max_size=25))
def test_whoever_enters_leaves_a_good_copy_within_reach_of_all_that_it_had(
    fault_sets: bool, commands: list[tuple[str, int]]
) -> None:
    engine = Maintained(servers=4, slices=8, volume=False)
    if fault_sets:
        for n, name in enumerate("xyxz"):
            engine.server(n).fault_set_id = name
    engine.add_volume()
    for what, n in commands:
        before = state_to_json(engine.state)
        try:
            _carry_out(engine, what, n)
        except CommandRefused:
            assert state_to_json(engine.state) == before
            continue
        if what == "enter" and not before["servers"][engine.server(n).id]["in_maintenance"]:
            _check_within_reach(engine, n)
    assert state_from_json(json.loads(json.dumps(state_to_json(engine.state)))) == engine.state


def _carry_out(engine: Maintained, what: str, n: int) -> None:
    match what:
        case "enter":
            engine.enter(n)
        case "exit":
            engine.exit(n)
        case "go":
            engine.away.add(engine.server(n).id)
        case "come":
            engine.away.discard(engine.server(n).id)
        case "stale":
            engine.do("mark_stale", device_ids=[engine.devices[n]])
        case "fail":
            engine.do("device_failed", device_id=engine.devices[n], error="I/O error")
        case "mend":
            for copy in engine.slices[n].copies:
                copy.state = CopyState.IN_SYNC


def _check_within_reach(engine: Maintained, n: int) -> None:
    units = {
        fault_unit(engine.state, device)
        for device in engine.devices
        if engine.state.servers[engine.state.devices[device].server_id].in_maintenance
    }
    assert units == {fault_unit(engine.state, engine.devices[n])}
    answering = engine.figures()["answering_devices"]
    for index in range(len(engine.slices)):
        good = engine.in_sync(index)
        if engine.devices[n] in good:
            others = [device for device in good if device in answering and device != engine.devices[n]]
            assert others and fault_unit(engine.state, others[0]) not in units
