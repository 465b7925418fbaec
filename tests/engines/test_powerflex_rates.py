"""What is read of a gateway's rates: requests and bytes a second, and nothing where there is no rate yet."""

from __future__ import annotations

from typing import Any

import pytest

from artesian.engines.powerflex_reading import limits_of
from artesian.engines.powerflex_reading import rates as read
from artesian.model.engine import NO_LIMITS, SeenLimits

NAMES = ["userDataReadBwc", "userDataWriteBwc"]


def bwc(seconds: object, requests: object = 0, kilobytes: object = 0) -> dict[str, object]:
    return {"numSeconds": seconds, "numOccured": requests, "totalWeightInKb": kilobytes}


def rates(reads: Any, writes: Any) -> tuple[float | None, float | None]:
    return read({NAMES[0]: reads, NAMES[1]: writes}, NAMES)


def test_reads_and_writes_are_added_by_the_second() -> None:
    assert rates(bwc(10, 1000, 4000), bwc(5, 100, 400)) == (120, 492_000)


def test_a_volume_with_nothing_to_do_does_nothing() -> None:
    assert rates(bwc(5), bwc(5)) == (0, 0)


@pytest.mark.parametrize("odd", [bwc(0), bwc(None), bwc("5"), {}, None, 7, []])
def test_what_is_no_rate_is_not_known(odd: object) -> None:
    assert rates(odd, bwc(5, 1, 1)) == rates(bwc(5, 1, 1), odd) == (None, None)
    assert read({}, NAMES) == (None, None)


def test_limits_of_gateways_that_know_none_are_none() -> None:
    assert limits_of({}) == limits_of({"limitIops": 0, "limitBwInMbps": None}) == NO_LIMITS
    assert limits_of({"limitIops": 50, "limitBwInMbps": 3}) == SeenLimits(50, 3 << 20)
