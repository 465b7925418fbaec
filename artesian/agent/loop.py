"""The agent's loop: look, make the assignment so, report. It can be killed and started at any line."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from pathlib import Path
from typing import Any

import structlog

from artesian.agent.client import SchedulerClient, SchedulerUnreachable
from artesian.agent.config import AgentConfig
from artesian.agent.disks.errors import DisksUnknown
from artesian.agent.disks.folder_disks import FolderDisks
from artesian.agent.disks.recognising import recognised
from artesian.agent.disks.system_disks import SystemDisks
from artesian.agent.drill_work import DrillWork
from artesian.agent.faults import NodeFaults
from artesian.agent.plugin import NodePlugin
from artesian.agent.volumes import NodeVolumes
from artesian.engines.node_engines import EngineOfNode, has_data
from artesian.host.files import write_durably
from artesian.model.assignment import Assignment, assignment_from_json
from artesian.model.disk import Disk
from artesian.model.errors import ArtesianError
from artesian.model.report import AgentReport

_LOOK_S = 1.0
_LOOK_WHILE_WORKING_S = 0.05
_DISKS_S = 2.0
_HEARTBEAT_S = 4.0
_POLL_S = 20.0
_POLL_ONE_OF_SEVERAL_S = 5.0  # one that hangs is left sooner
_RETRY_S = 0.5
_FRESH_S = 60.0  # for which an assignment counts as confirmed
_ASSIGNMENT = "assignment.json"

log = structlog.get_logger()


class Agent:
    """The agent in one folder."""

    def __init__(self, folder: Path, config: AgentConfig) -> None:
        self._folder = folder
        self._config = config
        self._disks = _disks_of(folder, config)
        self._had_data = has_data(folder / "engine")
        self._engine = EngineOfNode(folder / "engine", config.engine_secret)
        self._volumes = NodeVolumes(folder / "volumes", config.node, self._engine.volume_address)
        self._drill = DrillWork(folder / "drills")
        dev = Path(config.dev) if config.dev is not None else None
        self._faults = NodeFaults(folder / "faults", self._engine, self._drill, dev, self._disks.find)
        self._mute = threading.Event()  # a drill cuts this node off: nothing is heard or said
        self._be_mute(self._faults.is_mute)
        self._reporting = SchedulerClient.of(config)
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._generation, self._assignment = self._load()
        self._confirmed_s = float("-inf")  # when the scheduler has last said that this is what is assigned
        self._refused = ""
        self._told_of_volumes = False  # by the last report that was heard
        self._plugin = NodePlugin(folder, lambda: self._config, lambda: self._assignment, self._mute.is_set)
        self._seen_disks: tuple[float, tuple[Disk, ...], str] = (float("-inf"), (), "")

    def run(self) -> None:
        """Until `stop`."""
        self._begin_to_follow()
        self._plugin.start()
        sent: tuple[float, dict[str, Any]] = (float("-inf"), {})
        while not self._ended.is_set():
            self._wake.clear()
            self._look_at_disks()  # before their engine is started: names may have changed
            with self._lock:
                generation, assignment = self._generation, self._assignment
            self._faults.ensure(assignment.faults)
            was_mute = self._mute.is_set()
            self._be_mute(self._faults.is_mute)
            problem = ""
            if not self._faults.is_mute:
                problem = self._make_so(assignment) if generation else self._without_assignment()
            if not (was_mute and self._faults.is_mute):  # that it is cut off now is the last that is heard
                sent = self._send(self._report(generation, assignment, problem), sent)
            busy = self._volumes.is_working or bool(problem)
            self._wake.wait(_LOOK_WHILE_WORKING_S if busy else _LOOK_S)
        self._plugin.close()
        self._volumes.close()

    def stop(self) -> None:
        """End the loop; what runs on the node goes on."""
        self._ended.set()
        self._wake.set()

    def go_on_with(self, config: AgentConfig) -> bool:
        """Ask another scheduler from now on, whatever is under way; False if more than that has changed, and
        only another agent can go on."""
        before = self._config
        if config != dataclasses.replace(before, scheduler_url=config.scheduler_url, token=config.token):
            return False
        if config != before:
            self._config, self._reporting = config, SchedulerClient.of(config)
            self._begin_to_follow()
            self._wake.set()
        return True

    @property
    def holds_volumes(self) -> bool:
        """Whether a volume is attached here, or the scheduler has still to hear that none is: it waits for
        that before it lets another node have it."""
        return self._told_of_volumes or bool(self._volumes.seen())

    def _be_mute(self, mute: bool) -> None:
        if mute:
            self._mute.set()
        else:
            self._mute.clear()

    # --- the assignment

    def _load(self) -> tuple[str, Assignment]:
        """What was assigned last; no generation and nothing at the very first start, or if it is lost."""
        try:
            document = json.loads((self._folder / _ASSIGNMENT).read_bytes())
            return str(document["generation"]), assignment_from_json(document["assignment"])
        except FileNotFoundError:
            pass
        except (KeyError, TypeError, ValueError) as error:
            log.error("what was assigned cannot be read", reason=str(error) or type(error).__name__)
        return "", Assignment(self._config.node, self._config.address)

    def _without_assignment(self) -> str:
        """Nothing is done before anything was assigned: what runs may well be wanted. The problem, if any."""
        if self._had_data:
            return "what was assigned to this node is lost: all stays as it is until it is assigned again"
        return ""

    def _begin_to_follow(self) -> None:
        threading.Thread(target=self._follow, args=(self._config,), name="assignment", daemon=True).start()

    def _follow(self, config: AgentConfig) -> None:
        client = SchedulerClient.of(config)
        poll_s = _POLL_ONE_OF_SEVERAL_S if client.is_one_of_several else _POLL_S
        while self._goes_on_with(config):
            if self._mute.is_set():
                self._ended.wait(_RETRY_S)
                continue
            try:
                answer = client.assignment(self._generation, poll_s)
                if not self._goes_on_with(config):
                    return
                if answer is not None:
                    self._take(*answer)
                if answer is None or answer[0] == self._generation:
                    self._confirm()
            except SchedulerUnreachable as error:
                log.debug("the scheduler is away", reason=str(error))
                self._ended.wait(_RETRY_S)
            except (OSError, KeyError, TypeError, ValueError) as error:
                log.error("the assignment cannot be taken", reason=str(error) or type(error).__name__)
                self._ended.wait(_RETRY_S)

    def _goes_on_with(self, config: AgentConfig) -> bool:
        return self._config is config and not self._ended.is_set()

    def _take(self, generation: str, document: dict[str, Any]) -> None:
        """An assignment counts once it is on the disk: a restarted agent goes on with it."""
        if self._mute.is_set():
            return  # it was on its way when the node was cut off, and is asked for again
        assignment = assignment_from_json(document)
        known = self._assignment.system_id
        if known and assignment.system_id != known:
            self._refused = (
                f"the scheduler assigns engine {assignment.system_id or 'none'}, but this node belongs to "
                f"engine {known}: everything stays as it is"
            )
            log.error("assignment refused", reason=self._refused)
            self._ended.wait(_RETRY_S)
            return
        self._refused = ""
        text = json.dumps({"generation": generation, "assignment": dataclasses.asdict(assignment)})
        write_durably(self._folder / _ASSIGNMENT, text + "\n", 0o600)
        with self._lock:
            self._generation, self._assignment = generation, assignment
        log.info("assigned", generation=generation)
        self._wake.set()

    def _confirm(self) -> None:
        """What is to be restarted may wait for this."""
        was_fresh, self._confirmed_s = self._is_fresh, time.monotonic()
        if not was_fresh:
            self._wake.set()

    @property
    def _is_fresh(self) -> bool:
        return time.monotonic() - self._confirmed_s < _FRESH_S

    def _make_so(self, assignment: Assignment) -> str:
        """One step towards the assignment; what went wrong with processes, empty if nothing did."""
        self._drill.ensure(assignment.drill_writer, self._faults.filling)
        self._engine.become(assignment)  # before volumes ask where they are
        self._volumes.ensure(assignment.volumes, discard=assignment.discard)
        if not self._is_fresh:  # a restart may be over by now: nobody waits for us any more
            assignment = dataclasses.replace(assignment, managers_since=0, servers_since=0)
        try:
            if assignment.stop:
                changed = [] if self._volumes.seen() else self._engine.stop()
            else:
                # What a drill has killed stays down as long as the drill says.
                changed = self._engine.ensure(assignment, self._faults.held_down)
        except (ArtesianError, OSError) as error:
            return " ".join(str(error).split())
        if changed:
            log.info("processes changed", names=changed)
        return ""

    # --- reporting

    def _report(self, generation: str, assignment: Assignment, problem: str) -> AgentReport:
        processes, attachments = self._engine.processes(), self._volumes.seen()
        disks, unknown = self._look_at_disks()
        problems = [one for one in (problem, self._refused, unknown) if one]
        return AgentReport(
            node=self._config.node,
            generation=generation,
            system_id=assignment.system_id,
            disks=disks,
            processes=processes,
            attachments=attachments,
            problems=(*problems, *self._plugin.problems(), *self._volumes.problems()),
            certificate=self._engine.certificate() if assignment.is_gateway else None,
            faults=self._faults.seen(),
            drill_writer=self._drill.seen(),
        )

    def _look_at_disks(self) -> tuple[tuple[Disk, ...], str]:
        """The disks, and why they are not known, empty if they are."""
        looked_at, disks, unknown = self._seen_disks
        now = time.monotonic()
        if now - looked_at >= _DISKS_S:
            try:
                disks, unknown = recognised(self._disks.find(), self._assignment.system_id), ""
            except DisksUnknown as error:
                disks, unknown = (), str(error)
            self._seen_disks = (now, disks, unknown)
        return disks, unknown

    def _send(self, report: AgentReport, sent: tuple[float, dict[str, Any]]) -> tuple[float, dict[str, Any]]:
        """Send a report that says something new, or is a sign of life; when, and what, was sent last."""
        at, last = sent
        document = dataclasses.asdict(report)
        if document == last and time.monotonic() - at < _HEARTBEAT_S:
            return sent
        try:
            self._reporting.report(document)
        except SchedulerUnreachable as error:
            log.debug("the scheduler is away", reason=str(error))
            return sent
        self._told_of_volumes = bool(report.attachments)
        return time.monotonic(), document


def _disks_of(folder: Path, config: AgentConfig) -> FolderDisks | SystemDisks:
    if config.dev is None:
        return SystemDisks()
    return FolderDisks(Path(config.dev), links=folder / "engine" / "disks")
