"""When a framework subscribes again that Mesos would not have."""

from __future__ import annotations

from artesian.clusters.mesos.comeback import Comeback


def waits(one: Comeback, now_s: float, count: int, lives_s: float = 1.0) -> list[float]:
    """How long each of several frameworks that fail is waited for."""
    found = []
    for _ in range(count):
        one.begun(now_s)
        now_s += lives_s
        failed_s = now_s
        while not one.is_due(now_s):
            now_s += 1.0
        found.append(now_s - failed_s)
    return found


def test_each_failure_is_followed_by_a_longer_wait_up_to_two_minutes() -> None:
    assert waits(Comeback(lambda: 0.0), 0.0, 8) == [5, 10, 20, 40, 80, 120, 120, 120]


def test_one_that_has_lived_for_a_while_is_begun_anew_soon() -> None:
    one = Comeback(lambda: 0.0)
    waits(one, 0.0, 5)
    assert waits(one, 1000.0, 2, lives_s=301.0) == [5, 5]


def test_two_schedulers_do_not_wait_equally_long() -> None:
    assert waits(Comeback(lambda: 0.0), 0.0, 4) != waits(Comeback(lambda: 1.0), 0.0, 4)
