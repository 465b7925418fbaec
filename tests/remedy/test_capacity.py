"""What pools may hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.model.disk import PoolName
from artesian.model.engine import EngineSeen, SeenDevice, SeenServer
from artesian.remedy.capacity import capacities, used_share
from tests.remedy.observed import GIB, NAMES, POOL, device, engine, pool


def capacity(seen: EngineSeen) -> float:
    """In GiB."""
    return capacities(seen)[POOL] / GIB


def test_the_spare_share_is_kept() -> None:
    assert capacity(engine()) == 27
    assert capacity(engine(pools=(pool(spare_percentage=40),))) == 18


def test_what_one_unit_has_alone_does_not_count() -> None:
    large = device("node-1", size_bytes=50 * GIB)
    assert (
        capacity(engine(devices=(large, device("node-2"), device("node-3")), pools=(pool(size_bytes=0),)))
        == 36
    )
    servers = tuple(
        SeenServer(
            "s", device(name).server, "default", "left" if name != "node-3" else "right", connected=True
        )
        for name in NAMES
    )
    assert capacity(engine(servers=servers)) == 18


def test_what_has_failed_or_leaves_does_not_count() -> None:
    assert capacity(engine(devices=(device("node-1"), device("node-2"), device("node-3", failed=True)))) == 18
    assert (
        capacity(engine(devices=(device("node-1"), device("node-2"), device("node-3", leaving=True)))) == 18
    )


def test_devices_may_be_limited() -> None:
    assert capacity(engine(pools=(pool(size_bytes=15 * GIB),))) == 13.5


def test_a_single_unit_holds_no_two_copies() -> None:
    assert capacity(engine(devices=(device("node-1"),))) == 0
    assert capacity(engine(devices=())) == 0


def test_pools_have_their_own_devices() -> None:
    other = PoolName("default", "other")
    moved = replace(device("node-3"), pool=other)
    found = capacities(
        engine(devices=(device("node-1"), device("node-2"), moved), pools=(pool(), pool(name=other)))
    )
    assert found == {POOL: 18 * GIB, other: 0}


@pytest.mark.parametrize(
    ("used", "holds", "share"), [(0, 10, 0.0), (5, 10, 0.5), (12, 10, 1.0), (1, 0, None), (0, 0, None)]
)
def test_used_share(used: int, holds: int, share: float | None) -> None:
    assert used_share(pool(used_bytes=used), holds) == share


def filled(name: str, share: float) -> SeenDevice:
    """9 of a device's 10 GiB may be written by applications."""
    return device(name, used_bytes=int(9 * GIB * share), room_bytes=int(9 * GIB * (1 - share)))


def test_a_pool_is_full_when_its_fullest_device_is() -> None:
    devices = (filled("node-1", 0.9), filled("node-2", 0.6), filled("node-3", 0.6))
    uneven = pool(used_bytes=int(9 * GIB * 2.1))
    found = capacities(engine(devices=devices, pools=(uneven,)))[POOL]
    assert used_share(uneven, found) == pytest.approx(0.9)


def test_small_amounts_are_never_even() -> None:
    devices = (filled("node-1", 0.3), filled("node-2", 0.1), filled("node-3", 0.1))
    assert capacity(engine(devices=devices, pools=(pool(used_bytes=5 * GIB),))) == 27


def test_a_device_that_fails_or_leaves_does_not_make_a_pool_full() -> None:
    devices = (filled("node-1", 0.6), filled("node-2", 0.6), filled("node-3", 0.6))
    for values in ({"failed": True}, {"leaving": True}):
        bad = replace(filled("node-3", 1.0), **values)
        whole = capacities(engine(devices=(*devices[:2], bad), pools=(pool(used_bytes=11 * GIB),)))[POOL]
        assert whole / GIB == pytest.approx(18, rel=0.02)
