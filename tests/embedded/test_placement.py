"""Placement: balance by weight, two fault units, spread partners, few moves; and the hash of chunks."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise
from random import Random

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.embedded.placement import (
    PlacementDevice,
    fair_counts,
    first_slice,
    next_moves,
    place,
    slice_of,
)


def devices_of(count: int, per_unit: int = 1, weight: int = 1000) -> list[PlacementDevice]:
    return [PlacementDevice(f"{i:016x}", f"unit{i // per_unit}", weight) for i in range(count)]


def counts_of(placed: list[list[str]]) -> Counter[str]:
    return Counter(holder for holders in placed for holder in holders)


def copies_that_moved(before: list[list[str]], after: list[list[str]]) -> int:
    return sum(len(set(new) - set(old)) for old, new in zip(before, after, strict=True))


def partners_of(placed: list[list[str]], device_id: str) -> Counter[str]:
    return Counter(
        other for holders in placed if device_id in holders for other in holders if other != device_id
    )


clusters = st.lists(
    st.lists(st.sampled_from([0, 1, 100, 500, 1000, 4000]), min_size=1, max_size=5), min_size=1, max_size=7
)


def cluster(weights: list[list[int]], seed: int) -> list[PlacementDevice]:
    random = Random(seed)
    return [
        PlacementDevice(f"{random.getrandbits(64):016x}", f"unit{unit}", weight)
        for unit, members in enumerate(weights)
        for weight in members
    ]


# --- chunks and slices


def test_a_chunks_slice_is_the_hash_of_its_volume_number_plus_its_index() -> None:
    start = xxhash.xxh3_64_intdigest((77).to_bytes(8, "little"))
    assert [slice_of(77, chunk, 64) for chunk in range(200)] == [(start + chunk) % 64 for chunk in range(200)]


def test_the_slice_of_chunk_0_of_a_known_volume_never_changes() -> None:
    assert [first_slice(number, 1024) for number in (1, 2, 3)] == [
        xxhash.xxh3_64_intdigest(bytes([number, 0, 0, 0, 0, 0, 0, 0])) % 1024 for number in (1, 2, 3)
    ]
    assert slice_of(1, 5, 1024) == (first_slice(1, 1024) + 5) & 1023


def test_first_slices_of_volumes_are_spread() -> None:
    counts = Counter(first_slice(number, 16) for number in range(1600))
    assert len(counts) == 16
    assert max(counts.values()) < 150


# --- shares


def test_shares_follow_the_weights() -> None:
    devices = [PlacementDevice(str(i), f"u{i}", weight) for i, weight in enumerate([100, 100, 200, 300])]
    assert fair_counts(devices, 700) == {"0": 200, "1": 200, "2": 400, "3": 600}


def test_a_fault_unit_has_at_most_one_copy_of_each_slice() -> None:
    devices = [
        PlacementDevice("a", "large", 900),
        PlacementDevice("b", "large", 300),
        PlacementDevice("c", "x", 100),
        PlacementDevice("d", "y", 300),
    ]
    assert fair_counts(devices, 400) == {"a": 300, "b": 100, "c": 100, "d": 300}


def test_rounding_favours_those_that_hold_more() -> None:
    devices = devices_of(3)
    ids = [device.device_id for device in devices]
    for favoured in ids:
        fair = fair_counts(devices, 32, dict.fromkeys(ids, 10) | {favoured: 22})
        assert fair == dict.fromkeys(ids, 21) | {favoured: 22}


# --- placing


@pytest.mark.parametrize(
    ("count", "per_unit", "slices"), [(3, 1, 64), (6, 2, 1024), (24, 1, 1024), (24, 8, 1024), (16, 8, 512)]
)
def test_a_new_pool_is_balanced_over_different_fault_units(count: int, per_unit: int, slices: int) -> None:
    devices = devices_of(count, per_unit)
    unit = {device.device_id: device.fault_unit for device in devices}
    placed = place(devices, [[] for _ in range(slices)])
    assert all(len({unit[holder] for holder in holders}) == 2 for holders in placed)
    counts = counts_of(placed)
    assert max(counts.values()) - min(counts[id] for id in unit) <= 1


def test_devices_of_different_sizes_get_shares_within_a_few_per_cent() -> None:
    random = Random(5)
    devices = [PlacementDevice(f"{i:04x}", f"u{i // 3}", random.randint(500, 2000)) for i in range(24)]
    counts = counts_of(place(devices, [[] for _ in range(1024)]))
    whole = sum(device.weight for device in devices)
    for device in devices:
        expected = 2048 * device.weight / whole
        assert abs(counts[device.device_id] - expected) <= max(1, 0.03 * expected)


def test_the_partners_of_one_device_are_all_devices_of_other_units() -> None:
    devices = devices_of(12, 2)
    placed = place(devices, [[] for _ in range(1024)])
    for device in devices:
        partners = partners_of(placed, device.device_id)
        assert len(partners) == 10
        assert max(partners.values()) <= 1.3 * min(partners.values())


def test_consecutive_slices_are_on_different_pairs() -> None:
    placed = place(devices_of(8), [[] for _ in range(256)])
    assert all(set(one) != set(other) for one, other in pairwise(placed))
    assert all(len({id for holders in placed[i : i + 16] for id in holders}) == 8 for i in range(240))


def test_a_device_is_as_often_the_first_holder_as_the_second() -> None:
    placed = place(devices_of(6), [[] for _ in range(1024)])
    first = Counter(holders[0] for holders in placed)
    assert min(first.values()) > 0.45 * 2048 / 6
    assert max(first.values()) < 0.55 * 2048 / 6


def test_one_fault_unit_keeps_one_copy_and_no_device_none() -> None:
    placed = place(devices_of(4, per_unit=4), [[] for _ in range(64)])
    assert all(len(holders) == 1 for holders in placed)
    assert set(counts_of(placed).values()) == {16}
    assert place([], [["gone"], []]) == [[], []]


def test_a_second_fault_unit_brings_second_copies_and_moves_none() -> None:
    devices = devices_of(8, per_unit=4)
    before = place(devices[:4], [[] for _ in range(64)])
    after = place(devices, before)
    assert all(set(old) < set(new) for old, new in zip(before, after, strict=True))


def test_the_order_in_which_devices_are_given_is_of_no_consequence() -> None:
    devices = devices_of(9, 2)
    nothing: list[list[str]] = [[] for _ in range(128)]
    assert place(devices, nothing) == place(devices[::-1], nothing)


# --- change


def test_a_lost_device_is_replaced_and_nothing_else_moves() -> None:
    devices = devices_of(12)
    before = place(devices, [[] for _ in range(1024)])
    after = place(devices[1:], before)
    lost = counts_of(before)[devices[0].device_id]
    assert copies_that_moved(before, after) == lost
    arrivals = Counter(
        holder for old, new in zip(before, after, strict=True) for holder in new if holder not in old
    )
    assert len(arrivals) == 11, "all others take their part"


def test_a_new_device_draws_its_share_and_no_more() -> None:
    devices = devices_of(11)
    before = place(devices[:10], [[] for _ in range(1024)])
    after = place(devices, before)
    share = counts_of(after)[devices[10].device_id]
    assert abs(share - 2048 / 11) <= 1
    assert copies_that_moved(before, after) == share
    assert len(partners_of(after, devices[10].device_id)) == 10


def test_a_changed_weight_moves_the_difference() -> None:
    devices = devices_of(10)
    before = place(devices, [[] for _ in range(1000)])
    devices[0] = devices[0]._replace(weight=500)
    after = place(devices, before)
    fewer = counts_of(before)[devices[0].device_id] - counts_of(after)[devices[0].device_id]
    assert counts_of(after)[devices[0].device_id] == pytest.approx(2000 * 0.5 / 9.5, abs=1)
    assert copies_that_moved(before, after) <= fewer + 2


def test_copies_that_came_to_share_a_fault_unit_are_parted() -> None:
    devices = devices_of(4)
    placed = place(devices, [[] for _ in range(64)])
    moved = [devices[0]._replace(fault_unit="unit1"), *devices[1:]]
    unit = {device.device_id: device.fault_unit for device in moved}
    after = place(moved, placed)
    assert all(len({unit[holder] for holder in holders}) == 2 for holders in after)


@settings(max_examples=150, deadline=None)
@given(clusters, st.integers(0, 1 << 32), st.sampled_from([16, 64, 128]))
def test_whatever_comes_and_goes_the_result_is_fair_apart_and_stable(
    weights: list[list[int]], seed: int, slice_count: int
) -> None:
    devices = cluster(weights, seed)
    random = Random(seed)
    placed: list[list[str]] = [[] for _ in range(slice_count)]
    for _ in range(4):
        present = [device for device in devices if random.random() < 0.7]
        unit = {device.device_id: device.fault_unit for device in present if device.weight}
        before, placed = placed, place(present, placed)
        counts = counts_of(placed)
        assert all(len(holders) == min(2, len(set(unit.values()))) for holders in placed)
        assert all(len({unit[id] for id in holders}) == len(holders) for holders in placed)
        assert {id: counts[id] for id in unit} == {
            id: count for id, count in fair_counts(present, slice_count, counts).items() if id in unit
        }
        assert place(present, placed) == placed
        arrived = sum((counts_of(placed) - counts_of(before)).values())
        # What had to move, and detours where fault units forbid the direct way.
        assert copies_that_moved(before, placed) <= 2 * arrived + slice_count // 8


# --- moves, a few at a time


@settings(max_examples=60, deadline=None)
@given(clusters, st.integers(0, 1 << 32), st.integers(1, 20))
def test_moves_carried_out_a_few_at_a_time_end_where_placing_ends(
    weights: list[list[int]], seed: int, limit: int
) -> None:
    devices = cluster(weights, seed)
    half = devices[: len(devices) // 2 + 1]
    placed = place(half, [[] for _ in range(64)])
    if len({d.fault_unit for d in half if d.weight}) != len({d.fault_unit for d in devices if d.weight}):
        placed = place(devices, placed)
    unit = {device.device_id: device.fault_unit for device in devices}
    for _ in range(400):
        moves = next_moves(devices, placed, limit)
        assert len({move.slice_index for move in moves}) == len(moves), "no slice moves twice"
        if not moves:
            break
        for move in moves:
            holders = placed[move.slice_index]
            holders[holders.index(move.leaving)] = move.arriving
            assert len({unit[holder] for holder in holders}) == len(holders)
    counts = counts_of(placed)
    fair = fair_counts(devices, 64, counts)
    assert all(counts[id] == count for id, count in fair.items())


def test_pinned_slices_do_not_move() -> None:
    devices = devices_of(6)
    placed = place(devices[:5], [[] for _ in range(64)])
    pinned = set(range(0, 64, 2))
    assert not pinned & {move.slice_index for move in next_moves(devices, placed, 100, pinned)}
    assert next_moves(devices, placed, 100)


# --- speed


@pytest.mark.parametrize(("count", "slices", "limit_s"), [(300, 1024, 0.5), (24, 4096, 1.0)])
def test_placing_takes_a_fraction_of_a_second(count: int, slices: int, limit_s: float) -> None:
    devices = devices_of(count)
    placed: list[list[str]] = [[] for _ in range(slices)]
    for present in (devices[: count // 2], devices, devices[1:]):
        started = time.process_time()
        placed = place(present, placed)
        assert time.process_time() - started < limit_s


def test_devices_that_came_one_after_the_other_hold_neighbouring_slices_evenly() -> None:
    """A file that fills a part of a volume has its chunks in consecutive slices."""
    slices: list[list[str]] = [[] for _ in range(1024)]
    devices: list[PlacementDevice] = []
    for number in range(8):
        devices.append(PlacementDevice(f"d{number}", f"node-{number // 2}", 1000))
        slices = place(devices, slices)
    for begin in range(0, 1024 - 255, 128):
        window = Counter(device for members in slices[begin : begin + 256] for device in members)
        assert all(abs(window[device.device_id] - 64) <= 13 for device in devices), (begin, window)
