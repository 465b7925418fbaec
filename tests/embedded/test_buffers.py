"""The pool of receive buffers: memory is used again, and never too early."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from artesian.embedded.buffers import POOLED_MAX_BYTES, BufferPool


def owner(view: memoryview) -> int:
    assert view.obj is not None
    return id(view.obj)


def test_a_buffer_is_used_again_when_nobody_looks_at_it() -> None:
    pool = BufferPool(1 << 20)
    view = pool.take(100_000)
    first = owner(view)
    del view
    assert owner(pool.take(70_000)) == first


def test_a_buffer_is_not_used_again_while_a_part_of_it_is_looked_at() -> None:
    pool = BufferPool(1 << 20)
    view = pool.take(100_000)
    view[:] = b"x" * 100_000
    part = view[50:60]
    del view
    other = pool.take(100_000)
    other[:] = b"y" * 100_000
    assert part == b"x" * 10


def test_buffers_beyond_what_is_kept_are_let_go() -> None:
    pool = BufferPool(3 * 65536)
    views = [pool.take(65536) for _ in range(10)]
    kept = {owner(view) for view in views[:3]}
    held = [view.obj for view in views]  # so that no address is used twice
    del views
    again = [pool.take(65536) for _ in range(4)]
    assert kept == {owner(view) for view in again[:3]}
    assert owner(again[3]) not in {id(obj) for obj in held}


def test_the_largest_buffers_are_not_kept() -> None:
    pool = BufferPool(1 << 30)
    view = pool.take(POOLED_MAX_BYTES + 1)
    kept = view.obj
    del view
    assert pool.take(POOLED_MAX_BYTES + 1).obj is not kept


@given(st.lists(st.integers(1, 300_000), max_size=40), st.integers(0, 2**32))
def test_views_have_the_length_asked_for_and_share_nothing(lengths: list[int], seed: int) -> None:
    rng = random.Random(seed)
    pool = BufferPool(1 << 20)
    held: dict[int, memoryview] = {}
    for number, length in enumerate(lengths):
        view = pool.take(length)
        assert len(view) == length
        view[0] = view[-1] = number
        held[number] = view
        while held and rng.random() < 0.5:
            held.pop(rng.choice(list(held)))
        assert all(view[0] == view[-1] == number for number, view in held.items())
