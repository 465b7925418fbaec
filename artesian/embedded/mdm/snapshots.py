"""The state at one entry of the Raft log, on stable storage, and its way to a manager that is too far behind.

Takes the place of pysyncobj's `Serializer`, which pickles, does not sync, and puts a snapshot that it
received in the place of a good one without looking at it.

Format: one line of JSON {"format", "index", "term", "system_id", "length", "checksum"} (XXH3 of what
follows), then JSON {"entries": the last two applied, "cluster": Raft addresses of all managers, "state"}.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import xxhash
from pysyncobj.config import SERIALIZER_STATE
from pysyncobj.node import Node

from artesian.embedded.errors import EngineError
from artesian.embedded.mdm.durable import replace_file
from artesian.embedded.mdm.journal import Entry

log = structlog.get_logger()

FORMAT = 1
PIECE_BYTES = 1 << 20
MAX_HEADER_BYTES = 4096

Piece = tuple[bytes, bool, bool]  # data, whether it is the first, whether it is the last: as pysyncobj has it


class SnapshotDamaged(EngineError):
    """A snapshot that cannot be used."""


@dataclass(frozen=True, slots=True)
class SnapshotHeader:
    """What is known of a snapshot before all of it is there: its last entry, and which engine it is of."""

    index: int
    term: int
    system_id: str
    length: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`last` is the last entry applied to `state`, `previous` the one before it."""

    previous: Entry
    last: Entry
    cluster: list[str]
    state: dict[str, Any]

    def encode(self) -> bytes:
        payload = json.dumps(
            {
                "entries": [_entry_to_json(self.previous), _entry_to_json(self.last)],
                "cluster": sorted(self.cluster),
                "state": self.state,
            },
            separators=(",", ":"),
        ).encode()
        header = {
            "format": FORMAT,
            "index": self.last[1],
            "term": self.last[2],
            "system_id": self.state.get("system_id", ""),
            "length": len(payload),
            "checksum": xxhash.xxh3_64_hexdigest(payload),
        }
        return json.dumps(header).encode() + b"\n" + payload


def decode_header(data: bytes) -> SnapshotHeader:
    """The header that `data` begins with. Raises SnapshotDamaged."""
    line, newline, _ = data[:MAX_HEADER_BYTES].partition(b"\n")
    try:
        header = json.loads(line)
        if not newline or header["format"] != FORMAT:
            raise ValueError("an unknown format")
        return SnapshotHeader(
            int(header["index"]),
            int(header["term"]),
            str(header["system_id"]),
            int(header["length"]),
            str(header["checksum"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise SnapshotDamaged(f"no snapshot of this version: {error}") from error


def decode_snapshot(data: bytes) -> Snapshot:
    """Raises SnapshotDamaged unless it is complete and intact."""
    header = decode_header(data)
    payload = data[data.index(b"\n") + 1 :]
    if len(payload) != header.length or xxhash.xxh3_64_hexdigest(payload) != header.checksum:
        raise SnapshotDamaged("the snapshot does not match its checksum")
    body = json.loads(payload)
    previous, last = (_entry_from_json(entry) for entry in body["entries"])
    return Snapshot(previous, last, body["cluster"], body["state"])


class SnapshotStore:
    """The newest snapshot, with the methods that pysyncobj calls on its `Serializer`.

    `capture` gives the state as JSON, as it is at the moment of the call. `install` replaces the state, and
    gives the Raft addresses of the managers, which may have changed since the snapshot was taken.
    The file is written by another thread, so that a slow disk does not hold up the managers.
    """

    def __init__(
        self, path: Path, capture: Callable[[], dict[str, Any]], install: Callable[[Snapshot], list[str]]
    ) -> None:
        self.path = path
        self.failure: Exception | None = None
        """Why the state could not be replaced. pysyncobj goes on as if it had been; we must not."""
        self._capture = capture
        self._install = install
        self._writing: asyncio.Future[None] | None = None
        self._writing_index = 0
        self._outgoing: dict[Any, tuple[bytes, int]] = {}
        self._incoming: bytearray | None = None

    def load(self) -> Snapshot | None:
        """The snapshot on disk, or None when there is none. Raises SnapshotDamaged or OSError."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return decode_snapshot(data)
        except SnapshotDamaged as error:
            raise SnapshotDamaged(f"{self.path}: {error}") from error

    # --- pysyncobj: taking one

    def checkSerializing(self) -> tuple[int, int | None]:
        if self._writing is None:
            return SERIALIZER_STATE.NOT_SERIALIZING, None
        if not self._writing.done():
            return SERIALIZER_STATE.SERIALIZING, self._writing_index
        error = self._writing.exception()
        self._writing = None
        self._outgoing.clear()
        if error is not None:
            log.error("snapshot.failed", path=str(self.path), error=str(error))
            return SERIALIZER_STATE.FAILED, self._writing_index
        return SERIALIZER_STATE.SUCCESS, self._writing_index

    def serialize(self, data: tuple[Any, Entry, Entry, Any], id: int) -> None:
        if self._writing is not None:
            return
        _, last, previous, cluster = data
        snapshot = Snapshot(previous, last, [node.id for node in cluster], self._capture())
        self._writing_index = id
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(None, replace_file, self.path, snapshot.encode())

    # --- pysyncobj: using one

    def deserialize(self) -> tuple[None, Entry, Entry, list[Node]]:
        try:
            snapshot = self.load()
            if snapshot is None:
                raise SnapshotDamaged(f"{self.path} is gone")
            cluster = self._install(snapshot)
        except Exception as error:
            self.failure = error
            raise
        return None, snapshot.last, snapshot.previous, [Node(address) for address in cluster]

    # --- pysyncobj: sending and receiving one

    def getTransmissionData(self, transmissionID: Any) -> Piece:
        """The next piece for a member. Raises OSError.

        Never None, which would mean "not now": pysyncobj asks again at once, and would not stop asking.
        While a newer snapshot is being written the one before it is as good.
        """
        if transmissionID not in self._outgoing:
            self._outgoing[transmissionID] = (self.path.read_bytes(), 0)
        data, sent = self._outgoing[transmissionID]
        piece = data[sent : sent + PIECE_BYTES]
        if piece:
            self._outgoing[transmissionID] = (data, sent + len(piece))
        else:
            del self._outgoing[transmissionID]
        return piece, sent == 0, not piece

    def setTransmissionData(self, data: Piece) -> bool:
        """Take a piece; True when the snapshot is complete, intact and on stable storage."""
        piece, is_first, is_last = data
        if is_first:
            self._incoming = bytearray()
        if self._incoming is None or self._writing is not None:  # the leader will send it again
            self._incoming = None
            return False
        self._incoming += piece
        if not is_last:
            return False
        complete, self._incoming = bytes(self._incoming), None
        try:
            decode_snapshot(complete)
        except SnapshotDamaged as error:
            log.error("snapshot.refused", error=str(error))
            return False
        replace_file(self.path, complete)
        return True

    def cancelTransmisstion(self, id: Any) -> None:
        self._outgoing.pop(id, None)

    async def close(self) -> None:
        """Wait until what is being written is written."""
        if self._writing is not None:
            await asyncio.wait([self._writing])


def _entry_to_json(entry: Entry) -> list[Any]:
    return [base64.b64encode(entry[0]).decode(), entry[1], entry[2]]


def _entry_from_json(entry: list[Any]) -> Entry:
    return base64.b64decode(entry[0]), int(entry[1]), int(entry[2])
