"""How a journal is written: a head, entries since the last snapshot, and blobs for whatever is large."""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from artesian.model.event import Event
from artesian.store.port import StoreUnusable

FORMAT = 1
PIECE_BYTES = 512 << 10
SEGMENT_EVENTS = 2_000


@dataclass(frozen=True, slots=True)
class Segment:
    """Events that are in the log no more: the number of the first one, how many, and the blobs' names."""

    first: int
    count: int
    pieces: tuple[str, ...]

    @property
    def last(self) -> int:
        return self.first + self.count - 1


@dataclass(frozen=True, slots=True)
class Head:
    """What counts. Everything is as the head says, and what it does not name is not there.

    epoch      grows with each leader
    settled    grows when a leader makes sure that a commit without an answer does not happen any more
    snapshot   names of the blobs with the documents as they were before entry `first`
    first      the oldest entry of the log that is needed
    commit     the newest one
    last_event the greatest number that an event was given
    """

    epoch: int = 0
    settled: int = 0
    snapshot: tuple[str, ...] = ()
    first: int = 1
    commit: int = 0
    last_event: int = 0
    segments: tuple[Segment, ...] = ()

    def encoded(self) -> bytes:
        """No two different heads are written alike."""
        return json.dumps({"format": FORMAT} | dataclasses.asdict(self), sort_keys=True).encode()

    @property
    def blobs(self) -> set[str]:
        """All that it names itself."""
        return {*self.snapshot, *(piece for segment in self.segments for piece in segment.pieces)}


def head_from(body: bytes, where: str) -> Head:
    """Raises StoreUnusable for what is not ours, or newer."""
    try:
        values = json.loads(body)
        written = int(values.pop("format"))
        if written > FORMAT:
            raise StoreUnusable(
                f"the store {where} was written by a newer Artesian (format {written}); use that one"
            )
        segments = tuple(
            Segment(one["first"], one["count"], tuple(one["pieces"])) for one in values.pop("segments")
        )
        return Head(**values | {"snapshot": tuple(values["snapshot"]), "segments": segments})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StoreUnusable(f"what is in the store {where} was not written by Artesian") from None


@dataclass(frozen=True, slots=True)
class Entry:
    """One commit. Its events are numbered from `first_event` on."""

    documents: Mapping[str, str | None]
    events: tuple[Event, ...]

    def encoded(self) -> bytes:
        return json.dumps([dict(self.documents), _written(self.events)]).encode()


def entry_from(body: bytes) -> Entry:
    documents, events = json.loads(body)
    return Entry(documents, tuple(_read(events)))


def numbered(events: Sequence[Event], after: int) -> tuple[Event, ...]:
    """The events with the numbers that follow."""
    return tuple(replace(event, number=number) for number, event in enumerate(events, after + 1))


def packed(value: Mapping[str, str] | Sequence[Event] | bytes) -> list[bytes]:
    """Pieces of something large, each small enough for a cell."""
    if isinstance(value, bytes):
        body = value
    else:
        plain: Any = dict(value) if isinstance(value, Mapping) else _written(value)
        body = json.dumps(plain).encode()
    small = zlib.compress(body, 1)
    return [small[at : at + PIECE_BYTES] for at in range(0, len(small), PIECE_BYTES)]


def unpacked(pieces: Sequence[bytes]) -> bytes:
    """Raises StoreUnusable if they do not belong together."""
    try:
        return zlib.decompress(b"".join(pieces))
    except zlib.error as error:
        raise StoreUnusable(f"a blob of the store is damaged: {error}") from None


def events_from(body: bytes) -> list[Event]:
    return list(_read(json.loads(body)))


def segmented(head: Head, newest: Sequence[Event], kept: int) -> tuple[tuple[Segment, ...], bool]:
    """The segments that stay when events leave the log, and whether the last of them was taken out to be
    written anew together with these, as it is small."""
    oldest = head.last_event - kept
    staying = tuple(one for one in head.segments if one.last > oldest)
    if newest and staying and staying[-1].count < SEGMENT_EVENTS:
        return staying[:-1], True
    return staying, False


def in_segments(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    for at in range(0, len(events), SEGMENT_EVENTS):
        yield events[at : at + SEGMENT_EVENTS]


def _written(events: Sequence[Event]) -> list[list[Any]]:
    return [[one.kind, one.subject, one.because, one.at_s, one.number] for one in events]


def _read(rows: list[list[Any]]) -> Iterator[Event]:
    return (Event(*row) for row in rows)
