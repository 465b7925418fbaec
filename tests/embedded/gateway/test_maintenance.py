"""Maintenance of servers through the gateway."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .engine import MemoryEngine, Topology
from .test_rest import UNKNOWN, error_of

KIB = 1024


def act(rest: httpx.Client, server_id: str, action: str) -> httpx.Response:
    return rest.post(f"/api/instances/Sds::{server_id}/action/{action}MaintenanceMode", json={})


def maintenance_of(rest: httpx.Client, server_id: str) -> tuple[str, str]:
    server = rest.get(f"/api/instances/Sds::{server_id}").json()
    return server["maintenanceState"], server["maintenanceType"]


@pytest.fixture
def protected(engine: MemoryEngine, topology: Topology) -> Topology:
    """A volume whose slices have copies on two of the three servers each."""
    first = topology.devices[::2]
    engine.apply(
        "place_slices",
        pool_id=topology.pool,
        placements={str(n): [first[n % 3], first[(n + 1) % 3]] for n in range(16)},
    )
    engine.apply("add_volume", storage_pool_id=topology.pool, size_bytes=1 << 30, name="v")
    return topology


def figures(rest: httpx.Client, topology: Topology, *names: str) -> dict[str, Any]:
    found: dict[str, Any] = rest.get(
        f"/api/instances/StoragePool::{topology.pool}/relationships/Statistics"
    ).json()
    return {name: found[name] for name in names}


def test_a_server_enters_and_leaves_and_shows_it(rest: httpx.Client, protected: Topology) -> None:
    one, other, _ = protected.servers
    assert maintenance_of(rest, one) == ("NoMaintenance", "NoMaintenance")
    for _ in range(2):
        answer = act(rest, one, "enter")
        assert (answer.status_code, answer.json()) == (200, {})
        assert maintenance_of(rest, one) == ("InMaintenance", "IMM")
    assert maintenance_of(rest, other) == ("NoMaintenance", "NoMaintenance")
    for _ in range(2):
        assert act(rest, one, "exit").status_code == 200
        assert maintenance_of(rest, one) == ("NoMaintenance", "NoMaintenance")


def test_what_would_endanger_data_is_refused_with_a_reason(
    rest: httpx.Client, protected: Topology, engine: MemoryEngine
) -> None:
    one, other, third = protected.servers
    engine.connect_server(third, connected=False)
    assert error_of(act(rest, third, "enter"))[:2] == (500, 69)
    assert error_of(act(rest, one, "enter")) == (
        500,
        413,
        "The SDS has the only good copy within reach of 5 slices: there must be another one before it may "
        "be away",
    )
    engine.connect_server(third)
    assert act(rest, one, "enter").status_code == 200
    status, code, message = error_of(act(rest, other, "enter"))
    assert (status, code) == (500, 412) and "node1" in message
    assert error_of(rest.post(f"/api/instances/Sds::{one}/action/removeSds", json={}))[1] == 414


def test_a_server_that_is_not_there_has_its_own_code(rest: httpx.Client, topology: Topology) -> None:
    for action in ("enter", "exit"):
        assert error_of(act(rest, UNKNOWN, action))[:2] == (500, 78)


def test_the_protected_kind_of_maintenance_is_refused_clearly(rest: httpx.Client, topology: Topology) -> None:
    for action in ("enterProtected", "exitProtected"):
        status, _, message = error_of(act(rest, topology.servers[0], action))
        assert status == 400 and "not supported" in message


def test_figures_tell_what_is_in_maintenance_degraded_and_that_nothing_is_to_be_moved(
    rest: httpx.Client, protected: Topology, engine: MemoryEngine
) -> None:
    for device_id in protected.devices[::2]:
        engine.report(device_id, slot_count=10_000, used_slots=100)
    names = (
        "inMaintenanceCapacityInKb",
        "degradedHealthyCapacityInKb",
        "movingCapacityInKb",
        "pendingFwdRebuildCapacityInKb",
    )
    assert set(figures(rest, protected, *names).values()) == {0}
    act(rest, protected.servers[0], "enter")
    assert figures(rest, protected, *names) == dict(zip(names, [100 * KIB, 0, 0, 0], strict=True))
    engine.connect_server(protected.servers[0], connected=False)
    engine.apply("mark_stale", device_ids=[protected.devices[0]])
    found = figures(rest, protected, *names)
    assert found["degradedHealthyCapacityInKb"] > 0
    assert (found["movingCapacityInKb"], found["pendingFwdRebuildCapacityInKb"]) == (0, 0)
    act(rest, protected.servers[0], "exit")
    found = figures(rest, protected, *names)
    assert found["inMaintenanceCapacityInKb"] == 0 and found["pendingFwdRebuildCapacityInKb"] > 0


def test_whoever_may_only_look_may_not(rest: httpx.Client, protected: Topology, engine: MemoryEngine) -> None:
    for user in engine.state.users.values():
        user.role = "Monitor"
    assert error_of(act(rest, protected.servers[0], "enter"))[:2] == (403, 168)
    assert maintenance_of(rest, protected.servers[0])[0] == "NoMaintenance"
