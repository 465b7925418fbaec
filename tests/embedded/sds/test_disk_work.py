"""What waits for the disk waits in order, and everything else goes on."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

from artesian.embedded.device import space
from artesian.embedded.errors import DeviceIoError, NoSpace
from artesian.embedded.wire import BLOCK_BYTES, Operation, Status
from tests.embedded.sds.served import VOLUME, Served, Session, simulated


def test_a_write_to_an_open_chunk_is_answered_at_once() -> None:
    async def story() -> None:
        served = Served()
        served.write(0, 1)
        served.write(0, 2)
        assert served.session.statuses == [Status.OK] * 2

    simulated(story)


def test_a_write_to_a_closed_chunk_waits_until_it_is_open_on_stable_storage() -> None:
    async def story() -> None:
        served = Served()
        served.write(0, 1)
        served.close_chunks()
        served.write(0, 2)
        served.write(1, 3)
        assert served.session.statuses == [Status.OK, Status.OK], "only the other chunk's write is done"
        assert served.block(0) == 1
        await asyncio.sleep(0.1)
        assert served.session.statuses == [Status.OK] * 3
        assert served.block(0) == 2
        unsynced = [page * 4096 for page in served.platter.before]
        assert all(at >= served.store._tables_offset for at in unsynced), "no entry is still to be synced"

    simulated(story)


def test_requests_for_one_chunk_keep_their_order() -> None:
    async def story() -> None:
        served = Served()
        served.write(0, 1)
        served.close_chunks()
        tags = [served.write(0, 2), served.write(0, 3)]
        tags.append(served.ask(Operation.ZERO, 0, 0, length=BLOCK_BYTES))
        tags.append(served.write(0, 4))
        assert served.store.info(VOLUME, 0) is not None
        await asyncio.sleep(0.1)
        assert [tag for tag, _, _ in served.session.replies][1:] == tags
        assert served.block(0) == 4

    simulated(story)


def test_a_write_that_waits_when_its_writer_is_fenced_is_refused() -> None:
    async def story() -> None:
        served = Served()
        served.write(0, 1)
        served.close_chunks()
        served.write(0, 2)
        served.ask(Operation.OPEN, epoch=7)
        await asyncio.sleep(0.1)
        assert served.session.statuses[-1] == Status.FENCED
        assert served.block(0) == 1

    simulated(story)


def test_a_write_whose_connection_has_ended_is_forgotten() -> None:
    async def story() -> None:
        served = Served()
        served.write(0, 1)
        served.close_chunks()
        gone = Session()
        served.write(0, 2, session=gone)
        gone.is_closed = True
        served.write(0, 3)
        await asyncio.sleep(0.1)
        assert gone.replies == []
        assert served.block(0) == 3

    simulated(story)


def test_a_chunk_whose_entry_somebody_needs_now_is_opened_at_once() -> None:
    async def story() -> None:
        served = Served()
        served.write(0, 1)
        served.close_chunks()
        served.write(0, 2)
        await asyncio.sleep(0)  # the thread is to begin
        served.store.drop(VOLUME, 0)
        await asyncio.sleep(0.1)
        assert served.session.statuses == [Status.OK] * 2
        assert served.block(0) == 2
        assert len(list(served.store.chunks())) == 1

    simulated(story)


def test_a_disk_that_fails_meanwhile_answers_what_waits() -> None:
    async def story() -> None:
        served = Served()
        served.write(0, 1)
        served.close_chunks()
        served.write(0, 2)
        served.platter.failed = True
        await asyncio.sleep(0.1)
        assert served.session.statuses == [Status.OK, Status.DEVICE_ERROR]
        assert len(served.failures) == 1

    simulated(story)


def test_a_full_host_is_no_failed_disk() -> None:
    async def story() -> None:
        served = Served()
        served.write(0, 1)
        served.close_chunks()
        with patch.object(served.store._disk, "write_durable", side_effect=NoSpace("the host is full")):
            served.write(0, 2)
            await asyncio.sleep(0.1)
        assert served.session.statuses == [Status.OK, Status.NO_SPACE]
        assert served.failures == []
        served.write(0, 3)
        await asyncio.sleep(0.1)
        assert served.block(0) == 3

    simulated(story)


def test_slots_are_prepared_before_they_are_needed() -> None:
    async def story() -> None:
        with patch.object(space, "INITIALIZE_SLOTS", 3):
            served = Served()
            served.write(0, 1)
            assert len(served.store._free) == 2
            await asyncio.sleep(0.1)
            assert len(served.store._free) == 5
            for chunk in range(1, 9):
                served.write(chunk, chunk)
            assert [served.block(chunk) for chunk in range(1, 9)] == list(range(1, 9))

    simulated(story)


def test_preparing_that_fails_is_tried_again() -> None:
    async def story() -> None:
        with patch.object(space, "INITIALIZE_SLOTS", 3):
            served = Served()
            with patch.object(served.store._disk, "sync", side_effect=[None, DeviceIoError("once")]):
                served.write(0, 1)
                await asyncio.sleep(0.1)
            assert served.failures == ["once"]
            for chunk in range(1, 7):
                served.write(chunk, chunk)
            assert [served.block(chunk) for chunk in range(1, 7)] == list(range(1, 7))

    simulated(story)
