"""The replicated state under its commands: refusals change nothing, and copies are never given up lightly."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.embedded.assignment import client_map, server_assignment
from artesian.embedded.errors import CommandRefused
from artesian.embedded.state.codec import state_from_json, state_to_json
from artesian.embedded.state.commands import apply
from artesian.embedded.state.model import CopyState, State
from artesian.embedded.state.refusals import DEVICE_STILL_FAILS
from artesian.embedded.state.slices import fault_unit

GIB = 1 << 30
RANDOM = "0badcafe"


class Engine:
    """A state with servers and a pool, and short words for its commands."""

    def __init__(self, servers: int = 3, slices: int = 16) -> None:
        self.state = State()
        manager = {"id": "m", "name": "m", "ip": "127.0.0.1", "raft_port": 1, "control_port": 2}
        self.do(
            "bootstrap", name="engine", system_id="1" * 16, install_id="2" * 16, token_key="00",
            random=RANDOM, password_hash="x", managers=[manager],
        )  # fmt: skip
        self.domain = self.do("add_protection_domain", random=RANDOM, name="domain")["id"]
        self.pool = self.do(
            "add_storage_pool",
            random=RANDOM,
            protection_domain_id=self.domain,
            name="pool",
            slice_count=slices,
        )["id"]
        self.devices = [self.add_server(number) for number in range(servers)]
        count = len(self.devices)
        placements = {
            str(index): [self.devices[index % count], self.devices[(index + 1) % count]][: min(2, count)]
            for index in range(slices)
        }
        if count:
            self.do("place_slices", pool_id=self.pool, placements=placements)

    def do(self, command: str, /, **args: Any) -> dict[str, Any]:
        return apply(self.state, command, args)

    def refused(self, code: int, command: str, /, **args: Any) -> str:
        """The refusal's text; nothing may have changed."""
        before = state_to_json(self.state)
        with pytest.raises(CommandRefused) as refusal:
            self.do(command, **args)
        assert state_to_json(self.state) == before
        assert refusal.value.code == code, refusal.value.message
        return refusal.value.message

    def add_server(self, number: int) -> str:
        server = self.do(
            "add_server", random=RANDOM, protection_domain_id=self.domain, ips=[{"ip": f"127.0.1.{number}"}]
        )["id"]
        device = self.do(
            "add_device", random=RANDOM, server_id=server, storage_pool_id=self.pool, path=f"/disk{number}"
        )["id"]
        self.do("device_formatted", device_id=device, uuid=f"uuid-{number}", slot_count=100)
        return str(device)

    def add_volume(self, name: str = "volume", **more: Any) -> str:
        volume = self.do(
            "add_volume", random=RANDOM, storage_pool_id=self.pool, size_bytes=GIB, name=name, **more
        )["id"]
        return str(volume)

    def add_client(self, name: str = "client") -> str:
        return str(self.do("register_client", random=RANDOM, guid=name, name=name, ip="1")["client_id"])

    @property
    def slices(self) -> list[Any]:
        return self.state.storage_pools[self.pool].slices

    def in_sync(self, index: int) -> list[str]:
        return [one.device_id for one in self.slices[index].copies if one.state is CopyState.IN_SYNC]


def test_names_are_unique_and_at_most_31_characters() -> None:
    engine = Engine()
    engine.add_volume("data")
    size = {"random": RANDOM, "storage_pool_id": engine.pool, "size_bytes": GIB}
    text = engine.refused(99, "add_volume", name="data", **size)
    assert text == "Volume name already in use. Please use a different name."
    engine.refused(401, "add_volume", name="x" * 32, **size)
    engine.refused(141, "add_protection_domain", random=RANDOM, name="domain")


@pytest.mark.parametrize("size", [0, -GIB, GIB + 1, 1 << 51])
def test_sizes_off_the_grid_are_refused(size: int) -> None:
    engine = Engine()
    engine.refused(408, "add_volume", random=RANDOM, storage_pool_id=engine.pool, size_bytes=size, name="v")


def test_a_volume_grows_and_never_shrinks() -> None:
    engine = Engine()
    volume = engine.add_volume()
    engine.do("grow_volume", volume_id=volume, size_bytes=3 * GIB)
    assert "smaller" in engine.refused(133, "grow_volume", volume_id=volume, size_bytes=2 * GIB)


def test_a_volume_has_one_writer() -> None:
    engine = Engine()
    volume, one, two = engine.add_volume(), engine.add_client("one"), engine.add_client("two")
    engine.do("map_volume", volume_id=volume, client_id=one)
    engine.refused(81, "map_volume", volume_id=volume, client_id=one)
    engine.refused(306, "map_volume", volume_id=volume, client_id=two)
    engine.refused(306, "map_volume", volume_id=volume, client_id=two, allow_multiple=True)
    engine.do("map_volume", volume_id=volume, client_id=two, allow_multiple=True, access_mode="ReadOnly")
    engine.refused(306, "set_mapping_access_mode", volume_id=volume, client_id=two, access_mode="ReadWrite")
    engine.refused(104, "remove_volume", volume_id=volume)


def test_every_opening_and_every_end_of_a_writer_raises_the_epoch() -> None:
    engine = Engine()
    volume, client = engine.add_volume(), engine.add_client()
    engine.do("map_volume", volume_id=volume, client_id=client)
    epochs = [engine.do("open_volume", volume_id=volume, client_id=client)["epoch"] for _ in range(3)]
    engine.do("unmap_volume", volume_id=volume, client_id=client)
    epochs.append(engine.state.volumes[volume].epoch)
    assert epochs == sorted(set(epochs))
    engine.refused(3, "open_volume", volume_id=volume, client_id=client)


def test_a_thick_volume_that_does_not_fit_is_refused() -> None:
    engine = Engine()
    size = {"random": RANDOM, "storage_pool_id": engine.pool, "size_bytes": GIB, "name": "v", "thin": False}
    engine.refused(67, "add_volume", available_bytes=2 * GIB - 1, **size)
    engine.refused(67, "add_volume", **size)
    engine.do("add_volume", available_bytes=2 * GIB, **size)


def test_the_chunks_of_a_removed_volume_are_dropped_by_every_device() -> None:
    engine = Engine()
    volume = engine.add_volume()
    number = engine.state.volumes[volume].number
    engine.do("remove_volume", volume_id=volume)
    for device in engine.devices:
        server = engine.state.devices[device].server_id
        assert server_assignment(engine.state, server)["devices"][device]["drop_volumes"] == [number]
        engine.do("volume_chunks_dropped", device_id=device, numbers=[number])
    assert not engine.state.deleted_volumes


def test_marking_a_copy_stale_raises_the_generation_and_keeps_the_last_one() -> None:
    engine = Engine()
    engine.add_volume()
    before = [one.generation for one in engine.slices]
    engine.do("mark_stale", device_ids=[engine.devices[0]])
    for index, one in enumerate(engine.slices):
        touched = engine.devices[0] in [copy.device_id for copy in one.copies]
        assert one.generation == before[index] + touched
        assert engine.devices[0] not in engine.in_sync(index)
    engine.do("mark_stale", device_ids=engine.devices)
    assert all(engine.in_sync(index) for index in range(len(engine.slices)))


def test_a_copy_that_is_joined_replaces_the_stale_one() -> None:
    engine = Engine(servers=3)
    engine.add_volume()
    a, b, c = engine.devices
    engine.do("mark_stale", device_ids=[a])
    join = {"slice": 0, "source": b, "target": c, "replaces": a, "reason": "rebuild"}
    (job,) = engine.do("begin_joins", pool_id=engine.pool, joins=[join])["job_ids"]
    assert (
        server_assignment(engine.state, engine.state.devices[c].server_id)["devices"][c]["slices"]["0"][0]
        == "joining"
    )
    engine.refused(62, "begin_joins", pool_id=engine.pool, joins=[join])
    engine.do("finish_joins", jobs=[[engine.pool, 0, job]])
    assert sorted(engine.in_sync(0)) == sorted([b, c])
    assert engine.do("finish_joins", jobs=[[engine.pool, 0, job]])["finished"] == 0


@pytest.mark.parametrize(
    "join",
    [
        {"slice": 0, "source": 2, "target": 1, "replaces": 0, "reason": "rebuild"},  # the source has no copy
        {"slice": 0, "source": 1, "target": 1, "replaces": 0, "reason": "rebuild"},  # has a copy already
        {"slice": 0, "source": 1, "target": 2, "replaces": None, "reason": "rebuild"},  # a third copy
        {"slice": 99, "source": 1, "target": 2, "replaces": 0, "reason": "rebuild"},
        {"slice": 0, "source": 1, "target": 2, "replaces": 0, "reason": "fun"},
    ],
)
def test_joins_that_make_no_sense_are_refused(join: dict[str, Any]) -> None:
    engine = Engine()
    engine.add_volume()
    named = {
        key: engine.devices[value] if key in ("source", "target", "replaces") and value is not None else value
        for key, value in join.items()
    }
    engine.refused(62, "begin_joins", pool_id=engine.pool, joins=[named])


def test_slices_with_data_are_not_placed_by_decree() -> None:
    engine = Engine()
    engine.add_volume()
    engine.refused(62, "place_slices", pool_id=engine.pool, placements={"0": [engine.devices[2]]})


def test_a_device_whose_data_has_no_room_elsewhere_is_not_removed() -> None:
    engine = Engine()
    engine.add_volume()
    slots = dict.fromkeys(engine.devices, 70)
    assert "10 MiB" in engine.refused(406, "remove_device", device_id=engine.devices[0], device_slots=slots)
    engine.do("remove_device", device_id=engine.devices[0], device_slots=dict.fromkeys(engine.devices, 40))


def test_removal_that_would_leave_one_copy_needs_force() -> None:
    engine = Engine(servers=2)
    engine.add_volume()
    server = engine.state.devices[engine.devices[0]].server_id
    engine.refused(407, "remove_server", server_id=server, device_slots={})
    engine.do("remove_server", server_id=server, device_slots={}, force=True)


def test_managers_change_one_at_a_time() -> None:
    engine = Engine()
    managers = [
        {"id": name, "name": name, "ip": "127.0.0.1", "raft_port": number, "control_port": 9}
        for number, name in enumerate("mno", 1)
    ]
    engine.refused(411, "set_managers", managers=managers)
    engine.refused(411, "set_managers", managers=managers[1:2])
    engine.do("set_managers", managers=managers[:2])
    engine.refused(411, "set_managers", managers=[managers[0], managers[1] | {"ip": "127.0.0.2"}])
    engine.refused(62, "set_managers", managers=[managers[0], managers[1] | {"raft_port": 1}])
    engine.refused(62, "set_managers", managers=[managers[1] | {"role": "TieBreaker"}])
    engine.do("set_managers", managers=managers[1:2])


def test_a_client_gets_only_the_slices_that_changed() -> None:
    engine = Engine()
    volume, client = engine.add_volume(), engine.add_client()
    engine.do("map_volume", volume_id=volume, client_id=client)
    version = engine.state.version
    engine.do("mark_stale", device_ids=[engine.devices[0]])
    changed = client_map(engine.state, client, version)["pools"][engine.pool]["slices"]
    touched = {
        str(index)
        for index, one in enumerate(engine.slices)
        if engine.devices[0] in [copy.device_id for copy in one.copies]
    }
    assert set(changed) == touched
    assert len(client_map(engine.state, client)["pools"][engine.pool]["slices"]) == len(engine.slices)


device = st.integers(0, 3)
machine_command = st.one_of(
    st.tuples(st.just("mark_stale"), st.lists(device, max_size=3)),
    st.tuples(st.just("begin"), st.tuples(st.integers(0, 7), device, device, st.none() | device)),
    st.tuples(st.just("finish"), st.integers(0, 7)),
    st.tuples(st.just("abort"), st.integers(0, 7)),
    st.tuples(st.just("fail"), device),
    st.tuples(st.just("replay"), st.integers(0, 7)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(machine_command, max_size=25))
def test_no_order_of_commands_gives_up_the_last_copy_or_puts_two_in_one_unit(commands: list[Any]) -> None:
    """Also when jobs are finished or aborted twice, late, or after their slice has changed."""
    engine = Engine(servers=4, slices=8)
    engine.add_volume()
    jobs: dict[int, list[Any]] = {}
    for name, argument in commands:
        before = copy.deepcopy(engine.state)
        try:
            if name == "mark_stale":
                engine.do("mark_stale", device_ids=[engine.devices[n] for n in argument])
            elif name == "begin":
                index, source, target, replaces = argument
                join = {
                    "slice": index,
                    "source": engine.devices[source],
                    "target": engine.devices[target],
                    "replaces": None if replaces is None else engine.devices[replaces],
                    "reason": "rebuild",
                }
                (job,) = engine.do("begin_joins", pool_id=engine.pool, joins=[join])["job_ids"]
                jobs[index] = [engine.pool, index, job]
            elif name in ("finish", "replay") and argument in jobs:
                engine.do("finish_joins", jobs=[jobs[argument]])
            elif name == "abort" and argument in jobs:
                engine.do("abort_joins", jobs=[jobs[argument]])
            elif name == "fail":
                engine.do("device_failed", device_id=engine.devices[argument], error="I/O error")
        except CommandRefused:
            assert engine.state == before
        assert engine.state.version >= before.version
        for index, one in enumerate(engine.slices):
            good = engine.in_sync(index)
            assert good, "the last in-sync copy is gone"
            units = [fault_unit(engine.state, copy.device_id) for copy in one.copies]
            assert len(units) == len(set(units)) <= 2
            old = before.storage_pools[engine.pool].slices[index]
            old_good = [copy.device_id for copy in old.copies if copy.state is CopyState.IN_SYNC]
            if sorted(good) != sorted(old_good):
                assert one.generation > old.generation
            if one != old:
                assert one.version == engine.state.version
    document = json.loads(json.dumps(state_to_json(engine.state)))
    assert state_from_json(document) == engine.state


def test_a_device_that_still_fails_is_not_said_to_be_well() -> None:
    engine = Engine()
    device_id = engine.devices[0]
    engine.do("device_failed", device_id=device_id, error="it is gone")
    text = engine.refused(
        DEVICE_STILL_FAILS,
        "clear_device_error",
        device_id=device_id,
        device_problems={device_id: "no such file"},
    )
    assert text == "The device still fails: no such file"
    assert engine.state.devices[device_id].error == "it is gone"
    engine.do("clear_device_error", device_id=device_id, device_problems={engine.devices[1]: "it is away"})
    assert engine.state.devices[device_id].error is None
