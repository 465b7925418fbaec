"""Which store a cluster has is chosen once; how many schedulers, whenever somebody likes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from artesian.model.errors import Conflict, NotPossible, SpecError
from artesian.scheduler.settings import (
    SchedulerSettings,
    changed_settings,
    home_of,
    load_settings,
    save_settings,
    urls_of,
)

URL = "etcd://me:secret@h1,h2/a"


def chosen(folder: Path, store: str | None = None, count: int | None = None) -> SchedulerSettings:
    settings = changed_settings(folder, store, count)
    save_settings(folder, settings)
    return settings


def test_without_a_word_there_is_one_scheduler_with_a_file(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == SchedulerSettings()
    chosen(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_was_chosen_stays(tmp_path: Path) -> None:
    first = chosen(tmp_path, URL, 2)
    assert load_settings(tmp_path) == chosen(tmp_path) == first
    assert chosen(tmp_path, None, 3).store == URL
    assert chosen(tmp_path, URL.replace("secret", "other")).count == 3
    assert load_settings(tmp_path).cluster == first.cluster != ""
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_state_is_not_left_behind(tmp_path: Path) -> None:
    home_of(tmp_path, 1).mkdir()
    (home_of(tmp_path, 1) / "store.sqlite").touch()
    with pytest.raises(Conflict, match=r"store\.sqlite.*lacks it"):
        chosen(tmp_path, URL)
    other = tmp_path / "other"
    other.mkdir()
    chosen(other, URL)
    with pytest.raises(Conflict, match="etcd://me@h1:2379,h2:2379/a") as refused:
        chosen(other, "zk://h1/a")
    assert "secret" not in str(refused.value)


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match="--store"):
        chosen(tmp_path, None, 2)
    with pytest.raises(NotPossible, match="at most 9"):
        chosen(tmp_path, URL, 10)
    (tmp_path / "schedulers.json").write_text("{")
    with pytest.raises(NotPossible, match=r"schedulers\.json cannot be read"):
        load_settings(tmp_path)
    with pytest.raises(SpecError):
        changed_settings(tmp_path / "x", "redis://h", None)


def test_each_scheduler_has_a_port_and_a_folder(tmp_path: Path) -> None:
    settings = SchedulerSettings(URL, 2, "c")
    assert urls_of("127.0.0.1", 8700, settings) == ("http://127.0.0.1:8700", "http://127.0.0.1:8701")
    assert [home_of(tmp_path, number).name for number in (1, 2)] == ["scheduler", "scheduler-2"]
