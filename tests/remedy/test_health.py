"""What is known of the health of devices: how many errors, how slow beside the others, what disks say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artesian.model.disk import Disk, DiskSays, PoolName
from artesian.model.engine import EngineSeen, SeenDevice
from artesian.model.node import Node
from artesian.model.observation import Observation
from artesian.model.rule import Scope
from artesian.remedy.checking import read_whole_spec
from artesian.remedy.firing import FiringMemory, evaluate
from artesian.remedy.health import device_health
from artesian.remedy.looking import Look, look
from artesian.remedy.measuring import Measured
from tests.remedy.observed import GIB, device, engine, identity, nodes, seen, state

POOL, OTHER = PoolName("a", "b"), PoolName("a", "c")


def one(name: str, pool: PoolName = POOL, **values: float | None) -> SeenDevice:
    return replace(SeenDevice(name, name, "s", "/dev/sdb", pool, GIB), **values)  # type: ignore[arg-type]


def health(*devices: SeenDevice) -> Mapping[str, Mapping[str, float]]:
    return device_health(Observation(engine=EngineSeen("s", devices=devices)))


# --- what is measured


def test_an_engine_that_measures_nothing_is_no_reason_to_know_anything() -> None:
    assert health(one("d")) == {}
    assert device_health(Observation()) == {}


def test_errors_are_counted() -> None:
    assert health(one("d", error_count=0), one("e", error_count=7)) == {
        "d": {"error_count": 0},
        "e": {"error_count": 7},
    }


def test_a_device_is_compared_with_three_others_at_least() -> None:
    three = [one(f"d{n}", read_latency_s=0.001 * n) for n in (1, 2, 3)]
    assert health(*three)["d1"] == {"latency_s": 0.001}
    found = health(*three, one("d9", read_latency_s=0.5))
    assert found["d9"] == {"latency_s": 0.5, "peers_latency_s": 0.002}
    assert found["d1"] == {"latency_s": 0.001, "peers_latency_s": 0.003}


def test_other_pools_and_failed_devices_are_no_peers() -> None:
    three = [one(f"d{n}", read_latency_s=0.001) for n in (1, 2, 3)]
    away = one("e", OTHER, read_latency_s=0.001)
    broken = replace(one("f", read_latency_s=0.001), failed=True)
    assert health(*three, away, broken)["d1"] == {"latency_s": 0.001}


def test_reads_are_compared_with_reads_and_writes_with_writes() -> None:
    """A device that only writes, which takes longer, is not slow beside those that only read."""
    reading = [one(f"r{n}", read_latency_s=0.001, write_latency_s=0.1) for n in range(4)]
    found = health(
        *reading, one("w", write_latency_s=0.1), one("x", read_latency_s=0.05, write_latency_s=0.1)
    )
    assert found["w"] == {"latency_s": 0.1, "peers_latency_s": 0.1}
    assert found["x"] == {"latency_s": 0.05, "peers_latency_s": 0.001}


@given(st.lists(st.integers(1, 99), min_size=4, max_size=12))
def test_peers_are_the_others(thousandths: list[int]) -> None:
    devices = [one(f"d{n}", read_latency_s=value / 1000) for n, value in enumerate(thousandths)]
    found = health(*devices)
    for number, value in enumerate(thousandths):
        others = [*thousandths[:number], *thousandths[number + 1 :]]
        assert found[f"d{number}"]["latency_s"] == pytest.approx(value / 1000)
        assert found[f"d{number}"]["peers_latency_s"] == pytest.approx(median(others) / 1000, rel=0.05)


def test_what_a_disk_says_is_said_of_its_device() -> None:
    disks = (Disk("/dev/sdb", identity("node-2"), GIB, smart=DiskSays(True, "worn out")),)
    there = tuple(replace(node, disks=disks if node.name == "node-2" else ()) for node in nodes())
    found = device_health(seen(nodes=there))
    assert found == {device("node-2").name: {"smart_failing": 1}}


def test_an_engine_may_know_of_a_failing_disk_when_the_disk_says_nothing() -> None:
    assert health(replace(one("d"), media_failing=True)) == {"d": {"smart_failing": 1}}
    fine = Node("n", "10.0.0.1", disks=(Disk("/dev/sdb", "x", GIB, smart=DiskSays(False)),))
    assert device_health(Observation((fine,), EngineSeen("s"))) == {}


# --- the rules that hold by default


def fires(**values: float) -> list[str]:
    """The rules that fire for a device of ours that has been like this for ten minutes."""
    rules = [rule for rule in read_whole_spec("").rules if rule.scope is Scope.DEVICE]
    measured = (
        Measured(Scope.CLUSTER, "cluster", {"engine_up": 1}),
        Measured(Scope.DEVICE, "d", {"failed": 0, "leaving": 0, "ours": 1, "size_bytes": GIB, **values}),
    )
    memory = FiringMemory()
    for at in range(121):
        firings, memory = evaluate(rules, measured, memory, 5.0 * at)
    return [firing.rule for firing in firings]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"error_count": 20, "smart_failing": 0},
        {"latency_s": 0.19, "peers_latency_s": 0.001},  # a fast pool
        {"latency_s": 3.0, "peers_latency_s": 0.4},  # a slow pool
        {"latency_s": 3.0},  # nobody to compare it with
        {"failed": 1, "error_count": 99, "smart_failing": 1, "ours": 0},
    ],
)
def test_a_device_that_is_as_it_may_be_is_left_alone(values: dict[str, float]) -> None:
    assert fires(**values) == []


@pytest.mark.parametrize(
    ("values", "rules"),
    [
        ({"error_count": 21}, ["sick-device"]),
        ({"latency_s": 0.3, "peers_latency_s": 0.02}, ["sick-device"]),
        ({"smart_failing": 1}, ["failing-disk"]),
        ({"failed": 1, "smart_failing": 1, "error_count": 99}, ["replace-device"]),
    ],
)
def test_a_sick_device_is_to_be_replaced(values: dict[str, float], rules: list[str]) -> None:
    assert fires(**values) == rules


def test_a_remedy_says_what_is_wrong() -> None:
    slow = {device(name).name: {"error_count": 31.0} for name in ("node-1",)}
    now = Look()
    for at in range(70):
        now = look(now, read_whole_spec(""), seen(), state(), 5.0 * at, device_health=slow)
    (firing,) = now.firings.values()
    assert firing.because == "device /dev/sdb of node node-1 has had 31 errors"
    assert engine().devices[0].name == firing.thing
