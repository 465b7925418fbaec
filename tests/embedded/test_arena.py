"""Memory shared between a client and a server: used again in time, and never believed beyond its bounds."""

from __future__ import annotations

import fcntl
import os
import random
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.embedded.arena import (
    OFFER,
    POINTER,
    SLOT_BYTES,
    Arena,
    PayloadPool,
    SharedMemory,
    pointer_of,
)
from artesian.embedded.buffers import BufferPool


def offer(payloads: Arena, answers: Arena) -> bytes:
    return OFFER.pack(payloads.descriptor, payloads.size_bytes, answers.descriptor, answers.size_bytes)


def pointer(view: memoryview | None) -> memoryview:
    found = pointer_of(view)
    assert found is not None
    return memoryview(found)


@pytest.fixture
def connection() -> socket.socket:
    """A connection to ourselves."""
    ours, theirs = socket.socketpair()
    ours.close()
    return theirs


def test_a_slot_is_used_again_when_nobody_looks_at_it() -> None:
    arena = Arena(1)
    view = arena.take(100)
    assert view is not None
    part = view[10:20]
    assert arena.take(100) is None
    del view
    assert arena.take(100) is None, "a part of it is still looked at"
    del part
    assert arena.take(100) is not None


def test_what_does_not_fit_a_slot_is_not_taken_from_the_arena() -> None:
    assert Arena(1).take(SLOT_BYTES + 1) is None


def test_a_pool_goes_on_in_ordinary_memory() -> None:
    pool = PayloadPool(Arena(2), BufferPool(1 << 20))
    views = [pool.take(100_000) for _ in range(4)]
    assert [pointer_of(view) is not None for view in views] == [True, True, False, False]
    assert pointer_of(pool.take(SLOT_BYTES + 1)) is None


@given(st.lists(st.integers(1, 300_000), max_size=30), st.integers(0, 2**32))
@settings(max_examples=30)
def test_views_share_nothing(lengths: list[int], seed: int) -> None:
    rng = random.Random(seed)
    arena = Arena(5)
    held: dict[int, memoryview] = {}
    for number, length in enumerate(lengths):
        view = arena.take(length)
        if view is None:
            assert len(held) == 5
        else:
            view[0] = view[-1] = number
            held[number] = view
            del view
        while held and rng.random() < 0.5:
            held.pop(rng.choice(list(held)))
        assert all(view[0] == view[-1] == number for number, view in held.items())
    os.close(arena.descriptor)


def test_both_sides_see_the_same_bytes(connection: socket.socket) -> None:
    payloads, answers = Arena(2), Arena(2)
    shared = SharedMemory.open(connection, offer(payloads, answers))
    first, second = payloads.take(SLOT_BYTES), payloads.take(4096)
    assert first is not None
    assert second is not None
    second[:] = b"w" * 4096
    seen = shared.payload(pointer(second), 4096)
    assert seen == b"w" * 4096
    room = answers.take(4096)
    assert room is not None
    there = shared.answer(pointer(room), 4096)
    assert there is not None
    there[:] = b"r" * 4096
    assert room == b"r" * 4096


def test_a_server_cannot_write_to_what_is_to_be_written(connection: socket.socket) -> None:
    payloads, answers = Arena(1), Arena(1)
    view = payloads.take(10)
    seen = SharedMemory.open(connection, offer(payloads, answers)).payload(pointer(view), 10)
    assert seen is not None
    with pytest.raises(TypeError):
        seen[0] = 1


@pytest.mark.parametrize(
    ("at", "length"), [(SLOT_BYTES - 1, 2), (SLOT_BYTES, 1), (1 << 63, 4096), (0, SLOT_BYTES + 1)]
)
def test_nothing_beyond_the_arena_is_touched(connection: socket.socket, at: int, length: int) -> None:
    shared = SharedMemory.open(connection, offer(Arena(1), Arena(1)))
    where = memoryview(POINTER.pack(at))
    assert shared.payload(where, length) is None
    assert shared.answer(where, length) is None
    assert shared.answer(memoryview(b"short"), 1) is None


def test_memory_that_could_be_cut_short_is_refused(connection: socket.socket) -> None:
    arena = Arena(1)
    unsealed = os.memfd_create("unsealed", os.MFD_ALLOW_SEALING)
    os.ftruncate(unsealed, SLOT_BYTES)
    wanted = OFFER.pack(arena.descriptor, SLOT_BYTES, unsealed, SLOT_BYTES)
    with pytest.raises(ValueError, match="not sealed"):
        SharedMemory.open(connection, wanted)
    fcntl.fcntl(unsealed, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    SharedMemory.open(connection, wanted)
    os.close(unsealed)


def test_an_ordinary_file_is_refused(connection: socket.socket, tmp_path: os.PathLike[str]) -> None:
    arena = Arena(1)
    descriptor = os.open(os.path.join(tmp_path, "file"), os.O_RDWR | os.O_CREAT)
    os.ftruncate(descriptor, SLOT_BYTES)
    with pytest.raises((OSError, ValueError)):
        SharedMemory.open(connection, OFFER.pack(arena.descriptor, SLOT_BYTES, descriptor, SLOT_BYTES))
    os.close(descriptor)


@pytest.mark.parametrize("size_bytes", [0, 2 * SLOT_BYTES, 1 << 40])
def test_a_size_that_is_not_the_arenas_is_refused(connection: socket.socket, size_bytes: int) -> None:
    payloads, answers = Arena(1), Arena(1)
    with pytest.raises(ValueError, match="arena"):
        SharedMemory.open(
            connection, OFFER.pack(payloads.descriptor, SLOT_BYTES, answers.descriptor, size_bytes)
        )


def test_nothing_is_shared_over_tcp_or_for_nonsense(connection: socket.socket) -> None:
    with pytest.raises(ValueError, match="Unix socket"):
        SharedMemory.open(connection, b"nonsense")
    with socket.socket() as tcp, pytest.raises(ValueError, match="Unix socket"):
        SharedMemory.open(tcp, offer(Arena(1), Arena(1)))
