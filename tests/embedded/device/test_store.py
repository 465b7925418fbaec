"""The store beside a dictionary of blocks: reads, space, and what a crash or a loss of power leaves."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.embedded.device.store import DeviceStore
from artesian.embedded.errors import BadBlock, DeviceIoError, ForeignDevice, NoSpace
from tests.embedded.simulation.disk import Platter, ProcessKilled, SimulatedDisk

MIB = 1 << 20
BLOCK = 4096
SYSTEM, POOL, DEVICE = "a" * 16, "b" * 16, "c" * 16


def nothing() -> None:
    """No crash."""


def make(size_mib: int = 12) -> tuple[Platter, DeviceStore]:
    platter = Platter(size_mib * MIB)
    return platter, DeviceStore.adopt_or_format(
        SimulatedDisk(platter, "/disk", nothing), SYSTEM, POOL, DEVICE
    )


def reopen(platter: Platter, killer: Callable[[], None] = nothing) -> DeviceStore:
    return DeviceStore.open(SimulatedDisk(platter, "/disk", killer), SYSTEM, DEVICE)  # type: ignore[arg-type]


def block(value: int) -> bytes:
    return bytes([value]) * BLOCK


def test_what_was_never_written_reads_as_zeros() -> None:
    _, store = make()
    assert bytes(store.read(1, 5, 100, 5000) or b"") == bytes(5000)


def test_bytes_can_be_written_at_any_offset() -> None:
    _, store = make()
    data = random.Random(1).randbytes(MIB)
    mirror = bytearray(MIB)
    chooser = random.Random(2)
    for _ in range(200):
        start = chooser.randrange(MIB)
        length = min(chooser.choice((1, 511, 4096, 8192, 100_000)), MIB - start)
        if chooser.random() < 0.3:
            mirror[start : start + length] = bytes(length)
            store.zero(1, 0, start, length, 1, 1)
        else:
            mirror[start : start + length] = data[:length]
            store.write(1, 0, start, data[:length], 1, 1)
        at = chooser.randrange(MIB - 5000)
        assert bytes(store.read(1, 0, at, 5000) or b"") == bytes(mirror[at : at + 5000])
    assert bytes(store.read(1, 0, 0, MIB) or b"") == bytes(mirror)


def test_a_clean_stop_keeps_everything() -> None:
    platter, store = make()
    store.write(7, 3, 0, block(9), 4, 1)
    store.close()
    again = reopen(platter)
    assert again.read(7, 3, 0, BLOCK) == block(9)
    info = again.info(7, 3)
    assert info is not None
    assert info.generation == 4


def test_an_emptied_chunk_gives_its_slot_back() -> None:
    _, store = make()
    store.write(1, 0, 0, block(1), 1, 1)
    store.write(1, 0, 8 * BLOCK, block(2), 1, 2)
    assert store.used_slots == 1
    store.zero(1, 0, 0, BLOCK, 1, 3)
    assert store.used_slots == 1
    store.zero(1, 0, 8 * BLOCK, BLOCK, 1, 4)
    assert store.used_slots == 1, "another copy may not have been zeroed yet: the chunk stays known as open"
    store.sync()
    assert store.close_chunks(1, 4) == 1
    assert store.used_slots == 0


def test_a_chunk_closed_after_the_copies_changed_does_not_look_like_an_absent_copys() -> None:
    _, store = make()
    store.write(1, 0, 0, block(1), 5, 1)
    store.sync()
    assert store.close_chunks(1, 1, lambda _: 0) == 0, "a copy that is not in sync keeps its open chunks"
    assert store.close_chunks(1, 1, lambda _: 7) == 1
    info = store.info(1, 0)
    assert info is not None
    assert (info.generation, info.open) == (7, False)


def test_a_lower_sequence_does_not_make_an_earlier_write_look_complete() -> None:
    _, store = make()
    store.write(1, 0, 0, block(1), 1, 50)
    store.write(1, 0, 0, block(2), 1, 0)
    store.sync()
    assert store.close_chunks(1, 10) == 0


def test_a_full_device_refuses_new_chunks_and_goes_on_with_old_ones() -> None:
    _, store = make()
    for chunk in range(store.slot_count):
        store.write(1, chunk, 0, block(1), 1, 1)
    with pytest.raises(NoSpace):
        store.write(1, 1000, 0, block(2), 1, 1)
    assert store.info(1, 1000) is None
    store.write(1, 0, 0, block(3), 1, 1)
    assert store.read(1, 0, 0, BLOCK) == block(3)
    store.drop(1, 1)
    store.write(1, 1000, 0, block(2), 1, 1)
    assert store.read(1, 1000, 0, BLOCK) == block(2)


def test_the_spare_share_is_for_healing_only() -> None:
    _, store = make()
    store.allocation_limit = 2
    store.write(1, 0, 0, block(1), 1, 1)
    store.write(1, 1, 0, block(1), 1, 1)
    with pytest.raises(NoSpace):
        store.write(1, 2, 0, block(1), 1, 1)
    store.write(1, 2, 0, block(1), 1, 1, spare=True)


def test_flipped_bits_are_noticed_and_can_be_repaired() -> None:
    platter, store = make()
    store.write(1, 0, 0, block(5) * 2, 1, 1)
    platter.flip(store._data_offset + BLOCK + 17, 4)
    assert store.read(1, 0, 0, BLOCK) == block(5)
    with pytest.raises(BadBlock) as bad:
        store.read(1, 0, 0, 2 * BLOCK)
    assert bad.value.blocks == [1]
    with pytest.raises(BadBlock):
        store.write(1, 0, BLOCK + 10, b"part of a bad block", 1, 2)
    assert not store.bless(1, 0, 1), "a block that is bad for no known reason is never accepted"
    assert store.repair(1, 0, 1, block(5))
    assert not store.repair(1, 0, 1, block(6)), "a good block is not touched"
    assert store.read(1, 0, 0, 2 * BLOCK) == block(5) * 2


def test_a_damaged_slot_entry_is_reported() -> None:
    platter, store = make()
    store.write(1, 0, 0, block(5), 1, 1)
    store.close()
    platter.flip(store._superblock.entries_offset + 3, 1)
    assert reopen(platter).damaged


def test_a_damaged_superblock_is_replaced_by_its_copy() -> None:
    platter, store = make()
    store.write(1, 0, 0, block(5), 1, 1)
    store.close()
    platter.flip(40, 255)
    assert reopen(platter).read(1, 0, 0, BLOCK) == block(5)


@pytest.mark.parametrize(("system", "device"), [("f" * 16, DEVICE), (SYSTEM, "f" * 16)])
def test_a_disk_of_another_engine_or_device_is_not_opened(system: str, device: str) -> None:
    platter, store = make()
    store.close()
    before = bytes(platter.bytes[:])
    disk = SimulatedDisk(platter, "/disk", nothing)
    with pytest.raises(ForeignDevice):
        DeviceStore.adopt_or_format(disk, system, POOL, device)  # type: ignore[arg-type]
    assert bytes(platter.bytes[:]) == before


def test_a_disk_with_a_signature_is_not_touched() -> None:
    platter = Platter(8 * MIB)
    platter.bytes[1080:1082] = b"\x53\xef"
    platter.signature = "ext4 signature"
    before = bytes(platter.bytes[:])
    with pytest.raises(ForeignDevice, match="ext4"):
        DeviceStore.adopt_or_format(SimulatedDisk(platter, "/disk", nothing), SYSTEM, POOL, DEVICE)  # type: ignore[arg-type]
    assert bytes(platter.bytes[:]) == before


def test_closing_waits_for_the_sync_and_for_the_writer() -> None:
    _, store = make()
    store.write(1, 0, 0, block(1), 1, 10)
    assert store.close_chunks(1, 10) == 0, "not synced yet"
    store.sync()
    assert store.close_chunks(1, 9) == 0, "the write may not be complete elsewhere"
    assert store.close_chunks(1, 10) == 1
    assert store.open_chunks == 0
    store.write(1, 0, 0, block(2), 1, 11)
    assert store.open_chunks_of(1) == [0]


def test_what_is_written_while_a_sync_runs_is_not_taken_for_synced() -> None:
    _, store = make()
    store.write(1, 0, 0, block(1), 1, 1)
    token = store.begin_sync()
    store.write(1, 1, 0, block(1), 1, 2)
    assert store.close_chunks(1, 5) == 0, "the sync has not ended"
    store.sync_disk()
    store.end_sync(token)
    assert store.close_chunks(1, 5) == 1
    assert store.open_chunks_of(1) == [1]


def test_an_installed_chunk_equals_its_source() -> None:
    _, source = make()
    _, target = make()
    source.write(1, 0, 0, block(1) * 3, 5, 1)
    source.zero(1, 0, BLOCK, BLOCK, 5, 2)
    target.write(1, 0, BLOCK, block(8) * 4, 3, 1)
    table = source.table(1, 0)
    assert table is not None
    data = source.read_unverified(1, 0, [0, 2])
    blocks = [(0, memoryview(data[0])), (2, memoryview(data[1]))]
    target.install(1, 0, table.generation, table.checksums, blocks, open_sequence=7)
    assert bytes(target.read(1, 0, 0, MIB) or b"") == bytes(source.read(1, 0, 0, MIB) or b"")
    info = target.info(1, 0)
    assert info is not None
    assert (info.generation, info.open, target.last_sequence(1, 0)) == (5, True, 7)


step = st.tuples(
    st.sampled_from(["write", "write", "write", "trim", "sync", "close", "drop"]),
    st.integers(0, 3),  # chunk
    st.integers(0, 5),  # block
    st.integers(1, 250),  # value
)


@settings(max_examples=150, deadline=None)
@given(st.lists(step, max_size=40), st.integers(0, 200), st.booleans(), st.integers(0, 10**6))
def test_after_a_crash_every_block_is_old_or_new(
    steps: list[tuple[str, int, int, int]], crash_after: int, power: bool, seed: int
) -> None:
    """The process dies at some operation on the disk; with `power`, any unsynced page may be lost too."""
    platter = Platter(8 * MIB)
    DeviceStore.adopt_or_format(SimulatedDisk(platter, "/disk", nothing), SYSTEM, POOL, DEVICE).close()  # type: ignore[arg-type]
    left = [crash_after + 12]

    def killer() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise ProcessKilled

    possible: dict[tuple[int, int], set[int]] = {}
    current: dict[tuple[int, int], int] = {}
    sequence = 0
    try:
        store = reopen(platter, killer)
        for action, chunk, number, value in steps:
            sequence += 1
            touched = [(chunk, number)] if action in ("write", "trim") else []
            if action == "drop":
                touched = [(chunk, other) for other in range(6)]
            new = value if action == "write" else 0
            for place in touched:
                possible.setdefault(place, {current.get(place, 0)}).add(new)
            if action == "write":
                store.write(1, chunk, number * BLOCK, block(value), 1, sequence)
            elif action == "trim":
                store.zero(1, chunk, number * BLOCK, BLOCK, 1, sequence)
            elif action == "drop":
                store.drop(1, chunk)
            elif action == "sync":
                store.sync()
                possible = {place: {value} for place, value in current.items()}
            else:
                store.close_chunks(1, sequence)
            for place in touched:
                current[place] = new
                if not power:
                    possible[place] = {new}
    except ProcessKilled:
        pass
    if power:
        platter.lose_power(random.Random(seed))
    store = reopen(platter)
    for (chunk, number), allowed in possible.items():
        table = store.table(1, chunk)
        if table is not None and number in table.bad:
            assert table.open
            assert store.bless(1, chunk, number), "a torn write is uncertain, not bad"
        data = store.read(1, chunk, number * BLOCK, BLOCK)
        assert data is not None
        assert bytes(data) in {block(value) for value in allowed}, f"block {number} of chunk {chunk}"
    assert not store.damaged or power


def test_a_failing_disk_is_an_error_not_a_wrong_answer() -> None:
    platter, store = make()
    store.write(1, 0, 0, block(1), 1, 1)
    platter.failed = True
    with pytest.raises(DeviceIoError):
        store.read(1, 0, 0, BLOCK)
    with pytest.raises(DeviceIoError):
        store.write(1, 0, 0, block(2), 1, 2)
