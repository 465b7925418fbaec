"""Files and locks that a crash cannot leave half made."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from artesian.host.files import locked, put_aside, rotate_log, try_lock, write_durably, write_if_changed


def test_a_file_is_replaced_as_a_whole_with_the_rights_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_durably(path, "old", 0o644)
    write_durably(path, "new", 0o600)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["secret"]


def test_what_cannot_be_written_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_durably(path, "old", 0o644)
    with pytest.raises(UnicodeEncodeError):
        write_durably(path, "\udcff", 0o644)
    assert path.read_text() == "old"


def test_a_lock_is_held_by_one_and_ends_with_its_descriptor(tmp_path: Path) -> None:
    first = try_lock(tmp_path / "lock")
    assert first is not None
    assert try_lock(tmp_path / "lock") is None
    os.close(first)
    with locked(tmp_path / "lock"):
        assert try_lock(tmp_path / "lock") is None


def test_a_lock_ends_with_the_process_that_held_it(tmp_path: Path) -> None:
    held = (
        "import sys, time; from pathlib import Path; from artesian.host.files import try_lock;"
        " try_lock(Path(sys.argv[1])); print(1, flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", held, str(tmp_path / "lock")], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline()
    assert try_lock(tmp_path / "lock") is None
    holder.kill()
    holder.communicate()
    again = try_lock(tmp_path / "lock")
    assert again is not None
    os.close(again)


def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    rotate_log(log)
    log.write_text("short")
    rotate_log(log)
    assert log.read_text() == "short"
    with log.open("r+b") as file:
        file.truncate(17 << 20)
    rotate_log(log)
    assert not log.exists()
    assert (tmp_path / "x.log.1").stat().st_size == 17 << 20


def test_what_is_written_already_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert write_if_changed(path, "one", 0o600)
    before = path.stat().st_ino
    assert not write_if_changed(path, "one", 0o600)
    assert path.stat().st_ino == before
    assert write_if_changed(path, "two", 0o600)
    assert path.read_text() == "two"


def test_what_is_put_aside_replaces_what_was_put_aside_before(tmp_path: Path) -> None:
    folder, aside = tmp_path / "data", tmp_path / "data.removed"
    for content in ("first", "second"):
        folder.mkdir()
        (folder / content).touch()
        put_aside(folder)
        assert (folder.exists(), os.listdir(aside)) == (False, [content])
    put_aside(folder)
    assert aside.exists()
