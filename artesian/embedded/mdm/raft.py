"""The managers' replicated log: pysyncobj, driven by asyncio, on our own journal, snapshots and transport.

Threads: everything happens in the event loop's thread. pysyncobj's tick thread is not used (autoTick off);
its tick is called here every few milliseconds and, sooner, whenever something was proposed or received. So
whoever runs in the loop may read the state at any time between two awaits without a lock, and it never
changes under a reader. What blocks the loop is the sync of the journal, once per turn, whatever its load.

Time: a follower that has heard nothing for 0.6 to 1.2 s stands for election; one whose connection to the
leader broke, which is what the death of a process looks like, stands sooner, the members one after the other
so that they do not split the votes; so they do when all have just been started, too. All of them only if a
majority misses the leader (`elections.py`). Tiebreakers are full
members that store the log and vote, so that a majority survives; they stand only after 1.8 to 2.4 s, which is
when no manager that could be elected is left, and hand over as soon as a manager has caught up. A leader
that has not heard from a majority for 1.5 s steps down.

A leader leads, for others, from the moment that an entry of its own is committed: then it has applied
everything that any earlier leader has acknowledged. `confirm` proves that it still leads; reads that must
not be stale wait for it, one round trip without a sync.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from pysyncobj import SyncObjConf
from pysyncobj.config import FAIL_REASON
from pysyncobj.node import Node

from artesian.embedded.errors import CommandRefused, EngineError, NotLeader
from artesian.embedded.mdm.durable import lock_folder
from artesian.embedded.mdm.elections import KINDS, Elections
from artesian.embedded.mdm.guard import LogGuard, Newness
from artesian.embedded.mdm.journal import DurableJournal, JournalDamaged
from artesian.embedded.mdm.membership import members_after
from artesian.embedded.mdm.messages import Message
from artesian.embedded.mdm.replica import BARRIER, Replica, StateMachine, durable_parts
from artesian.embedded.mdm.snapshots import Snapshot, SnapshotStore
from artesian.embedded.mdm.transport import Hooks, RaftTransport

log = structlog.get_logger()

TICK_S = 0.03
HEARTBEAT_S = 0.1
MANAGER_TIMEOUT_S = (0.6, 1.2)
TIEBREAKER_TIMEOUT_S = (1.8, 2.4)
STEP_DOWN_S = 1.5
MAX_COMMAND_BYTES = 8 << 20
HURRY_S, HURRY_STEP_S = 0.05, 0.15  # after the leader's connection broke: the first member, each further one
COMPACT_ENTRIES = 5000
COMPACT_S = 600.0


class OutcomeUnknown(EngineError):
    """This manager lost its lead before the others agreed: the command may have been, or may yet be, done."""

    def __init__(self) -> None:
        super().__init__("the lead was lost meanwhile; the command may or may not have been carried out")


class Raft:
    """This manager's part in the replicated log.

    `on_change` is called when it begins or ends to lead; `on_fatal` with an error after which the process
    must end, such as of its disk: it has promised what it may not be able to keep.
    """

    def __init__(
        self,
        address: str,
        peers: list[str],
        folder: Path,
        secret: bytes,
        machine: StateMachine,
        on_change: Callable[[], None],
        on_fatal: Callable[[Exception], None],
        *,
        tiebreaker: bool = False,
        compact_entries: int = COMPACT_ENTRIES,
    ) -> None:
        """`address` and `peers` are "ip:port" of the Raft ports. Opens the folder.

        Raises JournalDamaged, SnapshotDamaged, EngineError when another process has the folder, OSError.
        """
        self.leading = False
        self._address = address
        self._machine = machine
        self._on_change = on_change
        self._on_fatal = on_fatal
        self._failed = False
        self._lock = lock_folder(folder)
        self._snapshots = SnapshotStore(folder / "snapshot", machine.capture, self._install)
        is_new = not (folder / "journal").exists() and not self._snapshots.path.exists()
        self._newness = Newness(folder / "new", is_new)
        self._journal = DurableJournal(folder / "journal")
        members = self._align(peers)
        hooks = Hooks(
            greeting=lambda: {"new": self._newness.is_new, "has_leader": self.leader is not None},
            met=self._met,
            received=self._received,
            replying=lambda message: self._guard.limit_reply(message),
            woken=self._wake,
            lost=self._lost,
            failed=self._fail,
        )
        self._transport = RaftTransport(address, secret, self._journal, hooks)
        self._elections = Elections(
            asyncio.get_running_loop().time,
            lambda to, message: self._transport.send(Node(to), message),
        )
        self._tiebreaker = tiebreaker
        low_s, high_s = TIEBREAKER_TIMEOUT_S if tiebreaker else MANAGER_TIMEOUT_S
        conf = SyncObjConf(
            autoTick=False,
            commandsWaitLeader=False,
            raftMinTimeout=low_s,
            raftMaxTimeout=high_s,
            connectionTimeout=high_s,
            appendEntriesPeriod=HEARTBEAT_S,
            appendEntriesBatchSizeBytes=MAX_COMMAND_BYTES + 1,
            leaderFallbackTimeout=STEP_DOWN_S,
            logCompactionMinEntries=compact_entries,
            logCompactionMinTime=COMPACT_S,
            fullDumpFile=str(self._snapshots.path),
            serializer=lambda *arguments: None,  # so that it leaves its attributes to us
            deserializer=lambda *arguments: None,
            dynamicMembershipChange=True,
        )
        others = sorted(set(members) - {address})
        with durable_parts(self._journal, self._snapshots):
            self._node = Replica(
                machine, self._elections.may_stand, address, others, conf=conf, transport=self._transport
            )
        self._others_at_start = others
        self._guard = LogGuard(self._journal, self._newness, self._node, lambda: machine.system_id)
        self._proposals: set[asyncio.Future[dict[str, Any]]] = set()
        self._confirmations: list[tuple[int, asyncio.Future[None]]] = []
        self._barrier_term = 0
        self._leaderless: set[str] = set()  # members that knew no leader when we met them
        self._ticking: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()

    async def start(self) -> None:
        """Take part. Raises OSError when the port is taken."""
        await self._transport.start()
        for other in self._others_at_start:
            self._transport.addNode(Node(other))
        if not self._others_at_start:
            self._hurry(self.members)
        self._ticking = asyncio.get_running_loop().create_task(self._tick_for_ever())

    async def stop(self) -> None:
        """Leave; everything promised is on stable storage."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        self._lose_lead()
        if not self._failed:
            self._node.destroy()
        await self._snapshots.close()
        os.close(self._lock)

    # --- who leads

    @property
    def leader(self) -> str | None:
        """Raft address of the manager that leads as far as we know."""
        node = self._node._getLeader()
        return None if node is None else str(node.id)

    @property
    def term(self) -> int:
        return int(self._node.raftCurrentTerm)

    @property
    def members(self) -> set[str]:
        """Raft addresses of all members, ourselves included."""
        return {node.id for node in self._node.otherNodes} | {self._address}

    @property
    def connected(self) -> set[str]:
        """Raft addresses of the members that we can talk to, ourselves included."""
        return self._transport.connected_peers() | {self._address}

    async def confirm(self) -> None:
        """Returns when a majority has followed us since the call. Raises NotLeader."""
        if not self.leading:
            raise NotLeader(None)
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._confirmations.append((self._transport.sent, waiting))
        self._node.send_entries_in_next_tick()
        self._wake()
        await waiting

    def hand_over(self, candidates: set[str]) -> None:
        """Let one of these members lead, if it has everything; tried again by whoever wants it."""
        for address in sorted(candidates & self.connected - {self._address}):
            self._node.transferLeadership(Node(address))

    # --- changing things

    async def propose(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
        """Have a command carried out by all; its result, when a majority has it on stable storage.

        Raises CommandRefused, NotLeader when it was certainly not carried out, OutcomeUnknown.
        """
        command = json.dumps({"name": name, "args": args}, separators=(",", ":"))
        if len(command) > MAX_COMMAND_BYTES:
            raise CommandRefused(0, "the command is too large")
        if not self.leading:
            raise NotLeader(None)
        outcome = await self._add(command)
        if "refused" in outcome:
            raise CommandRefused(*outcome["refused"])
        return dict(outcome["result"])

    async def change_members(self, action: str, address: str) -> None:
        """`action`: "add" or "remove". One at a time. Raises EngineError when it cannot be done now."""
        if not self.leading:
            raise NotLeader(None)
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def finish(result: Any, reason: int) -> None:
            if not done.done():
                done.set_result(reason)

        change = self._node.addNodeToCluster if action == "add" else self._node.removeNodeFromCluster
        change(Node(address), callback=finish)
        self._node._checkCommandsToApply()
        self._node.send_entries_in_next_tick()
        self._wake()
        async with asyncio.timeout(10):
            reason = await done
        if reason != FAIL_REASON.SUCCESS:
            raise EngineError(f"the managers cannot be changed now: {action} {address} (reason {reason})")

    async def _add(self, command: str) -> dict[str, Any]:
        outcome: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        def finish(result: Any, reason: int) -> None:
            self._proposals.discard(outcome)
            if outcome.done():
                return
            if reason == FAIL_REASON.SUCCESS:
                outcome.set_result(result)
            else:
                outcome.set_exception(NotLeader(self.leader))

        self._proposals.add(outcome)
        self._node.add_to_log(command, finish)
        self._node.send_entries_in_next_tick()
        self._wake()
        return await outcome

    # --- the tick

    def _wake(self) -> None:
        self._woken.set()

    async def _tick_for_ever(self) -> None:
        while not self._failed:
            try:
                self._node.doTick(0.0)
                if self._snapshots.failure is not None:
                    raise self._snapshots.failure
                self._notice()
                await asyncio.sleep(0)  # let the messages of this tick go out before the disk holds us up
                self._journal.sync()
            except Exception as error:
                log.exception("raft.failed")
                self._fail(error)
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._woken.wait()
            self._woken.clear()

    def _notice(self) -> None:
        """See what the tick has changed."""
        if not self._node._isLeader():
            self._lose_lead()
        elif self._barrier_term != self.term:
            self._lose_lead()
            self._barrier_term = self.term
            self._node.add_to_log(BARRIER, self._begin_lead(self.term))
            self._node.send_entries_in_next_tick()
            self._wake()
        if self._confirmations:
            self._settle_confirmations()

    def _begin_lead(self, term: int) -> Callable[[Any, int], None]:
        def finish(result: Any, reason: int) -> None:
            if reason == FAIL_REASON.SUCCESS and self._node._isLeader() and self.term == term:
                if self._newness.is_new:
                    self._newness.end()
                self.leading = True
                log.info("raft.leading", term=term)
                self._on_change()

        return finish

    def _lose_lead(self) -> None:
        self._barrier_term = 0
        for outcome in self._proposals:
            if not outcome.done():
                outcome.set_exception(OutcomeUnknown())
        self._proposals.clear()
        for _, waiting in self._confirmations:
            if not waiting.done():
                waiting.set_exception(NotLeader(None))
        self._confirmations.clear()
        if self.leading:
            self.leading = False
            log.info("raft.not_leading", term=self.term)
            self._on_change()

    def _settle_confirmations(self) -> None:
        needed = (len(self._node.otherNodes) + 1) // 2
        echoes = sorted(self._transport.echoes(), reverse=True)
        if len(echoes) < needed:
            return
        confirmed = echoes[needed - 1] if needed else self._transport.sent + 1
        for asked, waiting in self._confirmations:
            if confirmed > asked and not waiting.done():
                waiting.set_result(None)
        self._confirmations = [pair for pair in self._confirmations if not pair[1].done()]

    def _met(self, address: str, greeting: dict[str, Any]) -> None:
        """When all members are there and none knows a leader, there is nothing to wait for."""
        self._guard.met(address, is_new=bool(greeting.get("new")))
        self._leaderless = set() if greeting.get("has_leader") else self._leaderless | {address}
        if self.members - {self._address} <= self._leaderless & self.connected and self.leader is None:
            self._hurry(self.members)

    def _received(self, sender: str, message: Message, deliver: Callable[[Message], None]) -> None:
        leading = self._node._isLeader()
        instead = self._elections.receive(sender, message, self.term, leading=leading)
        if instead is not None:
            deliver(instead)
        elif message["type"] not in KINDS:
            self._guard.receive(sender, message, deliver)
            if message["type"] == "append_entries" and sender == self.leader:
                self._elections.heard()

    def _lost(self, address: str) -> None:
        self._leaderless.discard(address)
        if address == self.leader:
            self._elections.leader_lost()
            self._hurry(self.members - {address})

    def _hurry(self, members: set[str]) -> None:
        """Stand soon, these members one after the other."""
        if not self._tiebreaker and not self._node._isLeader() and self._address in members:
            self._node.stand_within(HURRY_S + HURRY_STEP_S * sorted(members).index(self._address))

    def _fail(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            self._transport.destroy()
            self._on_fatal(error)

    # --- opening

    def _install(self, snapshot: Snapshot) -> list[str]:
        self._machine.install(snapshot.state)
        if self._journal.term_of(snapshot.last[1]) != snapshot.last[2]:
            return snapshot.cluster  # the log is about to be replaced
        return members_after(snapshot.cluster, snapshot.last[1], self._journal)

    def _align(self, peers: list[str]) -> list[str]:
        """Make the journal begin where the snapshot ends, and find out who the members are.

        Killed between the two, the snapshot is newer than the journal's beginning; pysyncobj would then
        throw the whole journal away, and with it what came after the snapshot.
        """
        snapshot = self._snapshots.load()
        first = self._journal.first_index
        if snapshot is None:
            if first > 1:
                raise JournalDamaged(f"the journal begins at entry {first}, and the snapshot before is gone")
            return members_after(peers, 0, self._journal)
        previous, last = snapshot.previous, snapshot.last
        if first > previous[1]:
            raise JournalDamaged(
                f"the journal begins at entry {first}, but the snapshot ends at entry {last[1]}"
            )
        if self._journal.term_of(last[1]) == last[2]:
            self._journal.deleteEntriesTo(previous[1] - first)
            return members_after(snapshot.cluster, last[1], self._journal)
        return snapshot.cluster
