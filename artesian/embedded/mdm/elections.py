"""When a manager may stand for election: only if a majority has not heard from a leader either.

pysyncobj stands whenever it misses the leader itself. A manager that only has a bad link to the leader, or
that was held up for a second, would then depose a leader that serves everybody else. So before it stands it
asks the others (Raft's "pre-vote"); who has heard from a leader a moment ago does not answer.

What this makes possible, and is seen to here as well: a manager that has a greater term than the leader,
from an election that came to nothing, takes no messages from that leader and may not stand either. It says
so to the leader, which then gives its lead up for a new election.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import inf

from artesian.embedded.mdm.guard import NO_TERM
from artesian.embedded.mdm.messages import Message

QUIET_S = 0.4  # less than anybody's patience, more than a few heartbeats
FRESH_S = 0.3  # so long an answer counts
ASK_AGAIN_S = 0.05


class Elections:
    """One manager's view. Times are the event loop's; `send` takes an address and a message."""

    def __init__(self, clock: Callable[[], float], send: Callable[[str, Message], object]) -> None:
        self._clock = clock
        self._send = send
        self._heard_s = -inf
        self._asked_s = -inf
        self._agreed_s: dict[str, float] = {}

    def heard(self) -> None:
        """A leader has sent us something that we take."""
        self._heard_s = self._clock()

    def leader_lost(self) -> None:
        """The connection to the leader has ended: that is as good as a long silence."""
        self._heard_s = -inf

    def may_stand(self, others: Collection[str]) -> bool:
        """Whether a majority agrees; `others` are all other members. Asks them, so ask this again soon."""
        now_s = self._clock()
        agreed = sum(now_s - self._agreed_s.get(address, -inf) <= FRESH_S for address in others)
        if agreed >= (len(others) + 1) // 2:
            self._agreed_s.clear()
            return True
        if now_s - self._asked_s >= ASK_AGAIN_S:
            self._asked_s = now_s
            for address in others:
                self._send(address, {"type": "ask_stand"})
        return False

    def receive(self, sender: str, message: Message, term: int, *, leading: bool) -> Message | None:
        """Take a message that is about elections; what pysyncobj should get instead of it, if anything."""
        kind = message["type"]
        if kind == "ask_stand":
            if not leading and self._clock() - self._heard_s >= QUIET_S:
                self._send(sender, {"type": "may_stand"})
        elif kind == "may_stand":
            self._agreed_s[sender] = self._clock()
        elif kind == "newer_term" and message["term"] > term:
            # A candidate that cannot win, which all the same makes its term known.
            return {
                "type": "request_vote",
                "term": message["term"],
                "last_log_index": 0,
                "last_log_term": NO_TERM,
                "new": False,
            }
        elif kind == "append_entries" and message["term"] < term:
            self._send(sender, {"type": "newer_term", "term": term})
        return None


KINDS = frozenset({"ask_stand", "may_stand", "newer_term"})
"""Messages that pysyncobj does not know."""
