"""A join keeps to its limit, also when the limit changes, and the dynamic one only while there is work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from artesian.embedded.sds.pace import Pace
from tests.embedded.simulation.loop import SimulatedLoop

MIB = 1 << 20


def virtual_seconds(work: Callable[[], Coroutine[None, None, None]]) -> float:
    """How long it takes on a virtual clock."""
    loop = SimulatedLoop(seed=0)
    try:
        began = loop.time()
        loop.run_until_complete(work())
        return loop.time() - began
    finally:
        loop.close()


async def copy(pace: Pace, chunks: int, operations_per_chunk: int = 0) -> None:
    """Copy chunks that take 10 ms each."""
    operations = 0
    for _ in range(chunks):
        await pace.wait(MIB, operations)
        await asyncio.sleep(0.01)
        operations += operations_per_chunk


def test_without_a_limit_nothing_waits() -> None:
    assert round(virtual_seconds(lambda: copy(Pace(), 100)), 3) == 1.0


def test_a_limit_is_kept() -> None:
    pace = Pace()
    pace.limit_bytes_per_s = 10 * MIB
    assert 9.8 < virtual_seconds(lambda: copy(pace, 100)) < 10.2


def test_a_limit_that_is_raised_holds_at_once() -> None:
    pace = Pace()
    pace.limit_bytes_per_s = 10 * MIB

    async def work() -> None:
        await copy(pace, 50)
        pace.limit_bytes_per_s = 50 * MIB
        await copy(pace, 50)

    assert 5.8 < virtual_seconds(work) < 6.3


def test_the_dynamic_limit_holds_while_applications_are_busy() -> None:
    pace = Pace()
    pace.limit_bytes_per_s, pace.while_busy_only = 10 * MIB, True
    assert 9.5 < virtual_seconds(lambda: copy(pace, 100, operations_per_chunk=50)) < 10.5


def test_the_dynamic_limit_is_lifted_when_they_are_idle() -> None:
    pace = Pace()
    pace.limit_bytes_per_s, pace.while_busy_only = 10 * MIB, True
    assert virtual_seconds(lambda: copy(pace, 100)) < 1.6
