"""The managers' Raft log on stable storage.

pysyncobj's own journal is never synced, loses entries when killed while it is compacted, and keeps term and
vote in a file that is not synced either. Raft is safe only if what a manager has promised (an entry, a vote)
outlives it, so this journal takes its place. What it guarantees:

- After `sync` everything added before is on stable storage. Whoever acknowledges an entry calls it first;
  until then entries are only in memory, so that many of them share one sync.
- Term and vote are on stable storage when `setCurrentTerm` returns.
- Killed at any moment, it opens with everything that was synced, and possibly more: a prefix of what was
  added. A torn tail is cut off. Damage before the tail is told apart from it, and refused: a manager that
  forgot what it promised must not vote.
- Compaction and replacement write a new file, sync it, rename it over the old one, and sync the folder.

Format: 16 bytes magic, then records, little-endian: magic u32, payload length u32, kind u8, 3 zero bytes,
index u64, term u64, durable u64, XXH3 u64 over all of that and the payload, payload. `durable` is the length
of the file that was known to be on stable storage when the record was written. An entry whose index is
already there replaces it and all after it.
"""

from __future__ import annotations

import os
import struct
from enum import IntEnum
from pathlib import Path
from typing import Any, SupportsIndex, overload

import xxhash
from pysyncobj.journal import Journal

from artesian.embedded.errors import EngineError
from artesian.embedded.mdm.durable import replace_file, write_all

Entry = tuple[bytes, int, int]  # command, index, term: as pysyncobj has it

FILE_MAGIC = b"ARTESIAN-RAFT-1\n"
_RECORD_MAGIC = 0x4C4A5241
_HEADER = struct.Struct("<IIB3xQQQQ")
_CHECKSUM_AT = _HEADER.size - 8


class JournalDamaged(EngineError):
    """The journal has lost something that this manager promised to keep."""


class _Kind(IntEnum):
    ENTRY = 1
    VOTE = 2  # term, and whom we voted for in it: payload
    COMMIT = 3  # index: all entries up to it are known to be committed; a hint, never synced on its own
    TRUNCATE = 4  # index: it and all entries after it are gone


class DurableJournal(Journal):  # type: ignore[misc]
    """pysyncobj's `Journal` interface, hence the names. Used from one thread."""

    def __init__(self, path: Path) -> None:
        """Open, or make when it is not there. Raises JournalDamaged or OSError."""
        self._path = path
        self._entries: list[Entry] = []
        self._term = 0
        self._voted_for: str | None = None
        self._commit_index = 1
        self._commit_written = 1
        self._buffer = bytearray()
        self._replacement: list[Entry] | None = None
        self._descriptor = -1
        self._length = 0
        if not path.exists():
            replace_file(path, FILE_MAGIC)
        self._open()

    # --- for us

    @property
    def first_index(self) -> int:
        """Index of the oldest entry, 0 when there is none."""
        return self._entries[0][1] if self._entries else 0

    @property
    def last_index(self) -> int:
        """Index of the newest entry, 0 when there is none."""
        return self._entries[-1][1] if self._entries else 0

    def term_of(self, index: int) -> int | None:
        """The term of the entry with this index; None when it is not in the journal."""
        position = index - self.first_index
        return self._entries[position][2] if 0 <= position < len(self._entries) else None

    def sync(self) -> None:
        """Bring everything added so far to stable storage. Raises OSError; then nothing may be promised."""
        if not self._buffer:
            return
        write_all(self._descriptor, self._buffer, self._length)
        os.fdatasync(self._descriptor)
        self._length += len(self._buffer)
        self._buffer.clear()

    def close(self) -> None:
        """Close the file; what was not synced is given up."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    # --- for pysyncobj

    def add(self, command: bytes, idx: int, term: int) -> None:
        entry = (bytes(command), idx, term)
        if self._replacement is not None:
            self._add_replacement(entry)
            return
        self._append(entry)
        self._record(_Kind.ENTRY, idx, term, entry[0])

    def clear(self) -> None:
        """Forget everything, because a snapshot takes the place of the whole log.

        pysyncobj goes on to add the two entries that the snapshot ends with, and relies on having them.
        So nothing is written before they are there: the file has the old entries or these two.
        """
        self._entries = []
        self._replacement = []

    def deleteEntriesFrom(self, entryFrom: int) -> None:
        if entryFrom < len(self._entries):
            index = self._entries[entryFrom][1]
            del self._entries[entryFrom:]
            self._record(_Kind.TRUNCATE, index, 0)

    def deleteEntriesTo(self, entryTo: int) -> None:
        self._rewrite(self._entries[entryTo:])

    @overload
    def __getitem__(self, item: SupportsIndex) -> Entry: ...
    @overload
    def __getitem__(self, item: slice) -> list[Entry]: ...
    def __getitem__(self, item: Any) -> Any:
        return self._entries[item]

    def __len__(self) -> int:
        return len(self._entries)

    def setRaftCommitIndex(self, raftCommitIndex: int) -> None:
        """The entries up to here are about to be applied: what counts ourselves as a holder is synced."""
        if raftCommitIndex > self._commit_index:
            self.sync()
        self._commit_index = raftCommitIndex

    def getRaftCommitIndex(self) -> int:
        return self._commit_index

    def setCurrentTerm(self, term: int, votedForNodeId: str | None) -> None:
        self._term = term
        self._voted_for = votedForNodeId
        self._record(_Kind.VOTE, 0, term, (votedForNodeId or "").encode())
        self.sync()

    def getCurrentTerm(self) -> int:
        return self._term

    def getVotedForNodeId(self) -> str | None:
        return self._voted_for

    def onOneSecondTimer(self) -> None:
        """Remember how far we are, so that a restart need not wait for a leader to say it."""
        if self._commit_written != self._commit_index:
            self._commit_written = self._commit_index
            self._record(_Kind.COMMIT, self._commit_index, 0)

    def _destroy(self) -> None:
        self.sync()
        self.close()

    # --- writing

    def _append(self, entry: Entry) -> None:
        if self._entries:
            position = entry[1] - self._entries[0][1]
            if not 0 <= position <= len(self._entries):
                raise JournalDamaged(
                    f"{self._path}: entry {entry[1]} does not follow {self.first_index} to {self.last_index}"
                )
            del self._entries[position:]
        self._entries.append(entry)

    def _add_replacement(self, entry: Entry) -> None:
        assert self._replacement is not None
        self._replacement.append(entry)
        self._entries = list(self._replacement)
        if len(self._replacement) == 2:
            self._replacement = None
            self._rewrite(self._entries)

    def _record(self, kind: _Kind, index: int, term: int, payload: bytes = b"") -> None:
        self._buffer += _encode(kind, index, term, self._length, payload)

    def _rewrite(self, entries: list[Entry]) -> None:
        """Replace the file; whatever was only in memory is on stable storage afterwards."""
        data = bytearray(FILE_MAGIC)
        data += _encode(_Kind.VOTE, 0, self._term, 0, (self._voted_for or "").encode())
        for command, index, term in entries:
            data += _encode(_Kind.ENTRY, index, term, 0, command)
        data += _encode(_Kind.COMMIT, self._commit_index, 0, len(data) + _HEADER.size)
        replace_file(self._path, data)
        os.close(self._descriptor)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        self._length = len(data)
        self._buffer.clear()
        self._entries = entries
        self._commit_written = self._commit_index

    # --- reading

    def _open(self) -> None:
        data = self._path.read_bytes()
        if data[: len(FILE_MAGIC)] != FILE_MAGIC:
            raise JournalDamaged(f"{self._path}: this is no Raft journal of this version")
        end = len(FILE_MAGIC)
        while (record := _decode(data, end)) is not None:
            kind, index, term, _, payload = record
            self._replay(kind, index, term, payload)
            end += _HEADER.size + len(payload)
        if (promised := _durable_after(data, end)) > end:
            raise JournalDamaged(
                f"{self._path}: damaged at byte {end}, which was on stable storage up to byte {promised}"
            )
        self._commit_index = max(1, min(self._commit_index, self.last_index))
        self._commit_written = self._commit_index
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        if end < len(data):
            os.ftruncate(self._descriptor, end)
        os.fsync(self._descriptor)
        self._length = end

    def _replay(self, kind: _Kind, index: int, term: int, payload: bytes) -> None:
        if kind is _Kind.ENTRY:
            self._append((payload, index, term))
        elif kind is _Kind.VOTE:
            self._term, self._voted_for = term, payload.decode() or None
        elif kind is _Kind.COMMIT:
            self._commit_index = index
        else:
            del self._entries[max(0, index - self.first_index) :]


def _encode(kind: _Kind, index: int, term: int, durable: int, payload: bytes = b"") -> bytes:
    header = _HEADER.pack(_RECORD_MAGIC, len(payload), kind, index, term, durable, 0)[:_CHECKSUM_AT]
    checksum = xxhash.xxh3_64_intdigest(header + payload)
    return header + checksum.to_bytes(8, "little") + payload


def _decode(data: bytes, offset: int) -> tuple[_Kind, int, int, int, bytes] | None:
    """The record at `offset` as (kind, index, term, durable, payload), or None when there is no whole one."""
    start = offset + _HEADER.size
    if start > len(data):
        return None
    magic, length, kind, index, term, durable, checksum = _HEADER.unpack_from(data, offset)
    if magic != _RECORD_MAGIC or start + length > len(data):
        return None
    payload = data[start : start + length]
    if xxhash.xxh3_64_intdigest(data[offset : offset + _CHECKSUM_AT] + payload) != checksum:
        return None
    try:
        return _Kind(kind), index, term, durable, payload
    except ValueError:
        raise JournalDamaged(
            f"the journal has a record of kind {kind}, which this version does not know"
        ) from None


def _durable_after(data: bytes, end: int) -> int:
    """What the records behind a place that cannot be read say was durable when they were written.

    A sync that was cut short by a power failure may have left any part of what it wrote; that was never
    promised. Such records say that nothing behind the place was durable yet.
    """
    durable = 0
    magic = _RECORD_MAGIC.to_bytes(4, "little")
    position = data.find(magic, end + 1)
    while position >= 0:
        record = _decode(data, position)
        if record is not None:
            durable = max(durable, record[3])
        position = data.find(magic, position + 1)
    return durable
