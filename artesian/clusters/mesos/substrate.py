"""A Mesos cluster as a substrate: its agents are our nodes, and our agent is its executor."""

from __future__ import annotations

import platform
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from artesian.clusters.agent_config import agent_config
from artesian.clusters.mesos import settled
from artesian.clusters.mesos.agents import AgentSeen, agents_of, same_name
from artesian.clusters.mesos.comeback import Comeback
from artesian.clusters.mesos.desk import Desk
from artesian.clusters.mesos.framework import MesosFramework
from artesian.clusters.mesos.infos import AgentProgram, framework_info
from artesian.clusters.mesos.maintenance import Machine, machines_to_leave
from artesian.clusters.mesos.matching import NodeWant, Status
from artesian.clusters.mesos.offers import Reserver
from artesian.clusters.mesos.recent import Recent
from artesian.clusters.mesos.records import NodeRecord, records_of
from artesian.clusters.mesos.settings import FOLDER_ATTRIBUTE, MesosSettings, folder_of, folder_problem
from artesian.clusters.mesos.tasks import TaskRecord, task_document_of, task_key, task_records_of
from artesian.clusters.port import (
    AgentCredentials,
    SubstrateMemory,
    SubstrateNode,
    SubstrateUnusable,
    TaskSeen,
    TaskState,
    TaskWanted,
)
from artesian.mesos.errors import FrameworkRemoved, MesosError, NotAllowed
from artesian.mesos.operator import Operator
from artesian.model.errors import NotThere
from artesian.model.mesos_agent import AGENT_ROLE
from artesian.model.resources import Resources
from artesian.model.standing import NodeStanding

DISKS_ATTRIBUTE = "artesian-disks"  # a folder of files that stand for disks, instead of the machine's own
_FRAMEWORK, _LABEL = "framework", "label"
_AGENT_ALONE = Resources(0.1, 96 << 20)
_LOOK_AGAIN_S = 0.5
_LEAVING_S = 30.0
_POLL_S = 0.1
_STATES = {
    "TASK_STAGING": TaskState.STARTING,
    "TASK_STARTING": TaskState.STARTING,
    "TASK_RUNNING": TaskState.RUNNING,
    "TASK_KILLING": TaskState.RUNNING,
    "TASK_UNREACHABLE": TaskState.UNREACHABLE,
    "TASK_FINISHED": TaskState.ENDED,
    "TASK_KILLED": TaskState.KILLED,
}


class MesosCluster:
    """Begins to subscribe when it is first asked something. Raises SubstrateUnusable throughout.

    `scheduler_url` is where agents find us, `agent_sha256` names what they fetch from there.
    """

    def __init__(
        self,
        settings: MesosSettings,
        memory: SubstrateMemory,
        scheduler_url: str,
        agent_sha256: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._memory = memory
        self._url = scheduler_url
        self._agent_sha256 = agent_sha256
        self._clock = clock
        self._operator = Operator(settings.access())
        self._lock = threading.RLock()
        self._framework: MesosFramework | None = None
        self._desk: Desk | None = None
        self._listeners: list[Callable[[], None]] = []
        self._comeback = Comeback()
        self._has_left = False  # the framework was ended, and none is wanted until an agent is
        self._nodes = Recent(self._look_at_nodes, _LOOK_AGAIN_S, clock)
        self._agents = Recent(self._ask_for_agents, _LOOK_AGAIN_S, clock)
        self._windows = Recent(self._ask_for_windows, _LOOK_AGAIN_S, clock)

    def listen(self, listener: Callable[[], None]) -> None:
        """Be called, in a thread of ours, whenever Mesos has said something new."""
        self._listeners.append(listener)

    def close(self) -> None:
        """End our threads. Everything goes on in Mesos until the fail-over timeout is over."""
        with self._lock:
            framework, self._framework, self._desk = self._framework, None, None
        if framework is not None:
            framework.stop()
        self._operator.close()

    def leave(self) -> list[str]:
        """End all agents, give back what is kept for them, and the framework; what was done.

        What agents have started goes on.
        """
        desk, framework = self._begun()
        _refuse_failed(framework)
        done = []
        for node in sorted(desk.records):
            if desk.stop(node):
                done.append(f"ended the agent of {node}")
        framework.poke()
        self._wait_until_left(desk, framework)
        role = desk.reserver.role
        done += [
            f"could not give back what is kept for role {role} on {node}, which is away: "
            "an `up` of this cluster finds it there once the node is back"
            for node in self._who_keeps(desk.reserver, away=True)
        ]
        with self._lock:
            self._has_left = True  # first: whoever looks meanwhile begins no other framework
        try:
            framework.tear_down()
        except SubstrateUnusable:
            self._has_left = False
            raise
        self._forget()
        return [*done, f"ended framework {desk.reserver.framework_id} in Mesos"]

    def _wait_until_left(self, desk: Desk, framework: MesosFramework) -> None:
        """Until no agent runs and nothing is kept for us. Those that are away Mesos ends when they return."""
        deadline = self._clock() + _LEAVING_S
        while True:
            running = [node for node in sorted(desk.records) if desk.runs_here(node)]
            kept = self._who_keeps(desk.reserver)
            if not (running or kept):
                return
            _refuse_failed(framework)
            if self._clock() > deadline:
                what = "run its agent" if running else "keep resources for role " + desk.reserver.role
                raise SubstrateUnusable(f"{', '.join(running or kept)} still {what}")
            time.sleep(_POLL_S)

    def _who_keeps(self, reserver: Reserver, *, away: bool = False) -> list[str]:
        """The agents on which something is reserved for us: those that are here, or those that are not."""
        try:
            answers = [one for one in self._operator.agents() if one.get("active", True) is not away]
        except MesosError as error:
            raise SubstrateUnusable(str(error)) from None
        return [
            str(one["agent_info"]["hostname"])
            for one in answers
            if any(reserver.holds(resource) for resource in one.get("total_resources", ()))
        ]

    # --- nodes

    def nodes(self) -> tuple[SubstrateNode, ...]:
        """Every agent of Mesos, and those that we have used and that are away."""
        found = self._nodes.anew()
        return tuple(found[name] for name in sorted(found))

    def _look_at_nodes(self) -> Mapping[str, SubstrateNode]:
        begun = self._begun_unless_left()
        agents = sorted(self._agents.get(), key=_counts)  # of two of a name the last one does
        if begun is None:
            return {one.node: _node(one, "") for one in agents}
        desk, framework = begun
        twice = same_name(agents)
        records = desk.records
        found = {one.node: _node(one, desk.shortage(one.node)) for one in agents}
        for name in twice:
            problem = f"several agents of Mesos call themselves {name}; give each a --hostname of its own"
            found[name] = replace(found[name], problem=problem)
        for name, one in found.items():
            folder = one.attributes.get(FOLDER_ATTRIBUTE)
            if folder is not None and (problem := folder_problem(folder)):
                found[name] = replace(one, problem=f"attribute {FOLDER_ATTRIBUTE} of {name}: {problem}")
        for record in records.values():
            if record.node not in found:
                found[record.node] = _away(record)
        self._note_drained(desk, framework, agents, found)
        _refuse_failed(framework)
        return found

    def hear(self, standings: Mapping[str, NodeStanding]) -> None:
        """Which agents report, so that the next may be renewed; and which nodes may go."""
        begun = self._begun_unless_left()
        if begun is not None:
            begun[0].outlook.hear(standings)

    def _note_drained(
        self,
        desk: Desk,
        framework: MesosFramework,
        agents: Sequence[AgentSeen],
        found: dict[str, SubstrateNode],
    ) -> None:
        """Nodes that Mesos' operators want empty: drained ones, on which nothing is begun, and those whose
        maintenance is near, on which our agent is needed until it is there."""
        drained = {one.node for one in agents if one.leaving}
        if desk.outlook.are_drained(drained):
            framework.poke()
        machines = self._machines_to_leave()
        for name, one in found.items():
            if any(machine.is_meant(name, one.address) for machine in machines):
                found[name] = replace(one, leaving=True)
            elif name in drained and not (one.problem or desk.runs(name)):
                found[name] = replace(one, problem=f"Mesos wants node {name} empty, and begins nothing there")

    def _machines_to_leave(self) -> tuple[Machine, ...]:
        try:
            return machines_to_leave(self._windows.get(), time.time())
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SubstrateUnusable(f"Mesos' schedule is what nobody understands: {error!r}") from None

    def _ask_for_windows(self) -> tuple[Mapping[str, Any], ...]:
        try:
            return tuple(self._operator.maintenance_windows())
        except NotAllowed:
            return ()  # then we hear of it when Mesos drains the node, or ends what runs there
        except MesosError as error:
            raise SubstrateUnusable(str(error)) from None

    def _ask_for_agents(self) -> tuple[AgentSeen, ...]:
        try:
            return agents_of(self._operator.agents(), self._settings.role)
        except MesosError as error:
            raise SubstrateUnusable(str(error)) from None
        except (KeyError, TypeError, ValueError) as error:
            raise SubstrateUnusable(f"Mesos says of its agents what nobody understands: {error!r}") from None

    def ensure_agent(
        self,
        node: str,
        credentials: AgentCredentials,
        roles: Mapping[str, Resources] = MappingProxyType({}),
    ) -> bool:
        """Have a node's agent run with these credentials, as soon as there is room for it and its roles."""
        self._has_left = False
        desk, framework = self._begun()
        _refuse_failed(framework)
        found = self._nodes.get().get(node)  # whoever asks does so for every node of a pass
        if found is None:
            raise NotThere(f"Mesos has no agent that calls itself {node}")
        if found.gone or found.unreachable or folder_problem(self._folder_of(found)):
            return False
        wanted = MappingProxyType(dict(roles) or {AGENT_ROLE: _AGENT_ALONE})
        if not desk.want(node, NodeWant(wanted, self._config(found, credentials))):
            return False
        framework.poke()
        return True

    def stop_agent(self, node: str) -> bool:
        """End a node's agent; what it started goes on. Whether it ran."""
        begun = self._begun_unless_left()
        if begun is None:
            return False
        desk, framework = begun
        ran = desk.stop(node)
        framework.poke()
        return ran

    def _folder_of(self, node: SubstrateNode) -> str:
        return folder_of(node.attributes, self._settings.node_folder)

    def _config(self, node: SubstrateNode, credentials: AgentCredentials) -> Mapping[str, Any]:
        config = agent_config(node.name, node.address, credentials, node.attributes.get(DISKS_ATTRIBUTE))
        return MappingProxyType({**config, "folder": self._folder_of(node)})

    # --- ordinary tasks

    def launch_task(self, task: TaskWanted) -> None:
        """Have it run on its node, as soon as there is room; nothing if there is one of this id."""
        self._has_left = False
        desk, framework = self._begun()
        if task.id not in {one.id for one, _ in desk.tasks()}:
            self._memory.save(dict([task_document_of(TaskRecord(task))]))
        if desk.want_task(task):
            framework.poke()

    def tasks(self) -> tuple[TaskSeen, ...]:
        """Every task that was launched and not yet forgotten."""
        begun = self._begun_unless_left()
        return (
            tuple(_task_seen(task, status) for task, status in begun[0].tasks()) if begun is not None else ()
        )

    def kill_task(self, task: str) -> None:
        """End it, and forget it once it has ended."""
        begun = self._begun_unless_left()
        if begun is None:
            return
        desk, framework = begun
        if desk.unwant_task(task):
            framework.poke()
        else:
            self._memory.save({task_key(task): None})

    # --- the framework

    def _begun_unless_left(self) -> tuple[Desk, MesosFramework] | None:
        """None once the framework was ended, until something is to run again."""
        with self._lock:
            return None if self._has_left else self._begun()

    def _begun(self) -> tuple[Desk, MesosFramework]:
        """The framework, subscribed or about to be; a new one if Mesos has removed ours, and the same again
        some time after anything else has ended it."""
        with self._lock:
            failure = self._framework.failure if self._framework is not None else None
            if isinstance(failure, FrameworkRemoved):
                self._forget((_LABEL, settled.ROLE, settled.FOLDER))
            elif failure is not None and self._comeback.is_due(self._clock()):
                self._framework = None
            if self._framework is None or self._desk is None:
                self._begin()
            assert self._framework is not None and self._desk is not None
            return self._desk, self._framework

    def _begin(self) -> None:
        """Raises NotLeading: another scheduler's framework is not to be thrown out."""
        self._memory.confirm()
        documents = self._memory.load()
        # The label names everything that is kept for us, whichever framework of ours has asked for it.
        role, folder = self._settings.role, self._settings.node_folder
        new = {_FRAMEWORK: f"artesian-{uuid.uuid4()}", _LABEL: str(uuid.uuid4())}
        new |= {settled.ROLE: role, settled.FOLDER: folder}
        settled.check(documents, role, folder)
        if missing := {key: text for key, text in new.items() if key not in documents}:
            self._memory.save(missing)  # before Mesos knows them
        framework_id, label = ({**new, **documents}[key] for key in (_FRAMEWORK, _LABEL))
        reserver = Reserver(framework_id, role, label, self._settings.principal)
        self._desk = Desk(reserver, self._program(), records_of(documents), task_records_of(documents))
        info = framework_info(framework_id, self._settings, self._url)
        self._framework = MesosFramework(self._settings.access(), info, self._desk, self._memory, self._tell)
        self._framework.start()
        self._comeback.begun(self._clock())

    def _forget(self, but: tuple[str, ...] = (_LABEL,)) -> None:
        """The framework is none any more; agents that run for it have been ended by Mesos."""
        with self._lock:
            framework, self._framework, self._desk = self._framework, None, None
        if framework is not None:
            framework.stop()
        self._memory.save({key: None for key in self._memory.load() if key not in but})

    def _program(self) -> AgentProgram:
        return AgentProgram(
            f"{self._url}/v1/agent",
            self._agent_sha256(),
            ".".join(platform.python_version_tuple()[:2]),
            self._settings.node_python or str(Path(sys.executable).resolve()),
            self._settings.node_folder,
            self._settings.user,
        )

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()


def _refuse_failed(framework: MesosFramework) -> None:
    if framework.failure is not None:
        raise SubstrateUnusable(str(framework.failure))


def _counts(agent: AgentSeen) -> bool:
    return agent.active or agent.leaving


def _node(agent: AgentSeen, shortage: str) -> SubstrateNode:
    return SubstrateNode(
        agent.node,
        agent.address,
        agent.attributes,
        cpus=agent.free.cpus,
        memory_bytes=agent.free.memory_bytes,
        unreachable=not _counts(agent),
        leaving=agent.leaving,
        problem=shortage,
    )


def _away(record: NodeRecord) -> SubstrateNode:
    return SubstrateNode(
        record.node, record.address, record.attributes, gone=record.gone, unreachable=not record.gone
    )


def _task_seen(task: TaskWanted, status: Status | None) -> TaskSeen:
    if status is None:
        return TaskSeen(task.id, task.node, TaskState.STARTING, "it waits for room on its node")
    return TaskSeen(task.id, task.node, _STATES.get(status.state, TaskState.FAILED), status.because)
