"""What pools lose with disks, and what they promise beyond what they have, is said beforehand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.model.disk import Claim, PoolName
from artesian.model.engine import SeenVolume
from artesian.model.names import device_name
from artesian.model.state import FrameworkState
from artesian.model.wishes import VolumeWish
from artesian.remedy.consequences import loss_of, loss_of_disk, promised_too_much
from tests.remedy.observed import GIB, NAMES, POOL, device, engine, identity, pool, state

# Three nodes with a disk of 10 GiB each: 27 GiB without the spare share.


def claim(node: str) -> Claim:
    """Of a node's one disk."""
    return state().claims[identity(node)]


def wishes(**sizes_gib: int) -> FrameworkState:
    """Volumes that are not made yet."""
    return state(volumes={name: VolumeWish(name, POOL, size * GIB) for name, size in sizes_gib.items()})


def test_a_disk_is_what_its_pool_loses() -> None:
    loss = loss_of_disk(engine(), claim("node-3"))
    assert loss is not None
    assert (loss.has_bytes, loss.left_bytes, loss.used_bytes, loss.fits) == (
        27 * GIB,
        18 * GIB,
        9 * GIB,
        True,
    )
    assert loss.because == (
        "without /dev/sdb of node node-3 pool default/default may hold 18.0 GiB instead of 27.0 GiB (both "
        "copies), and holds 9.0 GiB"
    )


def test_what_does_not_fit_without_it_is_said() -> None:
    loss = loss_of_disk(engine(pools=(pool(used_bytes=20 * GIB),)), claim("node-3"))
    assert loss is not None and not loss.fits
    assert loss.because.endswith("and holds 20.0 GiB: it does not fit; give it another disk first")


def test_two_copies_need_two_places() -> None:
    two = engine(devices=tuple(map(device, NAMES[:2])))
    loss = loss_of_disk(two, claim("node-2"))
    assert loss is not None and (loss.left_bytes, loss.fits) == (0, False)
    assert "has no two places left for two copies of anything: it does not fit" in loss.because
    empty = loss_of_disk(replace(two, pools=(pool(used_bytes=0),)), claim("node-2"))
    assert empty is not None and empty.fits


def test_several_are_weighed_together() -> None:
    names = {device_name(identity(name)) for name in NAMES[:2]}
    loss = loss_of(engine(), POOL, names)
    assert loss is not None and not loss.fits
    assert loss.because.startswith("without these 2 disks pool default/default")


def test_one_that_is_in_no_pool_takes_nothing_away() -> None:
    other = PoolName("default", "other")
    assert loss_of_disk(engine(), replace(claim("node-1"), identity="serial:unknown")) is None
    assert loss_of_disk(engine(), replace(claim("node-1"), pool=other)) is None


def test_one_that_leaves_already_counts_no_more() -> None:
    leaving = tuple(device(name, leaving=name == "node-3") for name in NAMES)
    loss = loss_of_disk(engine(devices=leaving), claim("node-3"))
    assert loss is not None and loss.has_bytes == loss.left_bytes == 18 * GIB


@pytest.mark.parametrize(
    ("sizes", "is_said"), [({"a": 13}, False), ({"a": 14}, True), ({"a": 7, "b": 7}, True)]
)
def test_what_is_promised_beyond_what_there_is_is_said(sizes: dict[str, int], is_said: bool) -> None:
    words = promised_too_much(engine(volumes=()), wishes(**sizes), POOL)
    assert bool(words) is is_said


def test_it_says_by_how_much() -> None:
    assert promised_too_much(engine(volumes=()), wishes(a=7, b=9), POOL) == (
        "pool default/default promises 16.0 GiB to 2 volumes, and has room for 13.5 GiB of what is written "
        "to them: it fills up before they do"
    )


def test_volumes_count_once_whoever_made_them_and_as_large_as_they_are_to_be() -> None:
    theirs = SeenVolume("v-2", "theirs", POOL, 5 * GIB)
    ours = SeenVolume("v-1", "data", POOL, 4 * GIB)
    elsewhere = SeenVolume("v-3", "far", PoolName("default", "other"), 500 * GIB)
    seen = engine(volumes=(theirs, ours, elsewhere))
    grown = state(volumes={"data": VolumeWish("data", POOL, 8 * GIB, engine_id="v-1")})
    assert promised_too_much(seen, grown, POOL) == ""
    grown = state(volumes={"data": VolumeWish("data", POOL, 9 * GIB, engine_id="v-1")})
    assert "14.0 GiB to 2 volumes" in promised_too_much(seen, grown, POOL)
    gone = state(volumes={"old": VolumeWish("old", POOL, 90 * GIB, deleted=True)})
    assert promised_too_much(engine(volumes=()), gone, POOL) == ""


def test_of_a_pool_whose_room_is_not_known_nothing_is_said() -> None:
    assert promised_too_much(engine(devices=()), wishes(a=900), POOL) == ""
    assert promised_too_much(engine(), wishes(a=900), PoolName("default", "other")) == ""
