"""Which requests a server carries out."""

from __future__ import annotations

import asyncio

import pytest

from artesian.embedded.wire import BLOCK_BYTES, CHUNK_BYTES, Flag, Operation, Status
from tests.embedded.sds.served import VOLUME, Served, simulated


def test_an_old_epoch_is_fenced_and_a_newer_one_is_taken_over() -> None:
    async def story() -> None:
        served = Served()
        served.write(0, 1, epoch=9)
        served.write(0, 2, epoch=8)
        served.ask(Operation.READ, 0, length=BLOCK_BYTES, epoch=8)
        assert served.session.statuses == [Status.OK, Status.FENCED, Status.FENCED]
        assert served.block(0) == 1

    simulated(story)


@pytest.mark.parametrize("generation", [0, 4])
def test_an_old_map_is_refused(generation: int) -> None:
    async def story() -> None:
        served = Served()
        served.write(0, 1, generation=generation)
        served.ask(Operation.READ, 0, length=BLOCK_BYTES, generation=generation)
        assert served.session.statuses == [Status.STALE_MAP] * 2

    simulated(story)


def test_a_flush_is_not_answered_before_the_managers_have_said_what_is_ours() -> None:
    async def story() -> None:
        served = Served()
        served.table.ready = False
        served.ask(Operation.FLUSH)
        await asyncio.sleep(0.1)
        assert served.session.statuses == [Status.STALE_MAP]
        served.table.ready = True
        served.ask(Operation.FLUSH)
        await asyncio.sleep(0.1)
        assert served.session.statuses[-1] == Status.OK

    simulated(story)


def test_the_first_flush_covers_what_an_earlier_process_wrote() -> None:
    async def story() -> None:
        served = Served()
        served.store.write(VOLUME, 0, 0, b"x" * BLOCK_BYTES, 5, 1)
        served.ask(Operation.FLUSH)
        await asyncio.sleep(0.1)
        assert served.session.statuses == [Status.OK]
        assert not served.platter.before

    simulated(story)


def test_a_disk_that_cannot_be_flushed_has_failed() -> None:
    async def story() -> None:
        served = Served()
        served.write(0, 1)
        served.platter.failed = True
        served.ask(Operation.FLUSH)
        await asyncio.sleep(0.1)
        assert served.session.statuses == [Status.OK, Status.DEVICE_ERROR]
        assert len(served.failures) == 1

    simulated(story)


@pytest.mark.parametrize(("offset", "length"), [(0, 0), (CHUNK_BYTES - 1, 4096), (CHUNK_BYTES, 1)])
@pytest.mark.parametrize("operation", [Operation.READ, Operation.ZERO, Operation.WRITE])
def test_what_is_not_within_a_chunk_is_invalid(operation: int, offset: int, length: int) -> None:
    async def story() -> None:
        served = Served()
        payload = bytes(length) if operation == Operation.WRITE else b""
        served.ask(operation, 0, offset, payload, length=length)
        assert served.session.statuses == [Status.INVALID]

    simulated(story)


@pytest.mark.parametrize("operation", [Operation.READ, Operation.WRITE])
def test_who_shares_no_memory_cannot_point_into_it(operation: int) -> None:
    async def story() -> None:
        served = Served()
        served.ask(operation, 0, 0, bytes(8), length=BLOCK_BYTES, flags=Flag.SHARED)
        assert served.session.statuses == [Status.INVALID]

    simulated(story)


def test_blocks_that_come_back_wrong_are_errors_of_the_disk() -> None:
    async def story() -> None:
        served = Served()
        for block in (0, 1, 2):
            served.write(0, 7, block)
        at = served.platter.bytes.find(bytes([7]) * BLOCK_BYTES)
        for block in (0, 2):
            served.platter.flip(at + block * BLOCK_BYTES, 0xFF)
        served.ask(Operation.READ, 0, length=3 * BLOCK_BYTES)
        served.ask(Operation.READ, 0, BLOCK_BYTES, length=BLOCK_BYTES)
        assert served.session.statuses[-2:] == [Status.BAD_BLOCK, Status.OK]
        assert (served.device.errors, served.device.bad_blocks) == (2, 2)
        assert not served.failures

    simulated(story)


def test_how_long_flushes_take_is_measured() -> None:
    async def story() -> None:
        served = Served()
        assert served.device.write_times.mean_s() is None
        served.write(0, 1)
        served.ask(Operation.FLUSH)
        await asyncio.sleep(0.1)
        assert served.device.write_times.mean_s() is not None
        assert served.device.read_times.mean_s() is None

    simulated(story)
