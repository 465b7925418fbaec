"""What a client does with requests that did not go through."""

from __future__ import annotations

import asyncio
import errno

from artesian.embedded.sdc.mending import LONGEST_PAUSE_S, pause_s
from artesian.embedded.wire import ABSENT_TABLE, BLOCKS_PER_CHUNK, ZERO_ENTRY, Operation, Status, pack_table
from tests.embedded.sdc.fake_servers import IO_TIMEOUT_S, Answer, Sent, Volume, always, ok
from tests.embedded.sds.served import simulated

EMPTY = pack_table(1, True, ZERO_ENTRY * BLOCKS_PER_CHUNK, [])
ONE_BLOCK = pack_table(1, True, b"12345678" + ZERO_ENTRY * (BLOCKS_PER_CHUNK - 1), [])


def holding(table: bytes) -> Answer:
    """A copy with these checksums, on which everything else succeeds."""
    return lambda sent: (Status.OK, table) if sent.operation == Operation.TABLE else Status.OK


def test_pauses_grow_up_to_a_limit() -> None:
    pauses = [pause_s(attempt) for attempt in range(20)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.005
    assert pauses[-1] == LONGEST_PAUSE_S


def test_a_write_that_met_an_old_map_goes_through_with_the_new_one() -> None:
    async def story() -> None:
        volume = Volume(lambda sent: Status.OK if sent.generation == 6 else Status.STALE_MAP, ok)
        request = volume.write()
        volume.route(6)
        await asyncio.sleep(0.05)
        assert request.errors == [0]
        assert volume.managers.refreshed == 1

    simulated(story)


def test_a_write_that_fails_for_long_does_not_delay_others() -> None:
    async def story() -> None:
        stuck, first_time = 3, set[int]()

        def answer(sent: Sent) -> int:
            if sent.chunk == stuck or sent.sequence not in first_time:
                first_time.add(sent.sequence)
                return Status.STALE_MAP
            return Status.OK

        volume = Volume(answer, ok)
        volume.write(stuck)
        await asyncio.sleep(2.0)
        request = volume.write(0)
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(0.5)
        assert request.errors == [0]
        assert request.at_s - began < 0.02

    simulated(story)


def test_a_write_is_acknowledged_only_when_the_managers_know_of_the_copy_that_lacks_it() -> None:
    async def story() -> None:
        volume = Volume(always(Status.LOST), ok)
        volume.managers.refuse = 3
        request = volume.write()
        await asyncio.sleep(0.02)
        assert request.errors == []
        await asyncio.sleep(0.2)
        assert request.errors == []
        assert volume.managers.reported[0] == ["device of first"]
        volume.route(6, volume.servers[1])
        await asyncio.sleep(1.0)
        assert request.errors == [0]

    simulated(story)


def test_no_write_is_answered_twice_when_the_managers_do_not_answer() -> None:
    async def story() -> None:
        def answer(sent: Sent) -> int | tuple[int, bytes]:
            if sent.operation == Operation.TABLE:
                return Status.OK, EMPTY
            return Status.NO_SPACE if sent.chunk == 1 else Status.LOST

        volume = Volume(answer, holding(EMPTY))
        volume.managers.refuse = 5
        full, lost = volume.write(1), volume.write(0)
        await asyncio.sleep(1.0)
        assert full.errors == [errno.ENOSPC]
        volume.route(6, volume.servers[1])
        await asyncio.sleep(1.0)
        assert lost.errors == [0]

    simulated(story)


def test_a_chunk_that_one_copy_has_no_room_for_is_emptied_on_the_other() -> None:
    async def story() -> None:
        def full(sent: Sent) -> int | tuple[int, bytes]:
            if sent.operation == Operation.TABLE:
                return Status.OK, ABSENT_TABLE
            return Status.OK if sent.operation == Operation.ZERO else Status.NO_SPACE

        volume = Volume(full, holding(ONE_BLOCK))
        request = volume.write()
        await asyncio.sleep(0.5)
        assert request.errors == [errno.ENOSPC]
        assert volume.servers[1].of(Operation.ZERO)

    simulated(story)


def test_a_chunk_that_both_copies_hold_is_never_emptied_for_want_of_room() -> None:
    async def story() -> None:
        def full(sent: Sent) -> int | tuple[int, bytes]:
            if sent.operation == Operation.TABLE:
                return Status.OK, EMPTY
            return Status.NO_SPACE

        volume = Volume(holding(ONE_BLOCK), full)
        volume.write()
        await asyncio.sleep(2.0)
        assert volume.servers[1].of(Operation.TABLE)
        assert not volume.servers[0].of(Operation.ZERO)

    simulated(story)


def test_what_one_copy_said_is_not_applied_to_copies_that_came_later() -> None:
    async def story() -> None:
        def leaving(sent: Sent) -> int | tuple[int, bytes]:
            if sent.operation == Operation.TABLE:
                volume.route(6)  # the copies have changed while it answered
                return Status.OK, ABSENT_TABLE
            if sent.operation == Operation.WRITE and sent.generation == 5:
                return Status.NO_SPACE
            return Status.STALE_MAP if sent.generation == 5 else Status.OK

        def staying(sent: Sent) -> int | tuple[int, bytes]:
            if sent.operation == Operation.TABLE:
                return Status.OK, ONE_BLOCK
            return (
                Status.STALE_MAP if sent.generation == 5 and sent.operation == Operation.ZERO else Status.OK
            )

        volume = Volume(leaving, staying)
        request = volume.write()
        await asyncio.sleep(2.0)
        zeroed = [sent.generation for server in volume.servers for sent in server.of(Operation.ZERO)]
        assert 6 not in zeroed
        assert request.errors == [0]

    simulated(story)


def test_an_abandoned_write_is_not_forgotten_before_the_copies_are_equal() -> None:
    async def story() -> None:
        broken = True

        def answer(sent: Sent) -> int | tuple[int, bytes]:
            if broken:
                return Status.STALE_MAP
            return (Status.OK, EMPTY) if sent.operation == Operation.TABLE else Status.OK

        volume = Volume(answer, answer)
        request = volume.write()
        await asyncio.sleep(IO_TIMEOUT_S + 2)
        assert request.errors == [errno.EIO]
        assert volume.engine.outstanding, "its chunk stays open everywhere"
        broken = False
        await asyncio.sleep(2)
        assert not volume.engine.outstanding

    simulated(story)


def test_a_flush_is_not_answered_before_a_loss_with_unflushed_writes_is_on_record() -> None:
    async def story() -> None:
        volume = Volume(ok, ok)
        volume.write()
        await asyncio.sleep(0.01)
        volume.servers[0].unreported = True  # it was lost, and is back
        volume.managers.refuse = 3
        request = volume.flush()
        await asyncio.sleep(0.004)
        assert request.errors == []
        await asyncio.sleep(1.0)
        assert request.errors == [0]
        assert volume.managers.reported == [["device of first"]]
        assert not volume.servers[0].unreported

    simulated(story)


def test_what_waits_is_answered_when_the_volume_is_closed() -> None:
    async def story() -> None:
        volume = Volume(always(Status.STALE_MAP), ok)
        request = volume.write()
        await asyncio.sleep(1.0)
        volume.engine.stop()
        volume.mender.close()
        await asyncio.sleep(1.0)
        assert request.errors == [errno.ESHUTDOWN]

    simulated(story)
