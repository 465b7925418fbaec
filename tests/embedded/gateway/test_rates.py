"""Rates are differences of counters over the last seconds."""

from __future__ import annotations

from artesian.embedded.gateway.rates import RateMeter, bwc, device_keys, volume_keys
from artesian.embedded.gateway.view import View

from .engine import MemoryEngine


class Watched:
    """A meter whose time and counters the test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.engine = MemoryEngine()
        self.meter = RateMeter(lambda: self.now_s)

    def look(self, kilobytes: int, operations: int) -> View:
        self.engine.report("d1", read_bytes=kilobytes * 1024, read_count=operations)
        self.engine.client_reports("c1", {"v1": {"trim_bytes": kilobytes * 1024, "trim_count": operations}})
        view = View(self.engine.state, self.engine.live)
        self.meter.observe(view)
        return view


def test_the_first_look_shows_no_rate() -> None:
    watched = Watched()
    assert watched.meter.rates(watched.look(500, 5)).of(device_keys(["d1"], "read")) == bwc()


def test_a_later_look_shows_the_growth_since_the_first() -> None:
    watched = Watched()
    watched.look(1000, 10)
    watched.now_s += 5
    view = watched.look(3000, 60)
    rates = watched.meter.rates(view)
    assert rates.of(device_keys(["d1"], "read")) == bwc(5, 2000, 50)
    assert rates.of(volume_keys([("c1", "v1")], "trim")) == bwc(5, 2000, 50)
    assert rates.of(device_keys(["d1"], "write")) == bwc(5, 0, 0)
    assert rates.of(device_keys(["unknown"], "read")) == bwc(5, 0, 0)


def test_numbers_of_seconds_are_whole_and_the_rate_stays_true() -> None:
    watched = Watched()
    watched.look(0, 0)
    watched.now_s += 2.5
    rate = watched.meter.rates(watched.look(2500, 25)).of(device_keys(["d1"], "read"))
    assert rate == bwc(2, 2000, 20)


def test_only_the_last_ten_seconds_count() -> None:
    watched = Watched()
    total = 0
    for second in range(30):
        total += 1000 if second < 15 else 10
        view = watched.look(total, 0)
        watched.now_s += 1
    rate = watched.meter.rates(view).of(device_keys(["d1"], "read"))
    assert rate["totalWeightInKb"] / rate["numSeconds"] <= 10


def test_a_process_that_counts_from_zero_again_gives_no_negative_rate() -> None:
    watched = Watched()
    watched.look(1000, 10)
    watched.now_s += 5
    assert watched.meter.rates(watched.look(50, 1)).of(device_keys(["d1"], "read")) == bwc(5, 0, 0)


def test_after_a_long_silence_there_is_no_rate() -> None:
    watched = Watched()
    watched.look(1000, 10)
    watched.now_s += 120
    assert watched.meter.rates(watched.look(9000, 90)).of(device_keys(["d1"], "read")) == bwc()
