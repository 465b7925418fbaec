"""Limits of a mapping, by a clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import errno
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from artesian.embedded.sdc.limiting import BURST_S, SHORTEST_WAIT_S, Limiter
from artesian.embedded.sdc.nbd import IoRequest
from artesian.embedded.sdc.nbd_constants import (
    NBD_CMD_FLUSH,
    NBD_CMD_READ,
    NBD_CMD_TRIM,
    NBD_CMD_WRITE,
    NBD_CMD_WRITE_ZEROES,
)
from artesian.embedded.wire import Status
from tests.embedded.sdc.fake_servers import Volume, ok
from tests.embedded.sds.served import simulated

MIB = 1 << 20


@dataclass
class Call:
    function: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0
        self.calls: list[tuple[float, int, Call]] = []

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Call:
        call = Call(callback)
        heapq.heappush(self.calls, (self.now_s + delay, len(self.calls), call))
        return call

    def run(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.calls and self.calls[0][0] <= end_s:
            self.now_s, _, call = heapq.heappop(self.calls)
            if not call.cancelled:
                call.function()
        self.now_s = end_s


@dataclass(eq=False)
class Request:
    command: int = NBD_CMD_READ
    length: int = 4096
    is_abandoned: bool = False
    errors: list[int] = field(default_factory=list)

    def done(self, error: int = 0) -> None:
        self.errors.append(error)


class Mapping:
    """What is asked of a limiter, and what it begins."""

    def __init__(self, iops: int, bytes_per_s: int = 0) -> None:
        self.clock = Clock()
        self.begun: list[Request] = []
        self.limiter = Limiter(lambda request: self.ask(cast(Request, request)), self.clock)
        self.limiter.change(iops, bytes_per_s)

    def ask(self, request: Request) -> Request:
        if not self.limiter.holds(cast(IoRequest, request)):
            self.begun.append(request)
        return request

    def ask_many(self, count: int, command: int = NBD_CMD_READ, length: int = 4096) -> None:
        for _ in range(count):
            self.ask(Request(command, length))

    def begun_in(self, seconds: float) -> list[Request]:
        before = len(self.begun)
        self.clock.run(seconds)
        return self.begun[before:]


@pytest.mark.parametrize("iops", [11, 100, 2000, 20_000])
def test_as_many_requests_begin_in_a_second_as_may(iops: int) -> None:
    mapping = Mapping(iops)
    mapping.ask_many(6 * iops)
    for _ in range(3):
        assert len(mapping.begun_in(1.0)) == pytest.approx(iops, abs=2 + iops * 2 * SHORTEST_WAIT_S)


def test_as_many_bytes_begin_in_a_second_as_may() -> None:
    mapping = Mapping(0, 10 * MIB)
    mapping.ask_many(200, NBD_CMD_WRITE, MIB // 2)
    assert sum(one.length for one in mapping.begun_in(5.0)) == pytest.approx(50 * MIB, abs=MIB)


def test_the_tighter_limit_decides() -> None:
    mapping = Mapping(100, MIB)
    mapping.ask_many(300, length=64 * 1024)
    assert len(mapping.begun_in(2.0)) == pytest.approx(32, abs=2)
    mapping = Mapping(100, MIB)
    mapping.ask_many(300, length=512)
    assert len(mapping.begun_in(2.0)) == pytest.approx(200, abs=2)


def test_a_request_that_is_larger_than_any_burst_begins_and_the_next_ones_wait_for_it() -> None:
    mapping = Mapping(0, MIB)
    mapping.ask_many(2, length=8 * MIB)
    assert len(mapping.begun) == 1
    assert len(mapping.begun_in(7.9)) == 0
    assert len(mapping.begun_in(0.2)) == 1


def test_what_was_not_used_is_made_up_for_only_a_little() -> None:
    mapping = Mapping(1000)
    mapping.clock.run(3600.0)
    mapping.ask_many(2000)
    assert len(mapping.begun) <= 1000 * BURST_S + 1
    assert len(mapping.begun) >= 1000 * BURST_S - 1


def test_a_volume_that_stays_below_its_limit_never_waits() -> None:
    mapping = Mapping(100)
    mapping.clock.run(1.0)
    for _ in range(200):
        mapping.ask(Request())
        mapping.clock.run(0.011)
    assert len(mapping.begun) == 200
    assert not mapping.clock.calls


@pytest.mark.parametrize("command", [NBD_CMD_FLUSH, NBD_CMD_TRIM, NBD_CMD_WRITE_ZEROES])
def test_what_carries_no_data_is_never_held_back(command: int) -> None:
    mapping = Mapping(11)
    mapping.ask_many(100, NBD_CMD_WRITE)
    assert mapping.ask(Request(command)) is mapping.begun[-1]
    assert len(mapping.begun_in(1.0)) == pytest.approx(11, abs=1), "and counts for nothing"


def test_reads_are_not_behind_everything_that_a_writer_has_queued() -> None:
    mapping = Mapping(100)
    mapping.ask_many(1000, NBD_CMD_WRITE)
    mapping.ask_many(1000, NBD_CMD_READ)
    reads = sum(one.command == NBD_CMD_READ for one in mapping.begun_in(2.0))
    assert reads == pytest.approx(100, abs=2)


def test_one_read_after_the_other_beside_a_queue_of_writes_gets_its_turn_each_time() -> None:
    mapping = Mapping(100)
    mapping.ask_many(1000, NBD_CMD_WRITE)
    mapping.clock.run(1.0)
    for _ in range(20):
        read = mapping.ask(Request())
        assert read in mapping.begun_in(0.03)


def test_large_writes_and_small_reads_share_bytes_and_not_requests() -> None:
    mapping = Mapping(0, MIB)
    mapping.ask_many(100, NBD_CMD_WRITE, 128 * 1024)
    mapping.ask_many(2000, NBD_CMD_READ, 4096)
    begun = mapping.begun_in(4.0)
    written = sum(one.length for one in begun if one.command == NBD_CMD_WRITE)
    assert written == pytest.approx(2 * MIB, rel=0.15)


def test_one_direction_alone_has_all_of_the_limit_and_no_credit_for_it_later() -> None:
    mapping = Mapping(100)
    mapping.ask_many(500, NBD_CMD_WRITE)
    mapping.clock.run(4.0)
    mapping.ask_many(500, NBD_CMD_READ)
    begun = mapping.begun_in(0.5)
    assert sum(one.command == NBD_CMD_WRITE for one in begun) == pytest.approx(25, abs=2)


def test_another_limit_holds_at_once_for_what_waits_already() -> None:
    mapping = Mapping(11)
    mapping.ask_many(5000)
    mapping.clock.run(1.0)
    mapping.limiter.change(1000, 0)
    assert len(mapping.begun_in(1.0)) == pytest.approx(1000, abs=10)
    mapping.limiter.change(20, 0)
    assert len(mapping.begun_in(1.0)) == pytest.approx(20, abs=1)
    mapping.limiter.change(0, 0)
    assert len(mapping.begun) == 5000
    assert not mapping.ask(Request()).errors
    assert len(mapping.begun) == 5001


def test_changing_a_limit_again_and_again_gains_nothing() -> None:
    mapping = Mapping(100)
    mapping.ask_many(5000)
    for number in range(100):
        mapping.limiter.change(100 + number % 2, 0)
        mapping.clock.run(0.01)
    assert len(mapping.begun) < 210  # one each time, beside what is due


def test_what_waits_is_answered_when_the_volume_goes() -> None:
    mapping = Mapping(11)
    requests = [mapping.ask(Request()) for _ in range(20)]
    mapping.limiter.stop(errno.EIO)
    assert [one.errors for one in requests if one not in mapping.begun] == [[errno.EIO]] * (
        20 - len(mapping.begun)
    )
    assert not mapping.begun_in(10.0)


def test_writes_of_a_client_that_has_gone_are_not_carried_out_later() -> None:
    mapping = Mapping(11)
    mapping.ask_many(1, NBD_CMD_WRITE)
    late, other = (mapping.ask(Request(NBD_CMD_WRITE)) for _ in range(2))
    late.is_abandoned = True
    mapping.clock.run(0.2)
    assert late.errors == [errno.ESHUTDOWN]
    assert late not in mapping.begun
    assert other in mapping.begun


def test_a_write_that_has_to_be_sent_again_counts_once() -> None:
    async def story() -> None:
        attempts: dict[int, int] = {}

        def answer(sent: object) -> int:
            sequence = sent.sequence  # type: ignore[attr-defined]
            attempts[sequence] = attempts.get(sequence, 0) + 1
            return Status.OK if attempts[sequence] > 3 else Status.STALE_MAP

        volume = Volume(answer, ok)
        volume.engine.limit(100, 0, asyncio.get_running_loop())
        requests = [volume.write(number % 4) for number in range(100)]
        await asyncio.sleep(1.2)
        assert [one.errors for one in requests] == [[0]] * 100
        assert volume.engine.write_count == 100

    simulated(story)
