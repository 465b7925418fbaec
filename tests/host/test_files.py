"""Files and locks that a crash cannot leave half made."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from artesian.host.files import locked, try_lock, write_durably


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
