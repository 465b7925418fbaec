"""The Raft log on disk: what was promised is there after a kill or a power failure at any moment."""

from __future__ import annotations

import errno
import os
import random
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.embedded.mdm import durable
from artesian.embedded.mdm import journal as journal_module
from artesian.embedded.mdm.journal import DurableJournal, Entry, JournalDamaged

SECTOR_BYTES = 512


def entries_of(journal: DurableJournal) -> list[Entry]:
    return journal[:]


def filled(path: Path, count: int, size: int = 10) -> DurableJournal:
    journal = DurableJournal(path)
    for index in range(1, count + 1):
        journal.add(bytes([index % 251]) * size, index, 1)
    journal.sync()
    return journal


def test_what_was_synced_is_there_again(tmp_path: Path) -> None:
    journal = DurableJournal(tmp_path / "journal")
    journal.add(b"one", 1, 0)
    journal.setCurrentTerm(3, "127.0.0.1:1")
    journal.add(b"", 2, 3)
    journal.add(b"x" * 100_000, 3, 3)
    journal.setRaftCommitIndex(2)
    journal.onOneSecondTimer()
    journal._destroy()
    again = DurableJournal(tmp_path / "journal")
    assert entries_of(again) == [(b"one", 1, 0), (b"", 2, 3), (b"x" * 100_000, 3, 3)]
    assert (again.getCurrentTerm(), again.getVotedForNodeId()) == (3, "127.0.0.1:1")
    assert again.getRaftCommitIndex() == 2
    assert (again.first_index, again.last_index, again.term_of(2), again.term_of(4)) == (1, 3, 3, None)


def test_entries_are_only_in_memory_until_a_sync_but_a_vote_is_durable_at_once(tmp_path: Path) -> None:
    journal = DurableJournal(tmp_path / "journal")
    journal.add(b"one", 1, 0)
    assert len(DurableJournal(tmp_path / "journal")) == 0
    journal.setCurrentTerm(1, None)
    again = DurableJournal(tmp_path / "journal")
    assert (len(again), again.getCurrentTerm(), again.getVotedForNodeId()) == (1, 1, None)


def test_entries_about_to_be_applied_are_synced_first(tmp_path: Path) -> None:
    journal = DurableJournal(tmp_path / "journal")
    journal.add(b"one", 1, 0)
    journal.add(b"two", 2, 1)
    journal.setRaftCommitIndex(2)
    assert len(DurableJournal(tmp_path / "journal")) == 2


def test_a_commit_index_beyond_the_log_is_not_believed(tmp_path: Path) -> None:
    journal = filled(tmp_path / "journal", 5)
    journal.setRaftCommitIndex(5)
    journal.onOneSecondTimer()
    journal.deleteEntriesFrom(2)
    journal.sync()
    assert DurableJournal(tmp_path / "journal").getRaftCommitIndex() == 2


def test_entries_that_are_contradicted_stay_away(tmp_path: Path) -> None:
    journal = filled(tmp_path / "journal", 5)
    journal.deleteEntriesFrom(3)
    journal.add(b"other", 4, 2)
    journal.sync()
    again = DurableJournal(tmp_path / "journal")
    assert [(index, term) for _, index, term in entries_of(again)] == [(1, 1), (2, 1), (3, 1), (4, 2)]


def test_compaction_keeps_the_rest_and_makes_the_file_small(tmp_path: Path) -> None:
    journal = filled(tmp_path / "journal", 1000, size=1000)
    journal.setCurrentTerm(7, "a:1")
    journal.deleteEntriesTo(997)
    journal.add(b"new", 1001, 7)
    journal.sync()
    again = DurableJournal(tmp_path / "journal")
    assert [entry[1] for entry in entries_of(again)] == [998, 999, 1000, 1001]
    assert (again.getCurrentTerm(), again.getVotedForNodeId()) == (7, "a:1")
    assert (tmp_path / "journal").stat().st_size < 10_000


def test_a_snapshot_takes_the_place_of_the_log_in_one_step(tmp_path: Path) -> None:
    journal = filled(tmp_path / "journal", 5)
    journal.clear()
    journal.add(b"previous", 70, 4)
    assert [entry[1] for entry in entries_of(DurableJournal(tmp_path / "journal"))] == [1, 2, 3, 4, 5]
    journal.add(b"last", 71, 4)
    assert entries_of(DurableJournal(tmp_path / "journal")) == [(b"previous", 70, 4), (b"last", 71, 4)]
    journal.add(b"next", 72, 4)
    journal.sync()
    assert DurableJournal(tmp_path / "journal").last_index == 72


def test_a_gap_in_the_log_is_refused(tmp_path: Path) -> None:
    journal = filled(tmp_path / "journal", 3)
    with pytest.raises(JournalDamaged):
        journal.add(b"", 5, 1)


def test_a_torn_tail_is_cut_off_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    filled(path, 3)
    whole = path.read_bytes()
    for length in range(len(whole) - 40, len(whole)):
        path.write_bytes(whole[:length])
        journal = DurableJournal(path)
        assert journal.last_index == 2
        journal.add(b"again", 3, 1)
        journal.sync()
        assert entries_of(DurableJournal(path))[-1] == (b"again", 3, 1)


def test_damage_before_the_tail_is_refused_and_nothing_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = DurableJournal(path)
    for index in range(1, 11):
        journal.add(b"x" * 20, index, 1)
        journal.sync()
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(JournalDamaged):
        DurableJournal(path)
    assert path.read_bytes() == bytes(damaged)


def test_damage_to_a_compacted_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    filled(path, 20).deleteEntriesTo(10)
    damaged = bytearray(path.read_bytes())
    damaged[100] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(JournalDamaged):
        DurableJournal(path)


@pytest.mark.parametrize("content", [b"", b"PYSYNCOBJ", b"\0" * 100])
def test_a_file_that_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal").write_bytes(content)
    with pytest.raises(JournalDamaged):
        DurableJournal(tmp_path / "journal")
    assert (tmp_path / "journal").read_bytes() == content


def test_an_error_of_the_disk_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = filled(tmp_path / "journal", 3)
    journal.add(b"", 4, 1)

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(OSError, match="Input/output"):
        journal.sync()
    monkeypatch.undo()
    journal.sync()
    assert DurableJournal(tmp_path / "journal").last_index == 4


# --- power failures at every system call


class PowerFailure(Exception):
    pass


class Disk:
    """Fails at the `moment`-th system call that changes the disk, as a power failure would.

    Of what was written since the last sync of its file, any sectors are lost; a rename may be lost until
    its folder is synced.
    """

    def __init__(self, moment: int, seed: int, folder: Path) -> None:
        self.left = moment
        self.random = random.Random(seed)
        self._folder = folder
        self._unsynced: dict[int, list[tuple[int, bytes, bytes]]] = {}  # by inode: offset, before, after
        self._renamed: list[tuple[Any, Any, bytes | None]] = []

    def pwrite(self, descriptor: int, data: memoryview, offset: int) -> int:
        before = Path(f"/proc/self/fd/{descriptor}").read_bytes()[offset : offset + len(data)]
        written = os.pwrite(descriptor, data, offset)
        writes = self._unsynced.setdefault(os.fstat(descriptor).st_ino, [])
        writes.append((offset, before, bytes(data[:written])))
        self._count()
        return written

    def fdatasync(self, descriptor: int) -> None:
        self._count()
        os.fdatasync(descriptor)
        self._unsynced.pop(os.fstat(descriptor).st_ino, None)

    def fsync(self, descriptor: int) -> None:
        self._count()
        os.fsync(descriptor)
        self._unsynced.pop(os.fstat(descriptor).st_ino, None)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            self._renamed.clear()

    def rename(self, source: Path, target: Path) -> None:
        self._renamed.append((source, target, target.read_bytes() if target.exists() else None))
        os.rename(source, target)
        self._count()

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            self._fail()
            raise PowerFailure

    def _fail(self) -> None:
        for path in self._folder.iterdir():
            self._lose_sectors(path)
        for _, target, before in reversed(self._renamed):
            if before is not None and self.random.random() < 0.5:
                target.write_bytes(before)

    def _lose_sectors(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        writes = self._unsynced.get(path.stat().st_ino, [])
        for offset, before, after in reversed(writes):
            for start in range(0, len(after), SECTOR_BYTES):
                if self.random.random() < 0.4:
                    end = min(start + SECTOR_BYTES, len(after))
                    old = before[start:end].ljust(end - start, b"\0")
                    content[offset + start : offset + end] = old
        if writes and self.random.random() < 0.3:
            first = min(offset for offset, _, _ in writes)
            length = self.random.randint(first, len(content))
            content = content[: max(length, first)]
        path.write_bytes(content)


State = tuple[tuple[Entry, ...], int, str | None]


def reopened(path: Path) -> State:
    journal = DurableJournal(path)
    journal.close()
    return tuple(journal[:]), journal.getCurrentTerm(), journal.getVotedForNodeId()


class Story:
    """Carries operations out, and knows which states the journal may have after a failure."""

    def __init__(self, path: Path) -> None:
        self.journal = DurableJournal(path)
        self.states: list[State] = [((), 0, None)]
        self.promised = 0
        self.term = 0
        self.voted: str | None = None

    def carry_out(self, name: str, number: int) -> None:
        journal = self.journal
        if name == "add":
            self._do(lambda: journal.add(os.urandom(number), journal.last_index + 1, self.term))
        elif name == "sync":
            journal.sync()
            self._promise()
        elif name == "vote":
            self.term += 1
            self.voted = f"node{number}"
            self._expect(journal[:])
            journal.setCurrentTerm(self.term, self.voted)
            self._promise()
        elif name == "truncate" and len(journal) > 1:
            self._do(lambda: journal.deleteEntriesFrom(1 + number % (len(journal) - 1)))
        elif name == "compact" and len(journal) > 1:
            keep = number % len(journal)
            self._expect(journal[keep:])
            journal.deleteEntriesTo(keep)
            self._promise()
        elif name == "snapshot":
            index = journal.last_index + 5
            pair: list[Entry] = [(b"p", index, self.term), (b"l", index + 1, self.term)]
            self._expect(pair)
            journal.clear()
            for entry in pair:
                journal.add(*entry)
            self._promise()
        elif name == "commit":
            journal.setRaftCommitIndex(max(journal.getRaftCommitIndex(), journal.last_index))
            journal.onOneSecondTimer()

    def _do(self, act: Callable[[], None]) -> None:
        """What only changes memory; on disk it is no sooner than at the next sync."""
        act()
        self._expect(self.journal[:])

    def _expect(self, entries: list[Entry]) -> None:
        """From now on the journal may be found like this."""
        self.states.append((tuple(entries), self.term if self.voted else 0, self.voted))

    def _promise(self) -> None:
        """From now on it may not be found as it was before."""
        self.promised = len(self.states) - 1


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "add", "sync", "vote", "truncate", "compact", "snapshot", "commit"]),
        st.integers(0, 700),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=60, deadline=None)
@given(operations=OPERATIONS, seed=st.integers(0, 1 << 16))
def test_a_failure_at_any_moment_leaves_all_that_was_promised_and_nothing_that_never_was(
    operations: list[tuple[str, int]], seed: int
) -> None:
    moment = 0
    while True:
        moment += 1
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            story = Story(Path(folder) / "journal")
            disk = Disk(moment, seed + moment, Path(folder))
            patch.setattr(durable, "os", disk)
            patch.setattr(journal_module, "os", disk)
            try:
                for operation in operations:
                    story.carry_out(*operation)
                failed = False
            except PowerFailure:
                failed = True
            patch.undo()
            story.journal.close()
            found = reopened(Path(folder) / "journal")
            assert found in story.states[story.promised :]
            assert reopened(Path(folder) / "journal") == found
        if not failed:
            return
