"""When a pool will be full: samples of what it holds, and what follows from them.

The farther ahead, the longer one has to look back: a burst of five minutes says much about the next hour, and
nothing about next week. So growth is taken over windows from a minute to a week, each by the median of the
slopes between all pairs of its samples (Theil-Sen), which bursts and deletions of less than a third of the
window do not sway. A window counts for what happens within `REACH` times what it covers, and only for growth
that goes on in its last quarter. The soonest of what counts is the forecast.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from types import MappingProxyType

from artesian.model.disk import PoolName
from artesian.model.observation import Observation
from artesian.model.sizes import format_size
from artesian.remedy.words import rough_duration

FINE_S = 5.0  # samples are no closer than this
COARSE_SHARE = 0.1  # and no closer than this share of their age
MOST_SAMPLES = 200
OLDEST_S = 8 * 86_400.0
WINDOWS_S = (60.0, 300.0, 1200.0, 4800.0, 6 * 3600.0, 86_400.0, 7 * 86_400.0)
REACH = 12.0
FEWEST_SAMPLES = 4
_USED_SAMPLES = 12  # of a window: 66 pairs
_NEVER_S = 1e9  # thirty years
_CALM_S = 3600.0  # that nothing grows is sure after so long
_SHORT_S = 120.0  # too short to have a last part


@dataclass(frozen=True, slots=True)
class Sample:
    """What a pool held at one moment."""

    at_s: float
    used_bytes: int


@dataclass(frozen=True, slots=True)
class History:
    """Samples by pool, the oldest first: at most `MOST_SAMPLES` each, close together where they are new."""

    pools: Mapping[str, tuple[Sample, ...]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a pool is full, between `low_s` and `high_s`, all endless if it does not fill up.

    `sure` is 0 if nothing is known, and near 1 if much was seen that agrees. `because` says it in words.
    """

    time_to_full_s: float = math.inf
    low_s: float = 0.0
    high_s: float = math.inf
    bytes_per_s: float = 0.0
    sure: float = 0.0
    because: str = "too little was seen so far"

    @property
    def is_known(self) -> bool:
        """Whether it says anything."""
        return self.sure > 0

    @property
    def confidence(self) -> str:
        """How sure it is, in a word."""
        if self.sure >= 0.75:
            return "sure"
        if self.sure >= 0.4:
            return "likely"
        return "a guess" if self.is_known else "unknown"


# --- what was seen


def record(history: History, now_s: float, pool: str, used_bytes: int) -> History:
    """The history with one more sample, and with fewer old ones.

    Samples of a time that is still to come are forgotten: the clock was wrong then.
    """
    before = history.pools.get(pool, ())
    past = before if not before or before[-1].at_s <= now_s else _until(before, now_s)
    if past and now_s - past[-1].at_s < FINE_S:
        return history if past is before else _with(history, pool, past)
    return _with(history, pool, _thinned((*past, Sample(now_s, used_bytes)), now_s))


def remember(history: History, seen: Observation, now_s: float) -> History:
    """The history with what is seen now of every pool that is whole, and of pools that are there only.

    While copies are missing or are being remade, what is used means something else than growth.
    """
    if seen.engine is None:
        return history
    names = {str(pool.name) for pool in seen.engine.pools}
    if not history.pools.keys() <= names:
        kept = {name: samples for name, samples in history.pools.items() if name in names}
        history = History(MappingProxyType(kept))
    for pool in seen.engine.pools:
        if pool.is_whole:
            history = record(history, now_s, str(pool.name), pool.used_bytes)
    return history


def _until(samples: tuple[Sample, ...], now_s: float) -> tuple[Sample, ...]:
    return tuple(sample for sample in samples if sample.at_s <= now_s)


def _with(history: History, pool: str, samples: tuple[Sample, ...]) -> History:
    return History(MappingProxyType({**history.pools, pool: samples}))


def _thinned(samples: tuple[Sample, ...], now_s: float) -> tuple[Sample, ...]:
    """Without those between two that are close enough to each other for their age."""
    kept = [samples[-1]]
    for at in range(len(samples) - 2, -1, -1):
        sample = samples[at]
        age_s = now_s - sample.at_s
        if age_s > OLDEST_S or len(kept) == MOST_SAMPLES:
            break
        spacing_s = max(FINE_S, COARSE_SHARE * age_s)
        if at > 0 and kept[-1].at_s - samples[at - 1].at_s <= spacing_s:
            continue
        kept.append(sample)
    return tuple(reversed(kept))


# --- what will be


def forecasts(
    history: History, seen: Observation, capacity: Mapping[PoolName, int], now_s: float
) -> dict[PoolName, Forecast]:
    """Of every pool that is seen; `capacity` says how many bytes each can hold."""
    if seen.engine is None:
        return {}
    return {
        pool.name: forecast(history, now_s, str(pool.name), pool.used_bytes, capacity[pool.name])
        for pool in seen.engine.pools
    }


def forecast(history: History, now_s: float, pool: str, used_bytes: int, capacity: int) -> Forecast:
    """When a pool that holds `used_bytes` now, of `capacity` bytes that it can hold now, is full."""
    if capacity <= 0:
        return Forecast(because="no two copies have a place in it")
    if used_bytes >= capacity:
        return Forecast(0.0, 0.0, 0.0, 0.0, 1.0, "it is full")
    room = capacity - used_bytes
    windows = _windows(history.pools.get(pool, ()), now_s)
    if not windows:
        return Forecast()
    counting = [one for one in windows if one.seconds(room) <= REACH * one.span_s]
    best = min(counting, key=lambda one: one.seconds(room)) if counting else windows[-1]
    return _forecast(best, room)


@dataclass(frozen=True, slots=True)
class _Window:
    """Growth over the time that was seen of a window, in bytes a second: the most likely, least and most."""

    span_s: float
    rate: float
    low_rate: float
    high_rate: float

    def seconds(self, room: int) -> float:
        return _seconds(room, self.rate)


def _seconds(room: int, rate: float) -> float:
    seconds = room / rate if rate > 0 else math.inf
    return seconds if seconds < _NEVER_S else math.inf


def _forecast(window: _Window, room: int) -> Forecast:
    seconds, rate = window.seconds(room), window.rate
    if math.isinf(seconds):
        low_s = _seconds(room, window.high_rate)
        sure = min(1.0, window.span_s / _CALM_S)
        because = f"no lasting growth was seen in the last {rough_duration(window.span_s)}"
        return Forecast(math.inf, low_s, math.inf, 0.0, sure, because)
    agreement = max(0.0, window.low_rate) / window.high_rate
    sure = min(1.0, REACH * window.span_s / seconds) * (0.5 + 0.5 * agreement)
    because = (
        f"it is full in {rough_duration(seconds)} at {format_size(rate)}/s, "
        f"as in the last {rough_duration(window.span_s)}"
    )
    low_s, high_s = _seconds(room, window.high_rate), _seconds(room, window.low_rate)
    return Forecast(seconds, low_s, high_s, rate, sure, because)


def _windows(samples: tuple[Sample, ...], now_s: float) -> list[_Window]:
    """Every window in which enough was seen, the shortest first."""
    times = [sample.at_s for sample in samples if sample.at_s <= now_s]
    found: list[_Window] = []
    last_count = 0
    for length_s in WINDOWS_S:
        first = bisect_left(times, now_s - length_s)
        count = len(times) - first
        if count < FEWEST_SAMPLES or count == last_count:
            continue
        last_count = count
        part = samples[first : len(times)]
        span_s = part[-1].at_s - part[0].at_s
        slopes = _slopes(_spread(part))
        rate = median(slopes)
        low, high = slopes[len(slopes) // 10], slopes[-1 - len(slopes) // 10]
        if span_s >= _SHORT_S and rate > 0:
            recent = part[bisect_left(times, times[-1] - span_s / 4, first) - first :]
            goes_on = min(1.0, max(0.0, _growth(recent) / rate))
            rate, low = goes_on * rate, goes_on * low
        found.append(_Window(span_s, rate, min(low, rate), max(high, rate)))
    return found


def _growth(samples: Sequence[Sample]) -> float:
    """Bytes a second, the bursts in it included, and a deletion not."""
    if len(samples) < 2:
        return math.inf
    first, last = samples[0], samples[-1]
    mean = (last.used_bytes - first.used_bytes) / (last.at_s - first.at_s)
    return max(mean, median(_slopes(_spread(samples))))


def _spread(samples: Sequence[Sample]) -> list[Sample]:
    """A few samples, evenly over the time: new ones are close together, and would outvote the others."""
    if len(samples) <= _USED_SAMPLES:
        return list(samples)
    times = [sample.at_s for sample in samples]
    step_s = (times[-1] - times[0]) / (_USED_SAMPLES - 1)
    wanted = {bisect_left(times, times[0] + step_s * at) for at in range(_USED_SAMPLES - 1)}
    return [samples[at] for at in sorted(wanted | {len(samples) - 1})]


def _slopes(samples: Sequence[Sample]) -> list[float]:
    """Between all pairs, the least first."""
    return sorted(
        (later.used_bytes - earlier.used_bytes) / (later.at_s - earlier.at_s)
        for at, earlier in enumerate(samples)
        for later in samples[at + 1 :]
    )
