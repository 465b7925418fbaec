"""How full file systems are: found out by threads, told when it changes notably, and never waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from artesian.agent.fill import EVERY_S, Fill, Fills, fill_of
from artesian.attach import mounts

GIB = 1 << 30


class Mounts:
    """File systems that are as full as a test says, a clock that it turns, and threads that it runs."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.fill: Fill | None = Fill(GIB, 4 * GIB)
        self.threads: list[Callable[[], None]] = []
        self.fills = Fills(lambda _path: self.fill, lambda: self.now_s, self.threads.append)

    def look(self) -> Fill | None:
        return self.fills.of("v1", Path("/data"))

    def answer(self) -> None:
        while self.threads:
            self.threads.pop(0)()


def test_the_first_look_waits_for_nothing() -> None:
    found = Mounts()
    assert found.look() is None
    found.answer()
    assert found.look() == Fill(GIB, 4 * GIB)


def test_a_dead_mount_costs_one_thread_and_no_more() -> None:
    found = Mounts()
    for _ in range(5):
        found.look()
        found.now_s += EVERY_S
    assert len(found.threads) == 1


def test_small_changes_are_not_worth_a_report() -> None:
    found = Mounts()
    found.look()
    found.answer()
    for used, told in ((GIB + 4096, GIB), (GIB + GIB // 40, GIB + GIB // 40)):
        found.fill = Fill(used, 4 * GIB)
        found.now_s += EVERY_S
        found.look()
        found.answer()
        assert found.look() == Fill(told, 4 * GIB)


def test_after_it_has_grown_it_is_measured_at_once() -> None:
    found = Mounts()
    found.look()
    found.answer()
    found.fills.forget("v1")
    found.fill = Fill(GIB, 8 * GIB)
    assert found.look() is None
    found.answer()
    assert found.look() == Fill(GIB, 8 * GIB)


def test_what_a_thread_brings_too_late_is_of_no_interest() -> None:
    found = Mounts()
    found.look()
    found.fills.forget("v1")
    (late,) = found.threads
    found.threads.clear()
    found.fill = Fill(7, 7)
    late()
    found.look()
    assert found.look() is None


def test_a_mounted_file_system_is_as_full_as_the_kernel_says() -> None:
    status = os.statvfs("/")
    found = fill_of(Path("/"))
    if found is None:
        assert not status.f_blocks
        return
    used = (status.f_blocks - status.f_bfree) * status.f_frsize
    assert abs(found.used_bytes - used) < GIB
    assert found.total_bytes <= status.f_blocks * status.f_frsize


def test_a_folder_where_nothing_is_mounted_is_not_known(tmp_path: Path) -> None:
    """Else it would be the file system below."""
    assert mounts.mounted_at(tmp_path) is None
    assert fill_of(tmp_path) is None
