"""Reading a journal: what its head names, put together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from artesian.model.event import Event
from artesian.store.journal_format import Entry, Head, entry_from, events_from, head_from, unpacked
from artesian.store.keeper import BLOBS, HEAD, LOG, Keeper
from artesian.store.port import StoreUnusable


@dataclass(slots=True)
class Contents:
    """All documents, and the events that are in the log still."""

    documents: dict[str, str]
    recent: list[Event]
    snapshot_bytes: int = 0
    log_bytes: int = 0
    log_blobs: tuple[str, ...] = ()

    def take(self, entry: Entry) -> None:
        """What a commit has changed."""
        for key, body in entry.documents.items():
            if body is None:
                self.documents.pop(key, None)
            else:
                self.documents[key] = body
        self.recent += entry.events


def read_head(keeper: Keeper) -> tuple[Head, int | None]:
    """The head and its version; None if there is none yet."""
    cell = keeper.read(HEAD)
    if cell is None:
        return Head(), None
    return head_from(cell.body, keeper.shown), cell.version


def read_contents(keeper: Keeper, head: Head) -> Contents:
    """Raises StoreUnusable if something is not there: the head is an old one, or the store damaged."""
    found = Contents({}, [])
    if head.snapshot:
        body = read_blobs(keeper, head.snapshot)
        found.documents, found.snapshot_bytes = json.loads(body), len(body)
    for number in range(head.first, head.commit + 1):
        body = _read(keeper, entry_name(number))
        if body.startswith(b"{"):
            names = tuple(json.loads(body)["pieces"])
            found.log_blobs += names
            body = read_blobs(keeper, names)
        found.log_bytes += len(body)
        found.take(entry_from(body))
    return found


def read_events(
    keeper: Keeper, head: Head, recent: Sequence[Event], after: int, limit: int, kept: int
) -> list[Event]:
    """Events with greater numbers, the oldest first."""
    after = max(after, head.last_event - kept)
    found: list[Event] = []
    for segment in head.segments:
        if segment.last > after and len(found) < limit:
            found += [one for one in events_from(read_blobs(keeper, segment.pieces)) if one.number > after]
    return [*found, *(one for one in recent if one.number > after)][:limit]


def read_blobs(keeper: Keeper, names: Sequence[str]) -> bytes:
    return unpacked([_read(keeper, f"{BLOBS}/{name}") for name in names])


def entry_name(number: int) -> str:
    return f"{LOG}/{number:012d}"


def _read(keeper: Keeper, name: str) -> bytes:
    cell = keeper.read(name)
    if cell is None:
        raise StoreUnusable(f"the store {keeper.shown} lacks {name}")
    return cell.body
