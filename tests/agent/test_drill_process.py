"""A drill's own user of its volume: what it acknowledges is there, and what is not there is noticed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from artesian.agent import drill_process
from artesian.agent.drill_process import RECORD_BYTES, RECORDS, Status, read_status, record


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    path = tmp_path / "mounted"
    path.mkdir()
    return path


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "kept"
    path.mkdir()
    return path


def write_for_a_moment(kept: Path, mounted: Path, count: int) -> int:
    """A writer that is killed; how many records it has acknowledged."""
    code = "from artesian.agent.drill_process import write; from pathlib import Path; import sys; "
    code += "write(Path(sys.argv[1]), Path(sys.argv[2]), 'd')"
    writer = subprocess.Popen([sys.executable, "-c", code, str(kept), str(mounted)])
    deadline = time.monotonic() + 30
    while drill_process.acknowledged(kept) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    writer.kill()
    writer.wait()
    return drill_process.acknowledged(kept)


def test_what_a_killed_writer_has_acknowledged_is_there(kept: Path, mounted: Path) -> None:
    first = write_for_a_moment(kept, mounted, 5)
    second = write_for_a_moment(kept, mounted, first + 5)
    assert second >= first + 5, "it goes on where it was"
    drill_process.verify(kept, mounted, "d")
    assert read_status(kept, "verify").verified == second
    data = (mounted / RECORDS).read_bytes()
    assert all(data[at * RECORD_BYTES :].startswith(record("d", at)) for at in range(second))


@pytest.mark.parametrize("damage", ["lost", "changed", "misplaced"])
def test_what_is_not_as_it_was_written_is_noticed(kept: Path, mounted: Path, damage: str) -> None:
    path = mounted / RECORDS
    path.write_bytes(b"".join(record("d", number) for number in range(300)))
    (kept / drill_process.ACKNOWLEDGED).write_bytes((300).to_bytes(8, "little"))
    drill_process.verify(kept, mounted, "d")
    with path.open("r+b") as file:
        if damage == "lost":
            file.truncate(299 * RECORD_BYTES)
        else:
            file.seek(270 * RECORD_BYTES + (100 if damage == "changed" else 0))
            file.write(b"x" if damage == "changed" else record("d", 271))
    with pytest.raises(ValueError, match=r"299 of 300" if damage == "lost" else r"270 of 300"):
        drill_process.verify(kept, mounted, "d")


def test_nothing_is_written_where_nothing_is_mounted(kept: Path, mounted: Path) -> None:
    assert drill_process.main(["write", str(kept), str(mounted), "d"]) == 1
    assert "nothing is mounted" in read_status(kept, "write").error
    assert list(mounted.iterdir()) == []


def test_filling_writes_what_it_is_told_to(kept: Path, mounted: Path) -> None:
    drill_process.fill(kept, mounted, 3 << 20)
    assert (mounted / drill_process.FILLING).stat().st_size == 3 << 20
    assert read_status(kept, "fill") == Status(done_bytes=3 << 20)


def test_a_status_that_is_not_there_says_nothing(kept: Path) -> None:
    (kept / "write.json").write_text("{")
    assert read_status(kept, "write") == read_status(kept, "fill") == Status()
