"""Bandwidth and IOPS, from the counters that servers and clients report.

Counters only grow; a rate is their difference over the last seconds. A gateway remembers what it saw at
earlier requests, so its very first answer shows no rate yet, and each later one shows the mean since the
oldest look that is at most ten seconds old.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from artesian.embedded.gateway.view import View

Counter = tuple[int, int]  # bytes, operations
Key = tuple[str, ...]  # a device and a direction, or a client, a volume and a direction
KIB = 1024
_WINDOW_S = 10.0
_SAMPLE_EVERY_S = 1.0
_TOO_OLD_S = 60.0


def bwc(seconds: int = 0, kilobytes: int = 0, operations: int = 0) -> dict[str, int]:
    """PowerFlex' form of a rate, in its spelling: weight and operations over a number of seconds."""
    return {"numSeconds": seconds, "totalWeightInKb": kilobytes, "numOccured": operations}


def bwc_per_second(bytes_per_s: float) -> dict[str, int]:
    """A rate that is known as such; an operation counts as one chunk of 1 MiB."""
    return bwc(1, round(bytes_per_s / KIB), round(bytes_per_s / (1 << 20))) if bytes_per_s > 0 else bwc()


class RateMeter:
    """Remembers counters of the last seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._samples: deque[tuple[float, dict[Key, Counter]]] = deque()

    def observe(self, view: View) -> None:
        """Take note of the counters of this view; at most once a second, as often as they change."""
        now = self._monotonic()
        if self._samples and now - self._samples[-1][0] < _SAMPLE_EVERY_S:
            return
        while self._samples and now - self._samples[0][0] > _TOO_OLD_S:
            self._samples.popleft()
        self._samples.append((now, _counters(view)))

    def rates(self, view: View) -> Rates:
        """Rates up to this view."""
        now = self._monotonic()
        base = next((sample for sample in self._samples if now - sample[0] <= _WINDOW_S), None)
        if base is None or now - base[0] < _SAMPLE_EVERY_S / 2:
            return Rates({}, view, 0.0)
        return Rates(base[1], view, now - base[0])


class Rates:
    """The growth of counters over some seconds. `after`: a view, of which only what is asked for is read."""

    def __init__(self, before: Mapping[Key, Counter], after: View, elapsed_s: float) -> None:
        self._before = before
        self._after = after
        self._elapsed_s = elapsed_s

    def of(self, keys: Iterable[Key]) -> dict[str, int]:
        """The sum of these counters' rates, as PowerFlex words it."""
        if self._elapsed_s <= 0:
            return bwc()
        size = operations = 0
        for key in keys:
            after, before = _counter(self._after, key), self._before.get(key)
            if after is not None and before is not None:  # a process that restarted counts from zero
                size += max(0, after[0] - before[0])
                operations += max(0, after[1] - before[1])
        seconds = max(1, round(self._elapsed_s))
        scale = seconds / self._elapsed_s
        return bwc(seconds, round(size / KIB * scale), round(operations * scale))


def device_keys(device_ids: Iterable[str], direction: str) -> list[Key]:
    """Counters of devices; `direction` is "read" or "write"."""
    return [(device_id, direction) for device_id in device_ids]


def volume_keys(pairs: Iterable[tuple[str, str]], direction: str) -> list[Key]:
    """Counters of (client, volume) pairs; `direction` is "read", "write" or "trim"."""
    return [(client_id, volume_id, direction) for client_id, volume_id in pairs]


def _counters(view: View) -> dict[Key, Counter]:
    keys: list[Key] = [(one, way) for one in view.live.devices for way in ("read", "write")]
    keys += [
        (client_id, volume_id, way)
        for client_id, client in view.live.clients.items()
        for volume_id in client.volumes
        for way in ("read", "write", "trim")
    ]
    return {key: counter for key in keys if (counter := _counter(view, key)) is not None}


def _counter(view: View, key: Key) -> Counter | None:
    """None if nothing is known of the device or the volume now."""
    if len(key) == 2:
        device = view.live.devices.get(key[0])
        if device is None:
            return None
        if key[1] == "read":
            return device.read_bytes, device.read_count
        return device.write_bytes, device.write_count
    client_id, volume_id, way = key
    client = view.live.clients.get(client_id)
    seen = client.volumes.get(volume_id) if client is not None else None
    if seen is None:
        return None
    return _integer(seen.get(f"{way}_bytes")), _integer(seen.get(f"{way}_count"))


def _integer(value: Any) -> int:
    return value if isinstance(value, int) else 0
