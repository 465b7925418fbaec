"""What is let through to pysyncobj, and in which form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artesian.embedded.mdm.guard import NO_TERM, LogGuard, Newness
from artesian.embedded.mdm.journal import DurableJournal, Entry
from artesian.embedded.mdm.messages import BadMessage, Message
from artesian.embedded.mdm.snapshots import Snapshot

LEADER = "127.0.0.1:1"


class Raft:
    """This manager, as the guard sees it."""

    def __init__(self) -> None:
        self.raftCurrentTerm = 2
        self.raftCommitIndex = 3


class Follower:
    """A manager with the entries 1 to 6: terms 1 1 1 1 2 2; those up to 3 are committed."""

    def __init__(self, folder: Path) -> None:
        self.journal = DurableJournal(folder / "journal")
        for index, term in enumerate((1, 1, 1, 1, 2, 2), start=1):
            self.journal.add(b"x", index, term)
        self.raft = Raft()
        self.system_id = ""
        self.newness = Newness(folder / "new", False)
        self.guard = LogGuard(self.journal, self.newness, self.raft, lambda: self.system_id)
        self.delivered: list[Message] = []
        self.claimed: list[int] = []

    def take(self, message: Message) -> Message | None:
        """What pysyncobj gets; it answers that it has everything up to the end of its log."""
        self.delivered.clear()

        def deliver(right: Message) -> None:
            self.delivered.append(right)
            reply = {"success": True, "next_node_idx": 1000}
            self.guard.limit_reply(reply)
            self.claimed.append(reply["next_node_idx"])

        self.guard.receive(LEADER, message, deliver)
        return self.delivered[0] if self.delivered else None


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    follower = Follower(tmp_path)
    yield follower
    follower.journal.close()


def append(
    previous: tuple[int, int], terms: list[int], commit: int = 3, term: int = 2, **more: Any
) -> Message:
    """Entries with these terms behind the entry (index, term)."""
    entries: list[Entry] = [(b"x", previous[0] + 1 + place, of) for place, of in enumerate(terms)]
    return {
        "type": "append_entries", "term": term, "commit_index": commit, "sent": 1, "last": 100,
        "entries": entries, "prevLogIdx": previous[0], "prevLogTerm": previous[1],
    } | more  # fmt: skip


def piece(index: int, term: int, system_id: str = "", commit: int = 9) -> Message:
    """The first and only piece of a snapshot."""
    state = {"system_id": system_id}
    data = Snapshot((b"", index - 1, term), (b"", index, term), [LEADER], state).encode()
    return {
        "type": "append_entries", "term": 2, "commit_index": commit, "sent": 1, "last": 100,
        "serialized": (data, True, False),
    }  # fmt: skip


def place(message: Message | None) -> tuple[int, int, list[int]]:
    assert message is not None
    return message["prevLogIdx"], message["prevLogTerm"], [entry[1] for entry in message["entries"]]


# --- entries


def test_new_entries_are_handed_on(follower: Follower) -> None:
    assert place(follower.take(append((6, 2), [2, 2]))) == (6, 2, [7, 8])
    assert follower.claimed == [9]


def test_entries_that_are_there_are_not_given_again(follower: Follower) -> None:
    assert place(follower.take(append((2, 1), [1, 1, 2, 2, 2, 2]))) == (6, 2, [7, 8])
    assert follower.claimed == [9]


def test_a_late_message_makes_nothing_be_dropped_and_claims_only_what_it_compared(follower: Follower) -> None:
    assert place(follower.take(append((2, 1), [1, 1]))) == (6, 2, [])
    assert place(follower.take(append((4, 1), []))) == (6, 2, [])
    assert follower.claimed == [5, 5]


def test_entries_that_contradict_ours_are_given_from_the_first_that_does(follower: Follower) -> None:
    assert place(follower.take(append((2, 1), [1, 1, 3, 3], term=3))) == (4, 1, [5, 6])


def test_the_commit_index_goes_no_further_than_what_was_compared(follower: Follower) -> None:
    message = follower.take(append((4, 1), [], commit=6))
    assert message is not None and message["commit_index"] == 4
    message = follower.take(append((4, 1), [2], commit=6))
    assert message is not None and message["commit_index"] == 5
    message = follower.take(append((4, 1), [2, 2, 2], commit=6))
    assert message is not None and message["commit_index"] == 6


def test_entries_behind_something_unknown_are_left_to_pysyncobj_to_refuse(follower: Follower) -> None:
    for previous in ((9, 2), (6, 1)):
        message = append(previous, [2])
        assert follower.take(message) == message


def test_committed_entries_are_given_up_for_nobody(follower: Follower) -> None:
    assert follower.take(append((2, 1), [5], term=5)) is None
    assert follower.take(append((2, 5), [5], term=5)) is None
    assert follower.take(append((3, 1), [5], term=5)) is not None


def test_an_old_leader_is_left_to_pysyncobj_to_ignore(follower: Follower) -> None:
    message = append((0, 7), [1], term=1)
    assert follower.take(message) == message


@pytest.mark.parametrize("entries", [[(b"", 8, 2)], [(b"", 7, 2), (b"", 9, 2)], [(b"", 7, 2), (b"", 7, 2)]])
def test_entries_with_gaps_are_no_message_of_a_sound_peer(follower: Follower, entries: list[Entry]) -> None:
    with pytest.raises(BadMessage):
        follower.take(append((6, 2), []) | {"entries": entries})


def test_an_append_without_anything_to_append_is_no_message_of_a_sound_peer(follower: Follower) -> None:
    with pytest.raises(BadMessage):
        follower.take({"type": "append_entries", "term": 2, "commit_index": 1, "sent": 1, "last": 1})


# --- snapshots


def test_a_snapshot_of_what_is_not_there_is_handed_on_but_commits_nothing_by_itself(
    follower: Follower,
) -> None:
    message = follower.take(piece(20, 2))
    assert message is not None
    assert message["serialized"][1] and message["commit_index"] == 3
    assert follower.claimed == [21]


@pytest.mark.parametrize(("index", "term"), [(5, 2), (2, 1)])
def test_a_snapshot_of_what_is_there_is_a_heartbeat(follower: Follower, index: int, term: int) -> None:
    message = follower.take(piece(index, term))
    assert place(message) == (6, 2, [])
    assert follower.claimed == [index + 1]
    rest = piece(index, term) | {"serialized": (b"more", False, True)}
    assert place(follower.take(rest)) == (6, 2, [])


def test_a_snapshot_that_contradicts_what_is_only_in_our_log_is_taken(follower: Follower) -> None:
    message = follower.take(piece(5, 4))
    assert message is not None and "serialized" in message


def test_a_snapshot_of_another_engine_is_refused(follower: Follower) -> None:
    follower.system_id = "ours"
    assert follower.take(piece(20, 2, system_id="theirs")) is None
    assert follower.take(piece(20, 2, system_id="ours")) is not None


def test_the_middle_of_a_snapshot_without_its_beginning_is_dropped(follower: Follower) -> None:
    assert follower.take(piece(20, 2) | {"serialized": (b"middle", False, False)}) is None


def test_a_snapshot_without_a_header_is_no_message_of_a_sound_peer(follower: Follower) -> None:
    with pytest.raises(BadMessage):
        follower.take(piece(20, 2) | {"serialized": (b"garbage", True, False)})


# --- votes


def vote(new: bool) -> Message:
    return {"type": "request_vote", "term": 9, "last_log_index": 9, "last_log_term": 9, "new": new}


def may_vote(follower: Follower, new: bool) -> bool:
    message = follower.take(vote(new))
    assert message is not None and message["term"] == 9  # the term counts in any case
    return bool(message["last_log_term"] != NO_TERM)


def test_who_has_caught_up_once_votes_by_raft_alone(follower: Follower) -> None:
    follower.guard.met("other", is_new=True)
    assert may_vote(follower, new=False) and may_vote(follower, new=True)


def test_a_new_manager_votes_only_for_new_ones_and_only_among_new_ones(follower: Follower) -> None:
    follower.newness.is_new = True
    follower.guard.met("other", is_new=True)
    assert may_vote(follower, new=True) and not may_vote(follower, new=False)
    follower.guard.met("other", is_new=False)
    assert not may_vote(follower, new=True)


def test_a_manager_is_new_until_it_has_everything_that_a_leader_has_also_over_restarts(
    tmp_path: Path,
) -> None:
    follower = Follower(tmp_path)
    follower.newness = Newness(tmp_path / "new", True)
    follower.guard = LogGuard(follower.journal, follower.newness, follower.raft, lambda: "")
    follower.take(append((6, 2), [], last=9))
    assert follower.newness.is_new and Newness(tmp_path / "new", False).is_new
    follower.take(append((6, 2), [2, 2, 2], last=9))
    assert not follower.newness.is_new and not Newness(tmp_path / "new", False).is_new
    follower.journal.close()
