"""What a copy says of itself counts only while it is one of those that make up the slice."""

from __future__ import annotations

import pytest

from artesian.embedded.wire import Flag, Operation, Status
from tests.embedded.sds.served import SLICES, Served, simulated


def test_an_in_sync_copy_tells_its_checksums() -> None:
    async def story() -> None:
        served = Served()
        served.write(2, 1)
        assert served.table_of(2) == Status.OK
        assert served.table_of(3) == Status.OK, "it holds nothing of it, and may say so"

    simulated(story)


@pytest.mark.parametrize("generation", [4, 0])
def test_who_goes_by_an_old_map_gets_no_checksums(generation: int) -> None:
    async def story() -> None:
        served = Served()
        assert served.table_of(2, generation) == Status.STALE_MAP

    simulated(story)


def test_a_copy_that_has_moved_away_says_nothing_for_it_may_have_dropped_the_chunk() -> None:
    async def story() -> None:
        served = Served()
        served.write(2, 1)
        slice_index = served.device.slice_of(1, 2)
        served.device.generations[slice_index] = 0
        assert served.table_of(2) == Status.STALE_MAP
        assert served.open_chunks((slice_index, 5)) == Status.STALE_MAP
        others = [(index, 5) for index in range(SLICES) if index != slice_index]
        assert served.open_chunks(*others) == Status.OK

    simulated(story)


def test_a_server_compares_what_a_joining_copy_holds() -> None:
    async def story() -> None:
        served = Served()
        served.device.generations[:] = [0] * SLICES
        served.ask(Operation.TABLE, 2, flags=Flag.VERIFY, generation=0)
        assert served.session.statuses == [Status.OK]

    simulated(story)


@pytest.mark.parametrize("membership", [(0, 4), (SLICES, 5), (0, 0)])
def test_open_chunks_are_told_only_to_who_knows_the_copies(membership: tuple[int, int]) -> None:
    async def story() -> None:
        served = Served()
        assert served.open_chunks((1, 5), membership) == Status.STALE_MAP

    simulated(story)


def test_a_malformed_list_of_slices_is_refused() -> None:
    async def story() -> None:
        served = Served()
        served.ask(Operation.LIST_OPEN, payload=b"12345")
        assert served.session.statuses == [Status.INVALID]

    simulated(story)
