"""Rules of Raft that pysyncobj leaves out, applied to messages before it sees them.

What goes wrong without them, each found by reading its source:

- It throws away everything behind the entry that a message follows, also what it has acknowledged, and also
  for an old message that arrives late. Killed at that moment, it has lost entries that were counted as held.
  Here, entries that are there already are taken out of the message, and only entries that contradict ours
  make it drop something.
- It commits up to the leader's commit index whatever follows in its own log, while a snapshot arrives even
  without having compared anything. Here, the commit index of a message never goes beyond what that very
  message has shown to be the same.
- It takes a snapshot that is older than its log. Here, such a snapshot counts as a heartbeat.

And two that protect against lost disks:

- An entry that is known to be committed is never given up, whoever asks for it.
- A manager that starts with an empty folder is *new*: it may be one that has lost what it promised. Until it
  has everything that a leader has, it votes only for another new one, and only while all members that it
  sees are new; so empty managers can begin an engine only among themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from artesian.embedded.mdm.durable import replace_file, sync_folder
from artesian.embedded.mdm.journal import DurableJournal, Entry
from artesian.embedded.mdm.messages import BadMessage, Message
from artesian.embedded.mdm.snapshots import SnapshotDamaged, SnapshotHeader, decode_header

log = structlog.get_logger()

Deliver = Callable[[Message], None]
NO_TERM = -1  # of a candidate's log: older than any


class RaftView(Protocol):
    """What the rules need to know of this manager's Raft."""

    raftCurrentTerm: int
    raftCommitIndex: int


class Newness:
    """Whether this manager may have lost a past: a file that is there until it has caught up once."""

    def __init__(self, path: Path, is_new: bool) -> None:
        self._path = path
        if is_new:
            replace_file(path, b"This manager has not yet caught up with the others.\n")
        self.is_new = path.exists()

    def end(self) -> None:
        self._path.unlink()
        sync_folder(self._path.parent)
        self.is_new = False


@dataclass(slots=True)
class _Incoming:
    """A snapshot that a leader is sending; `known`: we have all of it already."""

    header: SnapshotHeader
    known: bool


class LogGuard:
    """Stands between the transport and pysyncobj. Raises BadMessage for what no sound peer sends."""

    def __init__(
        self, journal: DurableJournal, newness: Newness, raft: RaftView, system_id: Callable[[], str]
    ) -> None:
        self._journal = journal
        self._newness = newness
        self._raft = raft
        self._system_id = system_id
        self._holders: set[str] = set()  # members that are not new
        self._incoming: dict[str, _Incoming] = {}
        self._reply_limit: int | None = None
        self._complained = False

    def met(self, peer: str, *, is_new: bool) -> None:
        """What a member said of itself when it connected."""
        if is_new:
            self._holders.discard(peer)
        else:
            self._holders.add(peer)

    def receive(self, peer: str, message: Message, deliver: Deliver) -> None:
        """Hand on what is right about a message from `peer`, if anything."""
        kind = message["type"]
        if kind == "request_vote" and not self._may_vote(message["new"]):
            deliver({**message, "last_log_term": NO_TERM})
        elif kind != "append_entries" or message["term"] < self._raft.raftCurrentTerm:
            deliver(message)
        elif "serialized" in message:
            self._receive_snapshot(peer, message, deliver)
        elif "entries" in message and "prevLogIdx" in message and "prevLogTerm" in message:
            self._receive_entries(message, deliver)
        else:
            raise BadMessage("append_entries with neither entries nor a snapshot")

    def limit_reply(self, message: Message) -> None:
        """Make a `next_node_idx` that pysyncobj answers with claim no more than has been compared."""
        if self._reply_limit is not None and message["success"]:
            message["next_node_idx"] = min(message["next_node_idx"], self._reply_limit)

    def _may_vote(self, for_new: bool) -> bool:
        return not self._newness.is_new or (for_new and not self._holders)

    def _receive_entries(self, message: Message, deliver: Deliver) -> None:
        previous, term, entries = message["prevLogIdx"], message["prevLogTerm"], message["entries"]
        if any(entry[1] != previous + 1 + place for place, entry in enumerate(entries)):
            raise BadMessage("entries that do not follow each other")
        ours = self._journal.term_of(previous)
        if ours != term:
            if ours is not None and previous <= self._raft.raftCommitIndex:
                self._refuse(previous)
            else:
                deliver(message)  # to be told from where to send instead; commits nothing
            return
        new = self._without_known(entries)
        if new and new[0][1] <= self._raft.raftCommitIndex:
            self._refuse(new[0][1])
            return
        compared = previous + len(entries)
        if new:
            previous, term = new[0][1] - 1, self._journal.term_of(new[0][1] - 1)
        else:
            previous, term = self._journal.last_index, self._journal.term_of(self._journal.last_index)
        commit = min(message["commit_index"], compared)
        self._deliver_limited(
            {**message, "prevLogIdx": previous, "prevLogTerm": term, "entries": new, "commit_index": commit},
            compared + 1,
            deliver,
        )
        if self._newness.is_new and compared == message["last"]:
            self._journal.sync()
            self._newness.end()

    def _without_known(self, entries: list[Entry]) -> list[Entry]:
        known = 0
        while known < len(entries) and self._journal.term_of(entries[known][1]) == entries[known][2]:
            known += 1
        return entries[known:]

    def _receive_snapshot(self, peer: str, message: Message, deliver: Deliver) -> None:
        unchanged = {**message, "commit_index": min(message["commit_index"], self._raft.raftCommitIndex)}
        piece = message["serialized"]
        if piece is None:  # the leader is still writing it
            deliver(unchanged)
            return
        if piece[1]:
            self._incoming[peer] = self._judge(piece[0])
        incoming = self._incoming.get(peer)
        if incoming is None:
            return
        header = incoming.header
        if incoming.known:
            heartbeat = {name: message[name] for name in ("type", "term", "commit_index", "sent", "last")}
            place = {"prevLogIdx": header.index, "prevLogTerm": header.term, "entries": []}
            self._receive_entries({**heartbeat, **place}, deliver)
        elif self._system_id() not in ("", header.system_id):
            self._refuse(header.index)
        else:
            self._deliver_limited(unchanged, header.index + 1, deliver)

    def _judge(self, data: bytes) -> _Incoming:
        try:
            header = decode_header(data)
        except SnapshotDamaged as error:
            raise BadMessage(str(error)) from error
        known = (
            header.index <= self._raft.raftCommitIndex or self._journal.term_of(header.index) == header.term
        )
        return _Incoming(header, known)

    def _deliver_limited(self, message: Message, limit: int, deliver: Deliver) -> None:
        self._reply_limit = limit
        try:
            deliver(message)
        finally:
            self._reply_limit = None

    def _refuse(self, index: int) -> None:
        if not self._complained:
            self._complained = True
            log.critical(
                "raft.other_history",
                index=index,
                problem="the leading manager does not have what this one knows to be committed; managers "
                "have lost their data, or are of different engines. Nothing is taken from it.",
            )
