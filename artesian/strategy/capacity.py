"""How much a pool of two copies holds: what strategies count with, and what the spare share is set to."""

from __future__ import annotations

from collections.abc import Mapping

_GIB = 1 << 30
_PERCENT_LOST = 3  # to what an engine keeps on each device for itself, and to slices that cannot be cut finer


def spare_percentage(asked: int, raw_by_unit: Mapping[str, int]) -> int:
    """At least what was asked, and enough to remake what the largest fault unit holds, if there is elsewhere
    for it."""
    if len(raw_by_unit) <= 2:
        return asked
    return max(asked, -(-100 * max(raw_by_unit.values()) // sum(raw_by_unit.values())))


def usable_bytes(raw_by_unit: Mapping[str, int], asked_spare_percentage: int) -> int:
    """How many whole GiB of volumes a pool holds on fault units of these raw sizes, each byte twice."""
    spare = spare_percentage(asked_spare_percentage, raw_by_unit)
    held = two_copies_bytes(raw_by_unit, spare) * (100 - _PERCENT_LOST) // 100
    return held // _GIB * _GIB


def two_copies_bytes(raw_by_unit: Mapping[str, int], spare: int) -> int:
    """How much fits on fault units of these raw sizes in two copies, if `spare` percent are kept free."""
    total = sum(raw_by_unit.values())
    largest = max(raw_by_unit.values(), default=0)
    return min(total // 2, total - largest) * (100 - spare) // 100
