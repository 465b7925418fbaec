"""What the framework knows of its Mesos right now: what is wanted, said and offered. Safe in any thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from artesian.clusters.mesos.ids import is_role_task, node_and_role, node_of_executor
from artesian.clusters.mesos.infos import AgentProgram
from artesian.clusters.mesos.matching import Asked, NodeWant, Situation, Status
from artesian.clusters.mesos.offers import Offer, Reserver
from artesian.clusters.mesos.outlook import Outlook
from artesian.clusters.mesos.records import NodeRecord
from artesian.clusters.mesos.tasks import TaskRecord, task_document_of, task_key
from artesian.clusters.port import TaskWanted
from artesian.model.mesos_agent import AGENT_ROLE, config_digest

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
_WELL_AFTER_S = 30.0  # a task that has run for so long has not failed because of how it was begun
_TELL_AGAIN_S = 2.0
GONE_FOR_GOOD = "TASK_GONE_BY_OPERATOR"
_NEVER_BEGUN = ("TASK_DROPPED", "TASK_UNKNOWN")  # its offer was taken back, or its launch was never asked for


class Desk:
    """`records` as they were stored before. It decides nothing and asks nobody."""

    def __init__(
        self,
        reserver: Reserver,
        program: AgentProgram,
        records: Mapping[str, NodeRecord],
        tasks: Mapping[str, TaskRecord],
    ) -> None:
        self.reserver = reserver
        self.outlook = Outlook()
        self._program = program
        self._lock = threading.RLock()
        self._wants: dict[str, NodeWant] = {}
        self._stopping: set[str] = set()
        self._records = dict(records)
        self._statuses: dict[str, Status] = {}
        self._running_since: dict[str, float] = {}
        self._offers: dict[str, Offer] = {}
        self._tasks = {one.task.id: one.task for one in tasks.values()}
        for one in tasks.values():  # that may run, for all that is known before Mesos has been asked
            self._statuses[one.task.id] = Status(one.ended or "TASK_STAGING", one.because)
        self._unstored: dict[str, str | None] = {}  # of ordinary tasks
        self._unwanted: set[str] = set()
        self._asked_s: dict[str, float] = {}
        self._not_before: dict[str, tuple[float, float]] = {}  # node → until when, and how long that was
        self._failed: dict[str, int] = {}  # node → its last attempt that is known to have failed
        self._shortages: dict[str, str] = {}
        self._configs: dict[str, str] = {}  # node → digest of the config that its agent has said it has
        self._told: dict[str, float] = {}

    # --- what is wanted

    def want(self, node: str, want: NodeWant) -> bool:
        """A node is to have these roles; whether that is new."""
        with self._lock:
            new = self._wants.get(node) != want or node in self._stopping
            if new:
                self._shortages.pop(node, None)  # another one may be enough
            self._wants[node] = want
            self._stopping.discard(node)
            return new

    def stop(self, node: str) -> bool:
        """Nothing is to run on a node any more; whether anything does."""
        with self._lock:
            self._wants.pop(node, None)
            self._stopping.add(node)
            return self.runs(node)

    def want_task(self, task: TaskWanted) -> bool:
        """An ordinary task is to run; whether that is new."""
        with self._lock:
            new = task.id not in self._tasks
            self._tasks.setdefault(task.id, task)
            return new

    def unwant_task(self, task_id: str) -> bool:
        """It is to end, and is forgotten then; False, and forgotten now, if none of this id runs."""
        with self._lock:
            status = self._statuses.get(task_id)
            if task_id not in self._tasks and status is None:
                return False
            if status is None or not status.is_live:
                self._forget_task(task_id)
                return False
            self._unwanted.add(task_id)
            return True

    # --- what Mesos says

    def offered(self, offers: Iterable[Offer]) -> None:
        """New offers."""
        with self._lock:
            self._offers |= {one.id: one for one in offers}

    def rescinded(self, offer_id: str) -> None:
        """An offer that is none any more."""
        with self._lock:
            self._offers.pop(offer_id, None)

    def disconnected(self) -> None:
        """Offers are worth nothing once the master that made them is away."""
        with self._lock:
            self._offers.clear()
            self._asked_s.clear()

    def heard(self, task_id: str, status: Status) -> bool:
        """A task's status; whether something that is remembered is to be stored because of that."""
        with self._lock:
            if task_id in self._tasks:
                return self._heard_of_ordinary(task_id, status)
            before = self._statuses.get(task_id)
            self._statuses[task_id] = status
            if status.state == "TASK_RUNNING" and (before is None or before.state != "TASK_RUNNING"):
                self._running_since[task_id] = status.at_s
            found = self._whose(task_id)
            if found is None:
                if not status.is_live:
                    self._forget_task(task_id)
                    self._running_since.pop(task_id, None)
                return False
            node, role = found
            gone = status.state == GONE_FOR_GOOD
            if gone:
                self._records[node] = replace(self._records[node], gone=True)
            ended_badly = not status.is_live and status.state not in ("TASK_KILLED", "TASK_FINISHED")
            if ended_badly and (before is None or before.is_live):
                self._wait(node, task_id, status.at_s)
            if role == AGENT_ROLE and not status.is_live:
                self._configs.pop(node, None)
            return gone

    def _heard_of_ordinary(self, task_id: str, status: Status) -> bool:
        """An end is final, whatever Mesos says of a task that it has forgotten; what never began is begun."""
        before = self._statuses.get(task_id)
        if before is not None and not before.is_live:
            return task_key(task_id) in self._unstored
        if status.is_live:
            self._statuses[task_id] = status
            return False
        if task_id in self._unwanted:
            self._forget_task(task_id)
            self._unstored[task_key(task_id)] = None
            return True
        if status.state in _NEVER_BEGUN:
            self._statuses.pop(task_id, None)
            return False
        self._statuses[task_id] = status
        key, text = task_document_of(TaskRecord(self._tasks[task_id], status.state, status.because))
        self._unstored[key] = text
        return True

    def _forget_task(self, task_id: str) -> None:
        self._tasks.pop(task_id, None)
        self._statuses.pop(task_id, None)
        self._unwanted.discard(task_id)

    def _wait(self, node: str, task_id: str, now_s: float) -> None:
        """The next attempt comes later than the last, unless this one has gone well for a while.

        An attempt fails once, with however many tasks.
        """
        attempt = self._records[node].attempts
        if self._failed.get(node) == attempt:
            return
        self._failed[node] = attempt
        since = self._running_since.pop(task_id, None)
        went_well = since is not None and now_s - since > _WELL_AFTER_S
        _, last = self._not_before.get(node, (0.0, 0.0))
        wait = _FIRST_WAIT_S if went_well or not last else min(2 * last, _LONGEST_WAIT_S)
        self._not_before[node] = (now_s + (0.0 if went_well else wait), 0.0 if went_well else wait)

    def agent_has(self, executor_id: str, digest: str) -> None:
        """An agent has said which config it goes on with."""
        with self._lock:
            node = node_of_executor(executor_id)
            record = self._records.get(node) if node is not None else None
            if record is not None and record.executor_id == executor_id:
                self._configs[record.node] = digest

    def unstored(self) -> dict[str, str | None]:
        """What has to be stored of ordinary tasks, by key."""
        with self._lock:
            return dict(self._unstored)

    def stored(self, changes: Mapping[str, str | None]) -> None:
        """That was stored."""
        with self._lock:
            for key, text in changes.items():
                if key in self._unstored and self._unstored[key] == text:
                    del self._unstored[key]

    def record_of(self, task_id: str) -> NodeRecord | None:
        """What is remembered of the node whose task for a role this is; None for every other task."""
        with self._lock:
            found = self._whose(task_id)
            return self._records[found[0]] if found is not None else None

    def _whose(self, task_id: str) -> tuple[str, str] | None:
        """Node and role, if this is the last task for it that was launched."""
        found = node_and_role(task_id)
        if found is None:
            return None
        node, role = found
        record = self._records.get(node)
        return found if record is not None and record.tasks.get(role) == task_id else None

    # --- deciding

    def situation(self, now_s: float) -> Situation:
        """Everything that a decision rests on, as it is at this moment."""
        with self._lock:
            return Situation(
                self.reserver,
                self._program,
                now_s,
                MappingProxyType(dict(self._wants)),
                frozenset(self._stopping),
                MappingProxyType(dict(self._records)),
                MappingProxyType(dict(self._statuses)),
                tuple(self._offers.values()),
                MappingProxyType({k: v for k, v in self._tasks.items() if k not in self._unwanted}),
                frozenset(self._unwanted),
                MappingProxyType(dict(self._asked_s)),
                MappingProxyType({node: until for node, (until, _) in self._not_before.items()}),
                self.outlook.drained,
                self.outlook.standings,
            )

    def asked(self, situation: Situation, asked: Asked) -> None:
        """What was decided is stored, and is about to be asked for."""
        with self._lock:
            for offer in situation.offers:
                self._offers.pop(offer.id, None)
            for record in asked.records:
                before = self._records.get(record.node)
                if before is not None and before is not situation.records.get(record.node):
                    # That it is gone was heard while this was stored.
                    record = replace(record, gone=before.gone and before.agent_id == record.agent_id)
                self._records[record.node] = record
                self._forget_ended(set(before.tasks.values()) if before is not None else set())
            self._shortages |= asked.shortages
            if asked.killed:
                asked_s = self._asked_s | dict.fromkeys(asked.killed, situation.now_s)
                self._asked_s = {one: at_s for one, at_s in asked_s.items() if one in self._statuses}
            for task_id in asked.launched:
                self._statuses.pop(task_id, None)
                if not is_role_task(task_id):
                    self._statuses[task_id] = Status("TASK_STAGING", "", situation.now_s)
                    if task_id not in self._tasks:
                        self._unwanted.add(task_id)  # since just now

    def _forget_ended(self, task_ids: set[str]) -> None:
        """Of tasks for roles that others have replaced."""
        for task_id in task_ids:
            status = self._statuses.get(task_id)
            if status is not None and not status.is_live and self._whose(task_id) is None:
                del self._statuses[task_id]
                self._running_since.pop(task_id, None)

    # --- what is to be told to agents

    def uninformed(self, now_s: float) -> list[tuple[NodeRecord, Mapping[str, Any]]]:
        """Agents that run with another config than they should, as far as they have said, with the right one.

        They count as told then, for a while.
        """
        found = []
        with self._lock:
            for node, want in self._wants.items():
                record = self._records.get(node)
                status = self._statuses.get(record.tasks.get(AGENT_ROLE, "")) if record is not None else None
                if record is None or status is None or status.state != "TASK_RUNNING":
                    continue
                recently = now_s - self._told.get(node, float("-inf")) < _TELL_AGAIN_S
                if self._configs.get(node) != config_digest(want.config) and not recently:
                    self._told[node] = now_s
                    found.append((record, want.config))
        return found

    # --- looking

    @property
    def records(self) -> dict[str, NodeRecord]:
        """What is remembered of nodes."""
        with self._lock:
            return dict(self._records)

    def status(self, task_id: str) -> Status | None:
        """What was heard last of a task."""
        with self._lock:
            return self._statuses.get(task_id)

    def shortage(self, node: str) -> str:
        """Why what a node has offered is not enough; empty if it is, or nothing was offered."""
        with self._lock:
            return self._shortages.get(node, "")

    def runs(self, node: str) -> bool:
        """Whether any task of a node runs, or may."""
        return any(one is None or one.is_live for one in self._statuses_of(node))

    def runs_here(self, node: str) -> bool:
        """Whether any task of a node runs, or may, on an agent that Mesos can see."""
        live = [one for one in self._statuses_of(node) if one is None or one.is_live]
        return any(one is None or one.state != "TASK_UNREACHABLE" for one in live)

    def _statuses_of(self, node: str) -> list[Status | None]:
        with self._lock:
            record = self._records.get(node)
            return [self._statuses.get(one) for one in record.tasks.values()] if record is not None else []

    def tasks(self) -> list[tuple[TaskWanted, Status | None]]:
        """The ordinary tasks."""
        with self._lock:
            return [(task, self._statuses.get(task.id)) for task in self._tasks.values()]
