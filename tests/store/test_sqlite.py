"""The store in one SQLite file: all or nothing, one leader, nothing lost, and plain words when it cannot."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from artesian.model.event import Event
from artesian.store.port import NotLeading, StoreUnusable
from artesian.store.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scheduler" / "store.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    store.lead()
    yield store
    store.close()


def event(because: str) -> Event:
    return Event("step", "AddDevice", because, at_s=12.5)


def fill_up(store: SqliteStore) -> None:
    """From now on the file may not grow: what a full disk looks like to SQLite."""
    store._database.execute("PRAGMA max_page_count=20")


# --- documents


def test_what_is_committed_is_loaded(store: SqliteStore) -> None:
    assert store.load() == {}
    store.commit({"nodes/a": "1", "nodes/b": "2"})
    store.commit({"nodes/a": "3", "nodes/b": None, "nodes/never-there": None})
    assert store.load() == {"nodes/a": "3"}


def test_reopening_finds_everything(store: SqliteStore, path: Path) -> None:
    store.commit({"volumes/ä b/c": '{"n": 1}'}, [event("first")])
    store.close()
    again = SqliteStore(path)
    assert again.load() == {"volumes/ä b/c": '{"n": 1}'}
    assert again.events(0, 10) == [Event("step", "AddDevice", "first", 12.5, 1)]
    again.close()


def test_what_was_committed_before_a_crash_is_there(path: Path) -> None:
    text = f"""
import os, signal
from pathlib import Path
from artesian.store.sqlite import SqliteStore
store = SqliteStore(Path({str(path)!r}))
store.lead()
store.commit({{"a": "1"}})
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", text]).returncode == -9
    store = SqliteStore(path)
    store.lead()
    assert store.load() == {"a": "1"}
    store.close()


def test_a_commit_that_fails_leaves_nothing_behind(store: SqliteStore) -> None:
    store.commit({"kept": "as it was"}, [event("first")])
    fill_up(store)
    with pytest.raises(StoreUnusable):
        store.commit({"kept": None, "small": "1", "large": "x" * (1 << 20)}, [event("second")])
    assert store.load() == {"kept": "as it was"}
    assert len(store.events(0, 10)) == 1


def test_after_a_commit_that_failed_the_next_one_is_taken(store: SqliteStore) -> None:
    store.commit({"a": "1"})
    fill_up(store)
    with pytest.raises(StoreUnusable):
        store.commit({"large": "x" * (1 << 20)})
    store._database.execute(f"PRAGMA max_page_count={1 << 30}")
    store.commit({"a": "2"})
    assert store.load() == {"a": "2"}


def test_nothing_to_commit_is_nothing(store: SqliteStore) -> None:
    store.commit({}, [])
    assert store.load() == {}
    assert len(store.events(0, 10)) == 0


def test_only_its_owner_reads_it(store: SqliteStore, path: Path) -> None:
    store.commit({"secrets/api_token": "x"})
    files = sorted(one for one in path.parent.iterdir() if one.name.startswith("store.sqlite"))
    assert path in files
    assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o600}


# --- one leader


def test_a_second_leader_is_refused(store: SqliteStore, path: Path) -> None:
    second = SqliteStore(path)
    with pytest.raises(NotLeading, match=str(path)):
        second.lead()
    with pytest.raises(NotLeading):
        second.commit({"a": "1"})
    assert second.load() == {}
    second.close()
    store.commit({"a": "2"})


def test_a_second_leader_in_another_process_is_refused(store: SqliteStore, path: Path) -> None:
    text = f"""
from pathlib import Path
from artesian.store.port import NotLeading
from artesian.store.sqlite import SqliteStore
try:
    SqliteStore(Path({str(path)!r})).lead()
except NotLeading as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert done.stdout.strip() == f"another scheduler leads with the store {path}"


def test_leading_twice_is_leading(store: SqliteStore) -> None:
    store.lead()
    store.commit({"a": "1"})


def test_closing_lets_another_one_lead(store: SqliteStore, path: Path) -> None:
    store.close()
    second = SqliteStore(path)
    second.lead()
    second.commit({"a": "1"})
    second.close()


# --- what cannot be used


def test_a_newer_format_is_refused_and_left_alone(store: SqliteStore, path: Path) -> None:
    store.commit({"a": "1"})
    store.close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version=99")
    with pytest.raises(StoreUnusable, match=r"newer Artesian.*format 99") as refused:
        SqliteStore(path)
    assert str(path) in str(refused.value)
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (99,)


def test_a_corrupt_file_is_named_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database " * 1000)
    with pytest.raises(StoreUnusable, match=str(path)):
        SqliteStore(path)
    assert path.read_bytes() == b"this is no database " * 1000


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "store.sqlite"
    with pytest.raises(StoreUnusable, match=str(path)):
        SqliteStore(path)


def test_a_folder_in_place_of_the_file_is_named(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StoreUnusable, match=str(path)):
        SqliteStore(path)


def test_a_lock_file_that_cannot_be_opened_is_explained(path: Path) -> None:
    (path.parent / "store.sqlite.leader").mkdir(parents=True)
    store = SqliteStore(path)
    try:
        with pytest.raises(StoreUnusable, match=str(path)):
            store.lead()
    finally:
        store.close()


def test_a_closed_store_says_that_it_cannot_be_used(store: SqliteStore, path: Path) -> None:
    store.close()
    with pytest.raises(StoreUnusable, match=str(path)):
        store.load()
