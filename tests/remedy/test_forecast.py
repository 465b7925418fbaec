"""Forecasts: of steady growth, of bursts, of deletions, and of what nobody can tell."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.remedy.capacity import capacities
from artesian.remedy.forecast import (
    FINE_S,
    MOST_SAMPLES,
    OLDEST_S,
    Forecast,
    History,
    forecast,
    forecasts,
    record,
    remember,
)
from tests.remedy.observed import GIB, MIB, POOL, engine, pool, seen

NAME = "default/default"
BEGAN_S = 1_700_000_000.0
HOUR_S, DAY_S = 3600, 86_400
Used = Callable[[float], float]


def watched(
    used: Used, until_s: float, every_s: float = 5.0, history: History | None = None, since_s: float = 0.0
) -> History:
    """A pool that was looked at for so long."""
    history = history or History()
    looks = int((until_s - since_s) / every_s)
    for at in range(looks + 1):
        at_s = since_s + at * every_s
        history = record(history, BEGAN_S + at_s, NAME, int(used(at_s)))
    return history


def expected(used: Used, at_s: float, room: float, history: History | None = None) -> Forecast:
    """What is forecast at a moment, when there is room for so many bytes; looked at closely in the end."""
    if history is None:
        closely_s = max(0.0, at_s - 2 * HOUR_S)
        history = watched(used, closely_s, 60.0) if closely_s else None
        history = watched(used, at_s, 5.0, history, closely_s)
    holds = int(used(at_s))
    return forecast(history, BEGAN_S + at_s, NAME, holds, holds + int(room))


def check(one: Forecast) -> None:
    """What is true of every forecast."""
    assert not any(
        math.isnan(value) for value in (one.time_to_full_s, one.low_s, one.high_s, one.bytes_per_s)
    )
    assert 0 <= one.low_s <= one.time_to_full_s <= one.high_s
    assert 0 <= one.bytes_per_s < math.inf
    assert 0 <= one.sure <= 1
    assert one.because
    assert one.confidence in ("sure", "likely", "a guess", "unknown")


# --- growth


@pytest.mark.parametrize("until_s", [30, 300, 2 * HOUR_S, 3 * DAY_S])
def test_steady_growth(until_s: float) -> None:
    rate = 4 * MIB
    one = expected(lambda at_s: 100 * GIB + rate * at_s, until_s, 300 * rate)
    assert one.time_to_full_s == pytest.approx(300, rel=0.001)
    assert one.bytes_per_s == pytest.approx(rate, rel=0.001)
    assert one.confidence == "sure"
    assert (
        one.because
        == f"it is full in 5 min at 4.0 MiB/s, as in the last {'30 s' if until_s == 30 else '60 s'}"
    )
    check(one)


@pytest.mark.parametrize("seed", range(5))
def test_bursts_and_noise_do_not_sway_it_much(seed: int) -> None:
    chance = random.Random(seed)
    bursts = sorted(chance.uniform(0, 5 * HOUR_S) for _ in range(4))
    rate = MIB

    def used(at_s: float) -> float:
        extra = sum(min(max(0.0, at_s - burst), 120.0) for burst in bursts)
        noise = random.Random(at_s).uniform(-8, 8)
        return 100 * GIB + rate * at_s + 10 * rate * extra + noise * MIB

    one = expected(used, 6 * HOUR_S, rate * 24 * HOUR_S)
    assert 18 * HOUR_S < one.time_to_full_s < 30 * HOUR_S
    assert one.low_s < 24 * HOUR_S < one.high_s
    check(one)


def test_a_burst_says_something_of_the_next_hour_and_nothing_of_next_week() -> None:
    def used(at_s: float) -> float:
        return 100 * GIB + 0.01 * MIB * at_s + 100 * MIB * max(0.0, at_s - DAY_S)

    history, at_s = watched(used, DAY_S - 600, 60.0), DAY_S + 240.0
    history = watched(used, at_s, 5.0, history, DAY_S - 595)
    soon = expected(used, at_s, 100 * MIB * 1800, history)
    assert soon.time_to_full_s == pytest.approx(1800, rel=0.2)
    late = expected(used, at_s, 100 * MIB * 7 * DAY_S, history)
    assert late.time_to_full_s > 30 * DAY_S


def test_a_lasting_acceleration_is_noticed_within_minutes() -> None:
    def used(at_s: float) -> float:
        return 100 * GIB + MIB * at_s + 49 * MIB * max(0.0, at_s - 2 * HOUR_S)

    history = watched(used, 2 * HOUR_S)
    noticed = None
    for after in range(10, 601, 10):
        at_s = 2.0 * HOUR_S + after
        history = watched(used, at_s, 5.0, history, at_s - 5)
        one = expected(used, at_s, 50 * MIB * 1200, history)
        check(one)
        if noticed is None and one.time_to_full_s < 1800:
            noticed = after
    assert noticed is not None and noticed <= 240


def test_what_has_stopped_growing_is_believed_to_have_stopped_after_a_while() -> None:
    def used(at_s: float) -> float:
        return 100 * GIB + 50 * MIB * min(at_s, HOUR_S)

    history = watched(used, HOUR_S)
    times = []
    for after in range(0, 3001, 60):
        at_s = float(HOUR_S + after)
        history = watched(used, at_s, 5.0, history, at_s - 55)
        times.append(expected(used, at_s, 50 * MIB * 1800, history).time_to_full_s)
    assert times[0] == pytest.approx(1800, rel=0.01)
    assert times[15] > 2 * HOUR_S
    assert all(math.isinf(one) for one in times[25:])


def test_batches_every_hour_are_growth() -> None:
    def used(at_s: float) -> float:
        return 100 * GIB + (at_s // HOUR_S) * GIB + min(at_s % HOUR_S, 300) / 300 * GIB

    history = watched(used, 2 * DAY_S, 60.0)
    for minutes in (5, 20, 40, 55):
        at_s = 2.0 * DAY_S + 60 * minutes
        one = expected(used, at_s, 48 * GIB, watched(used, at_s, 5.0, history, 2.0 * DAY_S + 5))
        assert one.time_to_full_s == pytest.approx(2 * DAY_S, rel=0.1)


# --- what is taken away or added


def test_what_shrinks_or_stays_is_never_full() -> None:
    for rate in (0, -MIB):
        one = expected(lambda at_s, rate=rate: 100 * GIB + rate * at_s, 2 * HOUR_S, GIB)  # type: ignore[misc]
        assert (one.time_to_full_s, one.high_s, one.bytes_per_s) == (math.inf, math.inf, 0)
        assert one.confidence == "sure"
        assert "no lasting growth was seen" in one.because
        check(one)


def test_growth_goes_on_after_a_deletion() -> None:
    def used(at_s: float) -> float:
        return 100 * GIB + 10 * MIB * at_s - (40 * GIB if at_s >= 2 * HOUR_S else 0)

    one = expected(used, 2 * HOUR_S + 240, 10 * MIB * 1800)
    assert one.time_to_full_s == pytest.approx(1800, rel=0.05)
    check(one)


def test_an_expansion_is_room_and_not_growth() -> None:
    history = watched(lambda at_s: 100 * GIB + MIB * at_s, HOUR_S)
    before = forecast(history, BEGAN_S + HOUR_S, NAME, 104 * GIB, 105 * GIB)
    after = forecast(history, BEGAN_S + HOUR_S, NAME, 104 * GIB, 205 * GIB)
    assert before.time_to_full_s == pytest.approx(1024, rel=0.01)
    assert after.time_to_full_s == pytest.approx(101 * 1024, rel=0.01)


def test_full_is_full_and_of_what_holds_nothing_nothing_is_known() -> None:
    for holds, capacity in ((5, 5), (5, 4)):
        one = forecast(History(), 0, NAME, holds, capacity)
        assert (one.time_to_full_s, one.high_s, one.sure) == (0, 0, 1)
    nothing = forecast(History(), 0, NAME, 5, 0)
    assert not nothing.is_known and nothing.because == "no two copies have a place in it"


# --- few samples, gaps, clocks


def test_a_few_samples_are_no_forecast() -> None:
    history = History()
    for at in range(3):
        history = record(history, BEGAN_S + 10 * at, NAME, at)
        assert forecast(history, BEGAN_S + 10 * at, NAME, at, 100) == Forecast()
    assert Forecast().confidence == "unknown"
    assert not Forecast().is_known


def test_little_seen_is_unsure_of_what_is_far_away() -> None:
    one = expected(lambda at_s: 100 * GIB + MIB * at_s, 60, MIB * 10 * DAY_S)
    assert one.time_to_full_s == pytest.approx(10 * DAY_S, rel=0.01)
    assert one.confidence == "a guess"


def test_nothing_is_lost_by_a_gap() -> None:
    def used(at_s: float) -> float:
        return 100 * GIB + 4 * MIB * at_s

    history = watched(used, HOUR_S)
    history = watched(used, 5 * HOUR_S, 5.0, history, 5 * HOUR_S - 10)
    one = expected(used, 5 * HOUR_S, 4 * MIB * 4 * HOUR_S, history)
    assert one.time_to_full_s == pytest.approx(4 * HOUR_S, rel=0.01)


def test_a_clock_that_goes_back_takes_its_samples_with_it() -> None:
    history = watched(lambda at_s: GIB + at_s, HOUR_S)
    back_s = BEGAN_S + HOUR_S / 2
    history = record(history, back_s, NAME, 2 * GIB)
    times = [sample.at_s for sample in history.pools[NAME]]
    assert times == sorted(times) and times[-1] <= back_s
    check(forecast(history, back_s - 60, NAME, GIB, 2 * GIB))
    assert record(history, BEGAN_S - 1, NAME, 7).pools[NAME][-1].used_bytes == 7


def test_a_clock_that_goes_forth_and_back_leaves_no_trace() -> None:
    history = watched(lambda at_s: GIB + MIB * at_s, 600)
    wrong = record(history, BEGAN_S + 30 * DAY_S, NAME, 2 * GIB)
    right = record(wrong, BEGAN_S + 605, NAME, 2 * GIB)
    assert all(sample.at_s <= BEGAN_S + 605 for sample in right.pools[NAME])
    check(forecast(right, BEGAN_S + 605, NAME, GIB, 2 * GIB))


def test_samples_are_fine_where_they_are_new_and_few_where_they_are_old() -> None:
    history = History()
    for at in range(9 * DAY_S // 60):
        history = record(history, BEGAN_S + 60 * at, NAME, at)
    now_s = BEGAN_S + 9 * DAY_S
    for at in range(600):
        history = record(history, now_s + 2.5 * at, NAME, at)
    now_s += 2.5 * 599
    ages = [now_s - sample.at_s for sample in history.pools[NAME]]
    assert len(ages) <= MOST_SAMPLES
    assert 6.5 * DAY_S < max(ages) <= OLDEST_S
    assert sum(age <= 60 for age in ages) >= 8
    gaps = [older - newer for older, newer in itertools.pairwise(ages)]
    assert min(gaps) >= FINE_S


def test_a_sample_too_early_changes_nothing() -> None:
    history = record(History(), 100.0, NAME, 1)
    assert record(history, 102.0, NAME, 2) is history


# --- of what is seen


def test_pools_are_remembered_while_they_are_whole_and_there() -> None:
    history = remember(History(), seen(), 0)
    assert history.pools.keys() == {NAME}
    degraded = seen(engine=engine(pools=(pool(degraded_bytes=1),)))
    assert remember(history, degraded, 60) is history
    assert remember(history, seen(engine=None), 60) is history
    assert remember(history, seen(engine=engine(pools=())), 60).pools == {}


def test_forecasts_of_all_pools() -> None:
    history = History()
    for at in range(60):
        filling = seen(engine=engine(pools=(pool(used_bytes=9 * GIB + 20 * MIB * at),)))
        history = remember(history, filling, 10.0 * at)
    assert filling.engine is not None
    found = forecasts(history, filling, capacities(filling.engine), 590)
    assert found[POOL].time_to_full_s == pytest.approx((18 * GIB - 1180 * MIB) / (2 * MIB), rel=0.001)
    assert forecasts(history, seen(engine=None), {}, 590) == {}


def test_a_forecast_costs_little() -> None:
    history = watched(lambda at_s: at_s * MIB, 8 * DAY_S, 60)
    history = watched(lambda at_s: at_s * MIB, 8 * DAY_S + 600, 5, history, 8 * DAY_S + 5)
    now_s = BEGAN_S + 8 * DAY_S + 600
    began = time.process_time()
    for at in range(50):
        forecast(record(history, now_s + 5, NAME, at), now_s + 5, NAME, GIB, 2 * GIB)
    assert (time.process_time() - began) / 50 < 0.005  # a millisecond where nothing else runs


# --- whatever was seen

_looks = st.lists(
    st.tuples(st.floats(-100, 20_000, allow_nan=False), st.integers(0, 2**50)), min_size=0, max_size=60
)


@settings(deadline=None)
@given(_looks, st.integers(0, 2**51), st.integers(0, 2**51))
def test_every_forecast_makes_sense(looks: list[tuple[float, int]], used: int, capacity: int) -> None:
    history, now_s = History(), BEGAN_S
    for step_s, bytes_then in looks:
        now_s += step_s
        history = record(history, now_s, NAME, bytes_then)
    check(forecast(history, now_s, NAME, used, capacity))
    assert len(history.pools.get(NAME, ())) <= MOST_SAMPLES


@settings(deadline=None)
@given(_looks, st.integers(0, 2**40), st.integers(1, 2**40), st.integers(0, 2**40))
def test_more_room_is_never_full_sooner(
    looks: list[tuple[float, int]], used: int, room: int, more: int
) -> None:
    history, now_s = History(), BEGAN_S
    for step_s, bytes_then in looks:
        now_s += step_s
        history = record(history, now_s, NAME, bytes_then)
    little = forecast(history, now_s, NAME, used, used + room)
    much = forecast(history, now_s, NAME, used, used + room + more)
    assert little.time_to_full_s <= much.time_to_full_s


@settings(deadline=None)
@given(_looks, st.integers(1, 2**40), st.sampled_from([2, 4, 1024]))
def test_a_larger_pool_is_full_at_the_same_time(
    looks: list[tuple[float, int]], room: int, scale: int
) -> None:
    small = large = History()
    now_s = BEGAN_S
    for step_s, bytes_then in looks:
        now_s += step_s
        small = record(small, now_s, NAME, bytes_then)
        large = record(large, now_s, NAME, bytes_then * scale)
    one, other = (
        forecast(small, now_s, NAME, 0, room),
        forecast(large, now_s, NAME, 0, room * scale),
    )
    assert one.time_to_full_s == pytest.approx(other.time_to_full_s, rel=1e-9)
    assert one.bytes_per_s * scale == pytest.approx(other.bytes_per_s, rel=1e-9)


@settings(deadline=None)
@given(
    st.floats(0.01, 100),
    st.lists(st.tuples(st.floats(0, 3000), st.floats(0, 20)), max_size=3),
    st.floats(60, 7200),
)
def test_steady_growth_with_bursts_is_within_bounds(
    rate: float, bursts: list[tuple[float, float]], left_s: float
) -> None:
    """Bursts of a minute within the first fifty minutes of an hour and a half."""

    def used(at_s: float) -> float:
        extra = sum(height * min(max(0.0, at_s - begin), 60.0) for begin, height in bursts)
        return GIB + MIB * rate * (at_s + extra)

    history = watched(used, 1.5 * HOUR_S, 15.0)
    one = expected(used, 1.5 * HOUR_S, MIB * rate * left_s, history)
    assert one.time_to_full_s == pytest.approx(left_s, rel=0.3)
    assert one.low_s <= 1.01 * left_s
    check(one)
