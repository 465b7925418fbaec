"""pysyncobj as we use it: with our journal, snapshots, transport and clock, and told when to act.

This is the only place that touches what pysyncobj does not offer: two makers that its constructor looks up
in its module, its clock, two of its private times, and its question whether to stand for election. It fits
version 0.3.17; a newer one is to be read first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from pysyncobj import SyncObj, replicated, syncobj
from pysyncobj.node import Node

from artesian.embedded.mdm.journal import DurableJournal
from artesian.embedded.mdm.snapshots import SnapshotStore

BARRIER = ""  # a command that changes nothing


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


syncobj.monotonicTime = _loop_time  # one clock for everything, which a simulation may replace


class StateMachine(Protocol):
    """What is replicated. Deterministic: the same commands give the same state everywhere."""

    @property
    def system_id(self) -> str:
        """Empty as long as the state is of no engine."""

    def apply(self, command: str) -> dict[str, Any]:
        """Carry out a command, JSON as it was proposed; the result says if it was refused. Never raises."""

    def capture(self) -> dict[str, Any]:
        """The state as JSON."""

    def install(self, state: dict[str, Any]) -> None:
        """Replace the state."""


class Replica(SyncObj):  # type: ignore[misc]
    """pysyncobj's view of the state machine; made inside `durable_parts`."""

    _SyncObj__raftElectionDeadline: float
    _SyncObj__transferInProgress: bool

    def __init__(
        self,
        machine: StateMachine,
        may_stand: Callable[[list[str]], bool],
        own: str,
        others: list[str],
        **options: Any,
    ) -> None:
        """`may_stand` is asked before each election, with all other members."""
        self._machine = machine
        self._may_stand = may_stand
        super().__init__(Node(own), [Node(other) for other in others], nodeClass=Node, **options)

    @replicated  # type: ignore[untyped-decorator]
    def execute(self, command: str) -> dict[str, Any]:
        return {} if command == BARRIER else self._machine.apply(command)

    def add_to_log(self, command: str, callback: Callable[[Any, int], None]) -> None:
        """Append a command; only while this manager leads.

        pysyncobj would do so in its next tick, and hand it to another leader if there is one by then. What
        a leader decides is not to be carried out by its successor, so the queue is emptied at once.
        """
        self.execute(command, callback=callback)
        self._checkCommandsToApply()

    def send_entries_in_next_tick(self) -> None:
        """pysyncobj sends what is new once per heartbeat, or else every entry by itself; this is between."""
        self._SyncObj__newAppendEntriesTime = 0.0

    def _SyncObj__connectedToAnyone(self) -> bool:
        """What pysyncobj asks before it stands; see `elections.py`. Not when the leader told it to stand."""
        return self._SyncObj__transferInProgress or self._may_stand([node.id for node in self.otherNodes])

    def stand_within(self, delay_s: float) -> None:
        """Stand for election then, unless a leader is heard of before."""
        deadline_s = syncobj.monotonicTime() + delay_s
        self._SyncObj__raftElectionDeadline = min(self._SyncObj__raftElectionDeadline, deadline_s)


@contextlib.contextmanager
def durable_parts(journal: DurableJournal, snapshots: SnapshotStore) -> Iterator[None]:
    """The one place where pysyncobj, which has no hook for it, is given our journal and our snapshots.

    Its constructor looks both makers up in its module; they are put back right after.
    """
    originals = syncobj.createJournal, syncobj.Serializer
    syncobj.createJournal = lambda path: journal
    syncobj.Serializer = lambda *arguments: snapshots
    try:
        yield
    finally:
        syncobj.createJournal, syncobj.Serializer = originals
