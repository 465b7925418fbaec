"""Where chunks live: which slice a chunk belongs to, and which devices hold a slice. Pure functions.

A slice has two copies in two fault units (a fault set, or a server that is in none). A device's share of
the copies follows its weight, but a fault unit never has a share above one half, as more could not be
paired with anything. Consecutive slices go to different pairs of devices, and the partners of one device
are spread over all others, so that a lost device is remade by all of them. When devices come, go or
change their weight, as few copies move as the new shares ask for.
"""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import xxhash

DETOURS_TRIED = 8  # devices at either end between which a detour is looked for


def first_slice(volume_number: int, slice_count: int) -> int:
    """The slice of a volume's chunk 0; that of chunk `c` is `(first + c) & (slice_count - 1)`.

    `slice_count` is a power of two.
    """
    return xxhash.xxh3_64_intdigest(volume_number.to_bytes(8, "little")) & (slice_count - 1)


def slice_of(volume_number: int, chunk: int, slice_count: int) -> int:
    """The slice of a volume's chunk; `slice_count` is a power of two."""
    return (first_slice(volume_number, slice_count) + chunk) & (slice_count - 1)


class PlacementDevice(NamedTuple):
    """A device that may hold copies. `weight` is its capacity in chunks; one of weight 0 gets nothing."""

    device_id: str
    fault_unit: str
    weight: int


class Move(NamedTuple):
    """One copy that should be on another device."""

    slice_index: int
    leaving: str
    arriving: str


def place(devices: Sequence[PlacementDevice], slices: Sequence[Sequence[str]]) -> list[list[str]]:
    """The devices that should hold each slice, given those that hold it now.

    The result has two devices of different fault units for every slice, or one if there is only one fault
    unit, or none if there is no device. Holders that are not among `devices` are replaced. Placing the
    result again changes nothing.
    """
    table = _Table(devices, slices)
    table.fill()
    while table.next_moves():
        pass
    return table.result()


def next_moves(
    devices: Sequence[PlacementDevice],
    slices: Sequence[Sequence[str]],
    limit: int,
    pinned: Collection[int] = (),
) -> list[Move]:
    """The first moves (about `limit`) on the way to the balance that `place` strives for.

    Slices in `pinned`, and those that lack a copy, are counted but not moved, and no slice is moved twice,
    so that the moves can be carried out in any order. Each brings the counts closer to the fair ones, or is
    one of two that do; no moves: balanced as well as can be.
    """
    moved = set(pinned)
    table = _Table(devices, slices, moved)
    moves: list[Move] = []
    while len(moves) < limit:
        found = table.next_moves()
        if not found:
            break
        moves.extend(found)
        moved.update(move.slice_index for move in found)
    return moves


def fair_counts(
    devices: Sequence[PlacementDevice], slice_count: int, counts: Mapping[str, int] | None = None
) -> dict[str, int]:
    """How many copies each device should hold.

    Shares are rounded to whole copies in favour of devices that hold more now (`counts`), so that rounding
    never makes a copy move.
    """
    counts = counts or {}
    units: dict[str, list[PlacementDevice]] = defaultdict(list)
    for device in devices:
        if device.weight > 0:
            units[device.fault_unit].append(device)
    fair = {device.device_id: 0 for device in devices}
    weights = {unit: sum(member.weight for member in members) for unit, members in units.items()}
    held = {
        unit: sum(counts.get(member.device_id, 0) for member in members) for unit, members in units.items()
    }
    for unit, share in _unit_shares(weights, held, slice_count).items():
        members = units[unit]
        fair.update(
            _shares(
                share,
                {member.device_id: member.weight for member in members},
                {member.device_id: counts.get(member.device_id, 0) for member in members},
            )
        )
    return fair


def _unit_shares(weights: Mapping[str, int], held: Mapping[str, int], slice_count: int) -> dict[str, int]:
    """Copies of each fault unit: by weight, but none more than one of every slice."""
    if len(weights) < 2:
        return dict.fromkeys(weights, slice_count)
    left = 2 * slice_count
    open_weights = dict(weights)
    shares: dict[str, int] = {}
    for unit in sorted(weights, key=lambda unit: (-weights[unit], unit)):
        if weights[unit] * left < slice_count * sum(open_weights.values()):
            break
        shares[unit] = slice_count
        left -= slice_count
        del open_weights[unit]
    return shares | _shares(left, open_weights, held)


def _shares(total: int, weights: Mapping[str, int], held: Mapping[str, int]) -> dict[str, int]:
    """Divide `total` by weight into whole numbers; what rounding leaves goes where more is held."""
    whole = sum(weights.values())
    shares: dict[str, int] = {}
    remainders: list[tuple[bool, int, str]] = []
    for key, weight in weights.items():
        shares[key], remainder = divmod(total * weight, whole)
        remainders.append((held.get(key, 0) <= shares[key], -remainder, key))
    remainders.sort()
    for _, _, key in remainders[: total - sum(shares.values())]:
        shares[key] += 1
    return shares


@functools.lru_cache(maxsize=32)
def _far_apart(count: int) -> tuple[int, ...]:
    """The numbers below `count`, so ordered that those of any beginning are far from each other.

    A volume that is half full has chunks in consecutive slices: a device with many neighbours among its
    slices would be fuller than the others. Van der Corput's sequence: the bits of 0, 1, 2 … reversed.
    """
    width = max(count - 1, 1).bit_length()
    return tuple(sorted(range(count), key=lambda number: int(f"{number:0{width}b}"[::-1], 2)))


class _Table:
    """Copies by slice and by device, as numbers, while they are being arranged.

    Devices are numbered in the order of their ids, so that the order in which they are given is of no
    consequence. `pairs[a][b]` counts the slices that two devices share.
    """

    def __init__(
        self,
        devices: Sequence[PlacementDevice],
        slices: Sequence[Sequence[str]],
        pinned: Collection[int] = (),
    ) -> None:
        ordered = sorted(device for device in devices if device.weight > 0)
        self._ids = [device.device_id for device in ordered]
        units = {
            unit: number for number, unit in enumerate(sorted({device.fault_unit for device in ordered}))
        }
        self._unit = [units[device.fault_unit] for device in ordered]
        self._copies_wanted = min(2, len(units))
        self._pinned = pinned
        size = len(ordered)
        numbers = {device_id: number for number, device_id in enumerate(self._ids)}
        self._holders: list[list[int]] = [
            list(dict.fromkeys(numbers[holder] for holder in holders if holder in numbers))
            for holders in slices
        ]
        self._count = [0] * size
        for members in self._holders:
            for device in members:
                self._count[device] += 1
        fair = fair_counts(ordered, len(slices), dict(zip(self._ids, self._count, strict=True)))
        self._fair = [fair[device_id] for device_id in self._ids]
        self._drop_excess()
        self._pairs = [[0] * size for _ in range(size)]
        self._slices: list[dict[int, None]] = [{} for _ in range(size)]
        # Of slices that are as good as each other, the first one moves.
        for index in _far_apart(len(self._holders)):
            members = self._holders[index]
            for device in members:
                self._slices[device][index] = None
            if len(members) == 2:
                self._pair(members[0], members[1], 1)

    def result(self) -> list[list[str]]:
        """The ids of each slice's holders."""
        return [[self._ids[device] for device in members] for members in self._holders]

    def _pair(self, one: int, other: int, change: int) -> None:
        self._pairs[one][other] += change
        self._pairs[other][one] += change

    def _drop_excess(self) -> None:
        """Leave no slice two copies in one fault unit, nor more than two: the fullest device gives up."""
        for members in self._holders:
            while len(members) > 1 and (
                len(members) > self._copies_wanted or self._unit[members[0]] == self._unit[members[1]]
            ):
                fullest = max(members, key=lambda device: (self._count[device] - self._fair[device], device))
                members.remove(fullest)
                self._count[fullest] -= 1

    # --- slices that lack copies

    def fill(self) -> None:
        """Give every slice the copies that it lacks."""
        lacking = [index for index, held in enumerate(self._holders) if len(held) < self._copies_wanted]
        if not lacking:
            return
        large = self._large_units()
        held_left = [0] * (max(self._unit) + 1)  # lacking slices still to come that have a copy in the unit
        for index in lacking:
            for device in self._holders[index]:
                held_left[self._unit[device]] += 1
        start = list(self._count)
        firsts = Counter(members[0] for members in self._holders if len(members) == self._copies_wanted)
        for done, index in enumerate(lacking):
            members = self._holders[index]
            progress = (done + 1) / len(lacking)
            for device in members:
                held_left[self._unit[device]] -= 1
            while len(members) < self._copies_wanted:
                left = len(lacking) - done - 1
                urgent = {unit for unit, its in large.items() if self._lacks(its) > left - held_left[unit]}
                device = self._choose(members[0] if members else None, index, progress, start, urgent)
                self._add(index, device)
            self._order(members, firsts)

    def _order(self, members: list[int], firsts: Counter[int]) -> None:
        """Put that device first which is the first holder of the smaller part of its slices."""
        members.sort(key=lambda device: 2 * firsts[device] - self._count[device])
        firsts[members[0]] += 1

    def _large_units(self) -> dict[int, list[int]]:
        """Fault units, with their devices, whose share is so large that they may miss their turn."""
        by_unit: dict[int, list[int]] = defaultdict(list)
        for device, unit in enumerate(self._unit):
            by_unit[unit].append(device)
        return {
            unit: devices
            for unit, devices in by_unit.items()
            if sum(self._fair[device] for device in devices) * 3 > len(self._holders)
        }

    def _lacks(self, devices: list[int]) -> int:
        return sum(self._fair[device] - self._count[device] for device in devices)

    def _choose(
        self, partner: int | None, index: int, progress: float, start: list[int], urgent: set[int]
    ) -> int:
        """The device that lags most behind its share, and behind its share of this partner's slices."""
        size = len(self._ids)
        banned = -1 if partner is None else self._unit[partner]
        pairs = [0] * size if partner is None else self._pairs[partner]
        scale = 0.0
        if partner is not None:
            others = sum(fair for fair, unit in zip(self._fair, self._unit, strict=True) if unit != banned)
            scale = (sum(pairs) + 1) / others if others else 0.0
        best = -1
        best_score = float("-inf")
        offset = index * 7 % size
        for device in (*range(offset, size), *range(offset)):
            unit = self._unit[device]
            if unit == banned:
                continue
            fair = self._fair[device]
            count = self._count[device]
            # Where the device should be by now, less where it is; then the same among this partner's slices.
            score = start[device] + (fair - start[device]) * progress - count + fair * scale - pairs[device]
            if count >= fair:
                score -= 1e6
            if unit in urgent:
                score += 1e5
            if score > best_score:
                best, best_score = device, score
        return best

    def _add(self, index: int, device: int) -> None:
        members = self._holders[index]
        if members:
            self._pair(members[0], device, 1)
        members.append(device)
        self._slices[device][index] = None
        self._count[device] += 1

    # --- balance

    def next_moves(self) -> list[Move]:
        """Carry out one move towards the fair counts, or two that depend on each other; empty: none left."""
        over = [device for device, count in enumerate(self._count) if count > self._fair[device]]
        under = [device for device, count in enumerate(self._count) if count < self._fair[device]]
        if not over or not under:
            return []
        over.sort(key=lambda device: self._fair[device] - self._count[device])
        under.sort(key=lambda device: self._count[device] - self._fair[device])
        return self._one_move(over, under) or self._two_moves(over, under)

    def _one_move(self, over: list[int], under: list[int]) -> list[Move]:
        hopeless: set[int] = set()  # fault units that nothing can move to
        for arriving in under:
            unit = self._unit[arriving]
            if unit in hopeless:
                continue
            for leaving in over:
                index = self._best_slice(leaving, arriving)
                if index is not None:
                    return [self._move(index, leaving, arriving)]
            hopeless.add(unit)
        return []

    def _two_moves(self, over: list[int], under: list[int]) -> list[Move]:
        """From a device in the middle to one that lacks copies, and to it from one that has too many."""
        for arriving in under[:DETOURS_TRIED]:
            for middle in range(len(self._ids)):
                if self._count[middle] != self._fair[middle]:
                    continue
                first = self._best_slice(middle, arriving)
                if first is None:
                    continue
                for leaving in over[:DETOURS_TRIED]:
                    second = self._best_slice(leaving, middle)
                    if second is not None and second != first:
                        return [self._move(first, middle, arriving), self._move(second, leaving, middle)]
        return []

    def _best_slice(self, leaving: int, arriving: int) -> int | None:
        """The slice on `leaving` that may move to `arriving` and spreads the pairs best."""
        unit = self._unit[arriving]
        pairs_there = self._pairs[arriving]
        pairs_here = self._pairs[leaving]
        best: int | None = None
        best_gain = float("-inf")
        for index in self._slices[leaving]:
            members = self._holders[index]
            if index in self._pinned or len(members) != self._copies_wanted:
                continue
            gain = 0
            if len(members) == 2:
                partner = members[1] if members[0] == leaving else members[0]
                if self._unit[partner] == unit:
                    continue
                gain = pairs_here[partner] - pairs_there[partner]
            if gain > best_gain:
                best, best_gain = index, gain
        return best

    def _move(self, index: int, leaving: int, arriving: int) -> Move:
        members = self._holders[index]
        position = members.index(leaving)
        if len(members) == 2:
            partner = members[1 - position]
            self._pair(partner, leaving, -1)
            self._pair(partner, arriving, 1)
        members[position] = arriving
        del self._slices[leaving][index]
        self._slices[arriving][index] = None
        self._count[leaving] -= 1
        self._count[arriving] += 1
        return Move(index, self._ids[leaving], self._ids[arriving])
