"""Under which restart a process was started, as its node remembers it."""

from __future__ import annotations

from pathlib import Path

from artesian.engines.started_under import remember, started_under


def test_it_is_remembered_of_each_process(tmp_path: Path) -> None:
    remember(tmp_path, "mon", 7)
    remember(tmp_path, "osd-1", 9)
    remember(tmp_path, "osd-1", 8)  # of a store that was lost since
    assert (started_under(tmp_path, "mon"), started_under(tmp_path, "osd-1")) == (7, 8)


def test_where_nothing_can_be_known_it_was_before_all_of_them(tmp_path: Path) -> None:
    assert started_under(tmp_path, "mon") == 0
    (tmp_path / "mon.started").write_text("\0\0")
    assert started_under(tmp_path, "mon") == 0
    remember(tmp_path, "mgr", 0)
    assert not (tmp_path / "mgr.started").exists()
