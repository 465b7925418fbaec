"""Faults of drills on this node: done as assigned, and undone when their time is over, when they are not
assigned any more, or when we are started again and find one of which nobody knows.

What is to be done is written down first, with the very processes that are hit; so a crash at any line is
followed by the same fault or by its undoing, and never by a second one. The time counts from the record.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from artesian.agent import fault_record, pulled_disk
from artesian.agent.drill_work import DrillWork
from artesian.agent.fault_record import FaultRecord, Stage
from artesian.engines.node_port import NodeEngine, Part
from artesian.host import processes
from artesian.host.processes import boot_id
from artesian.model.drill import DrillKind, Fault, SeenFault

_KILLED = {DrillKind.KILL_SERVER: Part.SERVERS, DrillKind.KILL_MANAGER: Part.MANAGER}

log = structlog.get_logger()


class NodeFaults:
    """Records are in `folder`; `dev` is the folder of the node's disks, None if they are real ones. `look`
    finds the disks anew: their names have changed."""

    def __init__(
        self,
        folder: Path,
        engine: NodeEngine,
        work: DrillWork,
        dev: Path | None,
        look: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._engine = engine
        self._work = work
        self._dev = dev
        self._look = look
        self._clock = clock
        self._wall_clock = wall_clock
        self._problems: dict[str, str] = {}
        self._records = self._load()

    # --- what others ask

    @property
    def is_mute(self) -> bool:
        """Whether the node is cut off: it hears and says nothing, and leaves everything as it is."""
        return any(
            one.fault.kind is DrillKind.CUT_OFF_NODE and one.stage is Stage.ACTING
            for one in self._records.values()
        )

    @property
    def held_down(self) -> frozenset[str]:
        """Processes that are not to be started now."""
        return frozenset(
            name
            for one in self._records.values()
            if one.fault.kind in _KILLED and one.stage is not Stage.OVER
            for name in one.victims
        )

    @property
    def filling(self) -> frozenset[str]:
        """Drills that fill a volume here."""
        return frozenset(
            key
            for key, one in self._records.items()
            if one.fault.kind is DrillKind.FILL_POOL and one.stage is not Stage.OVER
        )

    def seen(self) -> tuple[SeenFault, ...]:
        """Every fault that is remembered, and those that could not be done."""
        found = [
            SeenFault(
                key,
                one.stage is Stage.OVER,
                self._work.filled(key).done_bytes if one.fault.kind is DrillKind.FILL_POOL else 0,
                self._problems.get(key, "") or self._filling_problem(one),
            )
            for key, one in sorted(self._records.items())
        ]
        return (
            *found,
            *(
                SeenFault(key, True, 0, why)
                for key, why in self._problems.items()
                if key not in self._records
            ),
        )

    # --- making it so

    def ensure(self, assigned: Iterable[Fault]) -> None:
        """One step of each. Nothing is raised: a fault that cannot be done, or undone, is a problem."""
        wanted = {fault.id: fault for fault in assigned}
        for key in list(self._problems):
            if key not in wanted and key not in self._records:
                del self._problems[key]
        for key, record in list(self._records.items()):
            if record.stage is not Stage.OVER and (key not in wanted or record.is_due(self._clock())):
                self._try(key, self._undo, record)
            elif record.stage is not Stage.OVER:
                self._try(key, self._act, record)
            if key not in wanted and self._records[key].stage is Stage.OVER:
                fault_record.forget(self._folder, key)
                del self._records[key]
        for key, fault in wanted.items():
            if key not in self._records and key not in self._problems:
                self._try(key, self._begin, fault)

    def _try(self, key: str, step: Callable[[Any], None], argument: object) -> None:
        try:
            step(argument)
        except (OSError, ValueError, TimeoutError) as error:
            words = " ".join(str(error).split()) or type(error).__name__
            if self._problems.get(key) != words:
                log.error("a drill's fault", id=key, reason=words)
            self._problems[key] = words
        else:
            self._problems.pop(key, None)

    def _begin(self, fault: Fault) -> None:
        """Write down what is to be done, and to whom; then do it."""
        if self._wall_clock() > fault.begin_by_s:
            raise ValueError(
                "it was to begin earlier, and nothing is begun that nobody may wait for any more"
            )
        part = _KILLED.get(fault.kind)
        if fault.kind is DrillKind.FAIL_DISK:
            part = Part.SERVERS  # they have the disk open
        if fault.kind is DrillKind.CUT_OFF_NODE:
            part = Part.ALL
        victims = dict(self._engine.running(part)) if part is not None else {}
        if part is not None and not victims:
            raise ValueError(f"nothing runs on this node that {fault.kind} could hit")
        path = ""
        if fault.kind is DrillKind.FAIL_DISK:
            path = str(pulled_disk.find(self._dev, fault.target))
        record = FaultRecord(fault, Stage.INTENDED, boot_id(), self._clock(), victims, path)
        fault_record.save(self._folder, record)
        self._records[fault.id] = record
        log.warning("a drill begins", id=fault.id, kind=str(fault.kind), victims=sorted(victims))
        self._act(record)

    def _act(self, record: FaultRecord) -> None:
        """The effect, as often as it takes: it hits those that were written down, and nobody else."""
        match record.fault.kind:
            case DrillKind.FILL_POOL:
                fault = record.fault
                status = self._work.filled(fault.id)
                if status.done_bytes < fault.amount_bytes and not status.error:
                    self._work.start(fault.id, "fill", fault.target, fault.amount_bytes)
            case DrillKind.CUT_OFF_NODE:
                self._signal(record, signal.SIGSTOP)
            case DrillKind.FAIL_DISK if record.stage is Stage.INTENDED:
                pulled_disk.pull(Path(record.path), record.fault.id)
                self._look()
                self._kill(record)
            case DrillKind.KILL_SERVER | DrillKind.KILL_MANAGER:
                self._kill(record)
        if record.stage is Stage.INTENDED:
            self._store(replace(record, stage=Stage.ACTING))

    def _undo(self, record: FaultRecord) -> None:
        match record.fault.kind:
            case DrillKind.FILL_POOL:
                if self._work.end_filling(record.fault.id):
                    raise TimeoutError("what fills the volume does not end yet")
            case DrillKind.CUT_OFF_NODE:
                self._signal(record, signal.SIGCONT)
            case DrillKind.FAIL_DISK:
                pulled_disk.put_back(Path(record.path), record.fault.id)
                self._look()
        self._store(replace(record, stage=Stage.OVER))
        log.warning("a drill's fault is undone", id=record.fault.id, kind=str(record.fault.kind))

    def _kill(self, record: FaultRecord) -> None:
        self._signal(record, signal.SIGKILL)
        processes.wait_until_ended(list(record.victims.values()), 2.0)

    def _signal(self, record: FaultRecord, number: signal.Signals) -> None:
        for identity in record.victims.values():
            processes.send(identity, number)

    def _store(self, record: FaultRecord) -> None:
        fault_record.save(self._folder, record)
        self._records[record.fault.id] = record

    def _filling_problem(self, record: FaultRecord) -> str:
        return self._work.filled(record.fault.id).error if record.fault.kind is DrillKind.FILL_POOL else ""

    def _load(self) -> dict[str, FaultRecord]:
        """A record that cannot be read must not keep the agent from its work, nor from undoing what others
        name; people have to look."""
        try:
            found, unreadable = fault_record.load_all(self._folder)
        except OSError as error:
            found, unreadable = {}, {self._folder: str(error)}
        for path, reason in unreadable.items():
            log.error("what is remembered of a drill cannot be read", file=str(path), reason=reason)
        return found
