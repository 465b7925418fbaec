"""Who may stand for election."""

from __future__ import annotations

from typing import Any

from artesian.embedded.mdm.elections import ASK_AGAIN_S, FRESH_S, QUIET_S, Elections
from artesian.embedded.mdm.guard import NO_TERM

ASK, MAY = {"type": "ask_stand"}, {"type": "may_stand"}


class Voter:
    """One of five managers; `others` are b to e. Time is set by hand."""

    others = ("b", "c", "d", "e")

    def __init__(self) -> None:
        self.now_s = 100.0
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.elections = Elections(lambda: self.now_s, lambda to, message: self.sent.append((to, message)))

    def may_stand(self) -> bool:
        return self.elections.may_stand(self.others)

    def receive(self, sender: str, message: dict[str, Any], leading: bool = False) -> Any:
        return self.elections.receive(sender, message, 5, leading=leading)


def test_it_stands_when_a_majority_agrees() -> None:
    voter = Voter()
    assert not voter.may_stand()
    assert voter.sent == [(other, ASK) for other in voter.others]
    voter.receive("b", MAY)
    assert not voter.may_stand()
    voter.receive("c", MAY)
    assert voter.may_stand()
    assert not voter.may_stand()  # each time anew


def test_one_that_agrees_twice_is_still_one() -> None:
    voter = Voter()
    for _ in range(3):
        voter.receive("b", MAY)
    assert not voter.may_stand()


def test_who_is_no_member_does_not_count() -> None:
    voter = Voter()
    for stranger in ("x", "y", "z"):
        voter.receive(stranger, MAY)
    assert not voter.may_stand()


def test_an_answer_counts_for_a_moment_only() -> None:
    voter = Voter()
    for other in voter.others:
        voter.receive(other, MAY)
    voter.now_s += FRESH_S + 0.01
    assert not voter.may_stand()


def test_it_asks_again_but_not_without_pause() -> None:
    voter = Voter()
    for _ in range(10):
        voter.may_stand()
    assert len(voter.sent) == 4
    voter.now_s += 1.1 * ASK_AGAIN_S
    voter.may_stand()
    assert len(voter.sent) == 8


def test_alone_it_needs_nobody() -> None:
    assert Voter().elections.may_stand(())


def test_it_agrees_unless_it_leads_or_has_just_heard_from_a_leader() -> None:
    voter = Voter()
    voter.receive("b", ASK)
    assert voter.sent == [("b", MAY)]
    voter.receive("b", ASK, leading=True)
    voter.elections.heard()
    voter.now_s += QUIET_S - 0.01
    voter.receive("b", ASK)
    assert len(voter.sent) == 1
    voter.now_s += 0.02
    voter.receive("b", ASK)
    assert len(voter.sent) == 2


def test_a_broken_connection_to_the_leader_is_as_good_as_a_silence() -> None:
    voter = Voter()
    voter.elections.heard()
    voter.elections.leader_lost()
    voter.receive("b", ASK)
    assert voter.sent == [("b", MAY)]


def test_a_leader_of_an_old_term_is_told_of_the_newer_one_and_gives_way_without_giving_a_vote() -> None:
    voter = Voter()
    assert voter.receive("b", {"type": "append_entries", "term": 4}) is None
    assert voter.sent == [("b", {"type": "newer_term", "term": 5})]
    instead = voter.receive("b", {"type": "newer_term", "term": 6}, leading=True)
    assert (instead["type"], instead["term"], instead["last_log_term"]) == ("request_vote", 6, NO_TERM)
    assert voter.receive("b", {"type": "newer_term", "term": 5}) is None


def test_other_messages_are_none_of_its_business() -> None:
    voter = Voter()
    assert voter.receive("b", {"type": "append_entries", "term": 5}) is None
    assert voter.receive("b", {"type": "response_vote", "term": 5}) is None
    assert not voter.sent
