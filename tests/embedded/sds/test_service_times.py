"""How long a disk takes: the mean of about a minute, nothing while it is idle, and more while it hangs."""

from __future__ import annotations

import pytest

from artesian.embedded.sds.service_times import STEP_S, WINDOW_S, ServiceTimes


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0
        self.times = ServiceTimes(lambda: self.now_s)

    def work(self, seconds: float) -> None:
        def sleep() -> None:
            self.now_s += seconds

        self.times.measure(sleep)

    def pass_(self, seconds: float) -> float | None:
        """What is told at the end, while it is asked every few seconds."""
        mean: float | None = None
        for _ in range(int(seconds / STEP_S)):
            self.now_s += STEP_S
            mean = self.times.mean_s()
        return mean


def test_the_mean_is_that_of_all_requests() -> None:
    clock = Clock()
    assert clock.times.mean_s() is None
    clock.work(0.1)
    clock.work(0.3)
    assert clock.times.mean_s() == pytest.approx(0.2)


def test_what_was_longer_than_a_minute_ago_counts_no_more() -> None:
    clock = Clock()
    clock.work(10.0)
    assert clock.pass_(WINDOW_S / 2) == pytest.approx(10.0)
    clock.work(0.1)
    assert clock.pass_(WINDOW_S / 2 + STEP_S) == pytest.approx(0.1)
    assert clock.pass_(WINDOW_S) is None


def test_a_request_that_fails_took_its_time_too() -> None:
    clock = Clock()

    def fail() -> None:
        clock.now_s += 5
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        clock.times.measure(fail)
    assert clock.times.mean_s() == pytest.approx(5)


def test_a_request_that_hangs_is_seen_before_it_ends() -> None:
    clock = Clock()
    seen: list[float | None] = []

    def hang() -> None:
        for _ in range(3):
            clock.now_s += 20
            seen.append(clock.times.mean_s())

    clock.times.measure(hang)
    assert seen == [20, 40, 60]


def test_what_was_measured_is_answered() -> None:
    assert Clock().times.measure(lambda one, two: one + two, 3, 4) == 7
