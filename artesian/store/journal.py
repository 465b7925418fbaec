"""The store as a journal in a service that several schedulers share: each commit moves one head, or nothing.

head        what counts: compared and replaced as a whole by every commit, so one that has lost the lead, or
            whose commit arrives late, changes nothing
log/N       commit N; what is too large for one cell is in blobs, written before the head names them
blobs/NAME  snapshots, which now and then take the place of the log, and older events

A crash leaves the head as it was or as it was to be; what no head names is deleted by the next leader.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from artesian.model.event import Event
from artesian.store.journal_format import (
    Entry,
    Head,
    Segment,
    events_from,
    head_from,
    in_segments,
    numbered,
    packed,
    segmented,
)
from artesian.store.journal_reading import (
    Contents,
    entry_name,
    read_blobs,
    read_contents,
    read_events,
    read_head,
)
from artesian.store.keeper import BLOBS, HEAD, LOG, Beaten, Keeper, Unclear
from artesian.store.lease import Heart, Lease, boot_s
from artesian.store.port import KEPT_EVENTS, NotLeading, StoreUnusable
from artesian.store.who import Who, who_from

_INLINE_BYTES = 64 << 10
_COMPACT_ENTRIES = 256
_COMPACT_BYTES = 1 << 20
_TRIES = 5
_RETRY_S = 0.1

log = structlog.get_logger()


class JournalStore:
    """Raises StoreUnusable throughout. Usable from any thread; leads once, and not again after a loss."""

    def __init__(self, keeper: Keeper, who: Who, kept_events: int = KEPT_EVENTS) -> None:
        self._keeper = keeper
        self._who = who
        self._kept = kept_events
        self._lock = threading.RLock()
        self._lease = Lease(keeper.session_s)
        self._heart: Heart | None = None
        self._lost: NotLeading | None = None
        self._head = Head()
        self._version = 0
        self._contents = Contents({}, [])
        self._doubt: tuple[Head, Callable[[], None]] | None = None  # a commit of which nobody knows
        self._blobs = 0  # made by this leader

    @property
    def shown(self) -> str:
        """Where it is, without secrets."""
        return self._keeper.shown

    # --- leading

    def lead(self) -> None:
        """Become the one scheduler that may write. Raises NotLeading."""
        with self._lock:
            if self._lost is not None:
                raise self._lost
            if self._heart is not None:
                return
            self._take_lead()
            self._heart = Heart(self._keeper, self._lease, self._lose)
            try:
                self._contents = read_contents(self._keeper, self._head)
                self._clean()
            except StoreUnusable as error:
                self._lose(f"it cannot be read ({error})")
                self._heart.stop()
                self._keeper.close()  # somebody else may lead at once
                raise

    def _take_lead(self) -> None:
        for _ in range(_TRIES):
            leader = self._keeper.leader()
            if leader is not None:
                raise self._led_by(leader)
            head, version = read_head(self._keeper)
            head = replace(head, epoch=head.epoch + 1)
            asked_s = boot_s()
            try:
                self._version = self._keeper.take_lead(
                    head.epoch, self._who.encoded(), head.encoded(), version
                )
            except Beaten:
                continue
            except Unclear as error:
                raise StoreUnusable(f"the store {self._keeper.shown}: {error}") from None
            self._lease.renew(asked_s)
            self._head = head
            return
        raise StoreUnusable(f"the lead of the store {self._keeper.shown} changes all the time")

    def confirm(self) -> None:
        """Nobody else can lead yet. Raises NotLeading, StoreUnusable."""
        self._check_leading()
        self._lease.check(self._keeper.shown)

    def _check_leading(self) -> None:
        """As far as we know. Raises NotLeading."""
        if self._lost is not None:
            raise self._lost
        if self._heart is None:
            raise NotLeading("only the leading scheduler writes to the store")

    def _lose(self, why: str) -> NotLeading:
        if self._lost is None:
            self._lost = NotLeading(
                f"this scheduler has lost the lead with the store {self._keeper.shown}: {why}"
            )
        return self._lost

    def _led_by(self, leader: bytes) -> NotLeading:
        who = who_from(leader)
        named = f"scheduler {who.name}" + (f" ({who.url})" if who.url else "") if who else "another scheduler"
        return NotLeading(f"{named} leads with the store {self._keeper.shown}", who.url if who else "")

    # --- documents

    def load(self) -> dict[str, str]:
        """All documents."""
        with self._lock:
            if self._heart is not None and self._lost is None:
                self._settle()
                return dict(self._contents.documents)
        for _ in range(_TRIES):
            head, version = read_head(self._keeper)
            with contextlib.suppress(StoreUnusable):  # a leader may have put a new snapshot in its place
                return read_contents(self._keeper, head).documents
            if read_head(self._keeper)[1] == version:
                break
        return read_contents(self._keeper, head).documents

    def commit(self, changes: Mapping[str, str | None], events: Sequence[Event] = ()) -> None:
        """All or nothing, and durable."""
        with self._lock:
            self._check_leading()
            self._settle()
            if not changes and not events:
                return
            self._append(Entry(changes, numbered(events, self._head.last_event)))
            try:
                self._compact()
            except (StoreUnusable, NotLeading) as error:  # the commit itself is stored
                log.warning("the store's journal stays as long as it is", reason=str(error))

    def _append(self, entry: Entry) -> None:
        body = size = entry.encoded()
        blobs: tuple[str, ...] = ()
        if len(body) > _INLINE_BYTES:
            blobs = self._put(packed(body))
            body = json.dumps({"pieces": blobs}).encode()
        number = self._head.commit + 1
        head = replace(self._head, commit=number, last_event=self._head.last_event + len(entry.events))

        def stored() -> None:
            self._contents.take(entry)
            self._contents.log_bytes += len(size)
            self._contents.log_blobs += blobs

        self._move(head, {entry_name(number): body}, stored)

    def _move(self, head: Head, cells: Mapping[str, bytes], moved: Callable[[], None]) -> None:
        """From our head to this one. The same question may be asked again: it is answered once at most.

        Raises NotLeading; StoreUnusable, and then `_doubt` is set if it may have happened.
        """
        until_s, unclear = boot_s() + self._keeper.session_s, False
        while True:
            try:
                self._version = self._keeper.write(cells, head.encoded(), self._version)
                break
            except Beaten as error:
                found = self._look_for(head, moved)
                if found is None:
                    raise self._lose(str(error)) from None
                self._version = found
                break
            except Unclear as error:
                unclear, reason = True, str(error)
            except StoreUnusable as error:
                if not unclear:
                    raise
                reason = str(error)
            if boot_s() > until_s:
                self._doubt = (head, moved)
                raise StoreUnusable(
                    f"the store {self._keeper.shown} has not said whether a change is stored: {reason}"
                )
            time.sleep(_RETRY_S)
        self._head = head
        moved()

    def _look_for(self, head: Head, moved: Callable[[], None]) -> int | None:
        """The version of this very head, if it is there: an earlier try has been carried out."""
        try:
            cell = self._keeper.read(HEAD)
        except StoreUnusable:
            self._doubt = (head, moved)
            raise
        return cell.version if cell is not None and cell.body == head.encoded() else None

    def _settle(self) -> None:
        """Find out about a commit without an answer, and make sure that it does not happen later."""
        if self._doubt is None:
            return
        head, moved = self._doubt
        cell = self._keeper.read(HEAD)
        if cell is not None and cell.body == head.encoded():
            self._head, self._version, self._doubt = head, cell.version, None
            moved()
            return
        barrier = replace(self._head, settled=self._head.settled + 1)
        try:
            self._version = self._keeper.write({}, barrier.encoded(), self._version)
        except Unclear as error:
            raise StoreUnusable(f"the store {self._keeper.shown}: {error}") from None
        except Beaten as error:
            cell = self._keeper.read(HEAD)
            found = head_from(cell.body, self._keeper.shown) if cell is not None else None
            if cell is None or found not in (head, barrier):
                raise self._lose(str(error)) from None
            self._version = cell.version
            if found == head:
                self._head, self._doubt = head, None
                moved()
                return
        self._head, self._doubt = barrier, None

    # --- blobs

    def _put(self, pieces: Sequence[bytes]) -> tuple[str, ...]:
        """New blobs, which count once a head names them."""
        names = []
        for piece in pieces:
            until_s = boot_s() + self._keeper.session_s
            while True:
                self._blobs += 1
                name = f"{self._head.epoch:010d}-{self._blobs:010d}"
                try:
                    self._keeper.write({f"{BLOBS}/{name}": piece}, None, self._version)
                    break
                except Beaten as error:
                    raise self._lose(str(error)) from None
                except Unclear as error:  # the one that may be there by now is nobody's
                    if boot_s() > until_s:
                        raise StoreUnusable(f"the store {self._keeper.shown}: {error}") from None
                    time.sleep(_RETRY_S)
            names.append(name)
        return tuple(names)

    def _compact(self) -> None:
        """Once the log has become long, a snapshot takes its place."""
        head, contents = self._head, self._contents
        entries = head.commit - head.first + 1
        if entries < _COMPACT_ENTRIES and contents.log_bytes < max(
            _COMPACT_BYTES, contents.snapshot_bytes // 2
        ):
            return
        body = json.dumps(contents.documents).encode()
        segments = self._segments()
        after = replace(head, snapshot=self._put(packed(body)), first=head.commit + 1, segments=segments)
        garbage = [entry_name(number) for number in range(head.first, head.commit + 1)]
        garbage += [f"{BLOBS}/{name}" for name in {*head.blobs, *contents.log_blobs} - after.blobs]

        def compacted() -> None:
            contents.recent, contents.log_bytes, contents.log_blobs = [], 0, ()
            contents.snapshot_bytes = len(body)

        self._move(after, {}, compacted)
        self._keeper.delete(garbage)

    def _segments(self) -> tuple[Segment, ...]:
        """The events of the log in blobs, together with those of the last segment if that is small."""
        staying, again = segmented(self._head, self._contents.recent, self._kept)
        events = [one for one in self._contents.recent if one.number > self._head.last_event - self._kept]
        if again:
            last = self._head.segments[-1]
            events = [*events_from(read_blobs(self._keeper, last.pieces)), *events]
        made = [Segment(part[0].number, len(part), self._put(packed(part))) for part in in_segments(events)]
        return (*staying, *made)

    def _clean(self) -> None:
        """Delete what earlier leaders have left unfinished."""
        named = self._head.blobs | {*self._contents.log_blobs}
        oldest = entry_name(self._head.first)
        garbage = [f"{BLOBS}/{one}" for one in self._keeper.names(BLOBS) if one not in named]
        garbage += [name for one in self._keeper.names(LOG) if (name := f"{LOG}/{one}") < oldest]
        if garbage:
            self._keeper.delete(garbage)

    # --- events, and the end

    def events(self, after: int, limit: int) -> list[Event]:
        """Events with greater numbers, the oldest first."""
        with self._lock:
            if self._heart is not None and self._lost is None:
                self._settle()
                head, recent = self._head, list(self._contents.recent)
                return read_events(self._keeper, head, recent, after, limit, self._kept)
        head, _ = read_head(self._keeper)
        recent = read_contents(self._keeper, head).recent
        return read_events(self._keeper, head, recent, after, limit, self._kept)

    def erase(self) -> None:
        """Delete all that is stored. Raises NotLeading."""
        with self._lock:
            self._check_leading()
            self._keeper.erase()

    def close(self) -> None:
        """Let go of the service and of the lead."""
        if self._heart is not None:
            self._heart.stop()
        with self._lock:
            self._lose("it was given back")
            self._keeper.close()
