"""Nodes on one machine: a folder and a loopback address for each, processes for agents.

DIR/cluster.json              the network of the addresses
DIR/nodes/NAME/node.json      the node's address and when it was made
DIR/nodes/NAME/dev/           its disks: files that stand for block devices
DIR/nodes/NAME/attributes/    one file for each attribute
DIR/nodes/NAME/off            it is switched off, if this is there
DIR/nodes/NAME/tasks/         ordinary programs that run on it
DIR/nodes/NAME/agent/         what its agent keeps: assignment, logs, engine processes, attachments
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from artesian.attach import attaching
from artesian.attach.errors import AttachError
from artesian.clusters.agent_config import agent_config
from artesian.clusters.local_tasks import LocalTasks
from artesian.clusters.node_files import (
    check_attribute,
    check_size,
    make_another_disk,
    make_disks,
    read_attributes,
    read_json,
    write_attributes,
)
from artesian.clusters.port import (
    AgentCredentials,
    NodeRefused,
    SubstrateNode,
    SubstrateUnusable,
    TaskSeen,
    TaskState,
    TaskWanted,
)
from artesian.embedded.errors import EngineError
from artesian.embedded.local.addresses import network_for
from artesian.engines.embedded_names import CONTROL_PORT, RAFT_PORT
from artesian.host import processes
from artesian.host.files import locked, write_durably
from artesian.host.processes import ProcessIdentity
from artesian.host.single import Single
from artesian.model.errors import NotPossible
from artesian.model.resources import Resources

MAX_NODES = 200
DEFAULT_DISK_BYTES = 2 << 30
SCHEDULER_HOST = 253  # the last number of its address
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")
_MAX_FOLDER_BYTES = 60  # sockets are made below it, and the kernel limits their paths
_STOP_TIMEOUT_S = 20.0
_JUST_STARTED_S = 0.1  # a process that was just starting has written down by then who it is
_NAMED_TIMEOUT_S = 5.0  # within which an agent that was started says who it is


class LocalCluster:
    """The cluster in one folder. Raises SubstrateUnusable for what cannot be read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._credentials: dict[str, AgentCredentials] = {}  # with which agents are known to run
        self._tasks = LocalTasks(self.folder / "nodes", self._can_run)

    @property
    def exists(self) -> bool:
        """Whether there is a cluster in the folder."""
        return (self.folder / "cluster.json").exists()

    @property
    def scheduler_address(self) -> str:
        """Where the scheduler listens."""
        return f"{self._description()['network']}.{SCHEDULER_HOST}"

    # --- the machines themselves

    def create(self) -> bool:
        """Make an empty cluster; False if there is one. Raises NotPossible."""
        if self.exists:
            return False
        if len(str(self.folder).encode()) > _MAX_FOLDER_BYTES:
            raise NotPossible(
                f"{self.folder}: sockets are made in this folder, so its path has at most "
                f"{_MAX_FOLDER_BYTES} bytes"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with locked(self.folder):  # of several at once, one makes it
                if self.exists:
                    return False
                if any(self.folder.iterdir()):
                    raise NotPossible(f"{self.folder} is not empty, and there is no cluster in it")
                (self.folder / "nodes").mkdir()
                network = network_for(self.folder, [CONTROL_PORT, RAFT_PORT])
                text = json.dumps({"network": network}) + "\n"
                write_durably(self.folder / "cluster.json", text, 0o644)
        except OSError as error:
            raise NotPossible(f"{self.folder}: {error.strerror}") from None
        except EngineError as error:
            raise NotPossible(str(error)) from None
        return True

    def add_node(
        self,
        name: str,
        disks: Sequence[tuple[str | None, int]] = (),
        attributes: Mapping[str, str] = MappingProxyType({}),
    ) -> bool:
        """A bare machine with raw disks, each a name or None for the next free one, and a size in bytes.

        Nothing and False if it is there. It is there as a whole or not at all. Raises NotPossible.
        """
        if _NAME.fullmatch(name) is None:
            raise NotPossible(f"{name!r} is no name for a node: letters, digits and dashes, at most 30")
        for _, size_bytes in disks:
            check_size(size_bytes)
        for key in attributes:
            check_attribute(key)
        with self._changing():
            folder = self.folder / "nodes" / name
            if (folder / "node.json").exists():
                return False
            used = {int(str(self._read(other)["address"]).rpartition(".")[2]) for other in self._names()}
            host = next((one for one in range(1, MAX_NODES + 1) if one not in used), None)
            if host is None:
                raise NotPossible(f"a local cluster has at most {MAX_NODES} nodes")
            (folder / "dev").mkdir(parents=True, exist_ok=True)
            (folder / "attributes").mkdir(exist_ok=True)
            write_attributes(folder / "attributes", attributes)
            make_disks(folder / "dev", disks)
            address = f"{self._description()['network']}.{host}"
            write_durably(folder / "node.json", json.dumps({"address": address}) + "\n", 0o644)
        return True

    def make_node(self, name: str, disk_bytes: Sequence[int]) -> None:
        """Another machine with raw disks, unless there is one of this name."""
        try:
            self.add_node(name, [(None, size_bytes) for size_bytes in disk_bytes])
        except NotPossible as error:
            raise NodeRefused(str(error)) from None
        except OSError as error:
            raise SubstrateUnusable(f"{self.folder}: {error.strerror or error}") from None

    def add_disk(self, name: str, size_bytes: int, disk: str | None = None) -> Path:
        """A new raw disk in a node: a sparse file. Raises NotPossible."""
        self._node_folder(name)
        check_size(size_bytes)
        path = make_another_disk(self.dev(name), size_bytes, disk)
        if path is None:
            raise NotPossible(f"node {name} has a disk named {disk or 'like all others'} already")
        return path

    def dev(self, name: str) -> Path:
        """The folder that stands for a node's /dev."""
        return self.folder / "nodes" / name / "dev"

    def agent_folder(self, name: str) -> Path:
        """What a node's agent keeps."""
        return self.folder / "nodes" / name / "agent"

    def set_attributes(self, name: str, attributes: dict[str, str]) -> None:
        """Give a node attributes: one file for each."""
        folder = self._node_folder(name) / "attributes"
        for key in attributes:
            check_attribute(key)
        write_attributes(folder, attributes)

    def switch_off(self, name: str) -> int:
        """As if its power went: everything that runs on it is killed; the number of processes."""
        folder = self._node_folder(name)
        (folder / "off").touch()  # an agent that comes to life from here on ends at once
        killed = self._end_agent(name, _kill_group)  # first, as it would start the others again
        killed += self._kill(self._engine_pid_files(name))
        time.sleep(_JUST_STARTED_S)
        killed += self._kill(self._engine_pid_files(name))
        killed += self._kill(sorted(self.agent_folder(name).glob("drills/*/*.pid")))
        killed += self._tasks.switch_off(name)
        for attachment in sorted((self.agent_folder(name) / "volumes").glob("*")):
            with contextlib.suppress(AttachError):
                attaching.detach(attachment, force=True)  # a machine without power has no mounts
        return killed

    def _kill(self, pid_files: list[Path]) -> int:
        found = [processes.running(pid_file) for pid_file in pid_files]
        return sum(_kill(identity) for identity in found if identity is not None)

    def switch_on(self, name: str) -> bool:
        """Let a node run again; whether it was off."""
        off = self._node_folder(name) / "off"
        was_off = off.exists()
        off.unlink(missing_ok=True)
        return was_off

    # --- what the scheduler asks

    def nodes(self) -> tuple[SubstrateNode, ...]:
        """Every node."""
        machine = _this_machine()
        found = []
        for name in self._names():
            folder = self.folder / "nodes" / name
            found.append(
                SubstrateNode(
                    name,
                    str(self._read(name)["address"]),
                    MappingProxyType(read_attributes(folder / "attributes")),
                    gone=(folder / "off").exists(),
                    cpus=machine.cpus,
                    memory_bytes=machine.memory_bytes,
                )
            )
        return tuple(found)

    def ensure_agent(
        self, node: str, credentials: AgentCredentials, roles: Mapping[str, Resources] = MappingProxyType({})
    ) -> bool:
        """Start a node's agent as a process of its own, anew if it has other credentials; whether it was.

        Nobody else uses these nodes, so nothing has to be kept free for its roles.
        """
        identity = processes.running(self._agent_pid_file(node))
        if identity is not None and self._credentials.get(node) == credentials:
            return False
        if (self._node_folder(node) / "off").exists():
            return False
        folder = self.agent_folder(node)
        folder.mkdir(mode=0o700, exist_ok=True)
        document = agent_config(node, self._read(node)["address"], credentials, str(self.dev(node)))
        config, text = folder / "config.json", json.dumps(document) + "\n"
        agent = Single(folder, "agent")
        found = agent.lock_or_find(_NAMED_TIMEOUT_S)
        if found is None:
            return False  # somebody has started one that is slow to say who it is
        if isinstance(found, ProcessIdentity):
            if config.exists() and config.read_text() == text:
                self._credentials[node] = credentials
                return False
            lock, _ = self._lock_out_agent(node, _stop)
        else:
            lock = found
        try:
            write_durably(config, text, 0o600)
            _start_agent(agent, folder, lock)
        finally:
            os.close(lock)
        self._credentials[node] = credentials
        return True

    def check_nothing_runs(self) -> None:
        """Raises NotPossible, naming a process, while anything of the cluster is alive."""
        for name in self._names():
            if Single(self.agent_folder(name), "agent").is_under_way():
                raise NotPossible(f"agent still runs on node {name}")
            for pid_file in self._engine_pid_files(name):
                if processes.running(pid_file) is not None:
                    raise NotPossible(f"{pid_file.stem} still runs on node {name}")
            for task in self._tasks.running(name):
                raise NotPossible(f"task {task} still runs on node {name}")
            if any((self.agent_folder(name) / "volumes").glob("*/attachment.json")):
                raise NotPossible(f"a volume is still attached on node {name}")

    def stop_agent(self, node: str) -> bool:
        """End a node's agent; what it started goes on."""
        return self._end_agent(node, _stop) > 0

    def listen(self, _listener: Callable[[], None]) -> None:
        """Nothing happens to machines in a folder without us."""

    def leave(self) -> list[str]:
        """End all agents and tasks; what was done."""
        ended = [one.id for one in self.tasks() if one.state is TaskState.RUNNING]
        for task in ended:
            self.kill_task(task)
        done = [f"stopped the agent of {name}" for name in self._names() if self.stop_agent(name)]
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while any(one.id in ended for one in self.tasks()) and time.monotonic() < deadline:
            time.sleep(_JUST_STARTED_S)
        return [*done, *(f"ended task {task}" for task in ended)]

    def launch_task(self, task: TaskWanted) -> None:
        """Have a program run on a node, as a process of its own."""
        self._tasks.launch(task)

    def tasks(self) -> tuple[TaskSeen, ...]:
        """Every program that was launched and not yet forgotten."""
        return self._tasks.seen()

    def kill_task(self, task: str) -> None:
        """End a program, and forget it."""
        self._tasks.kill(task)

    def close(self) -> None:
        """There is nothing to let go of."""

    def kill_agent(self, node: str) -> bool:
        """End a node's agent as a crash does; whether it ran."""
        return self._kill([self._agent_pid_file(node)]) > 0

    def _end_agent(self, name: str, how: Callable[[ProcessIdentity], object]) -> int:
        """End a node's agent, also one that is just starting and not named yet; how many there were."""
        if not self.agent_folder(name).exists():
            return 0  # none was ever started
        lock, ended = self._lock_out_agent(name, how)
        os.close(lock)
        return ended

    def _lock_out_agent(self, name: str, how: Callable[[ProcessIdentity], object]) -> tuple[int, int]:
        """End a node's agent; a descriptor, until whose end there is no other, and how many there were."""
        try:
            return Single(self.agent_folder(name), "agent").end(how, _STOP_TIMEOUT_S)
        except TimeoutError as error:
            raise SubstrateUnusable(f"the agent of node {name} cannot be ended: {error}") from None

    def _can_run(self, name: str) -> Resources | None:
        """What a node has; None while it is off."""
        folder = self.folder / "nodes" / name
        return _this_machine() if (folder / "node.json").exists() and not (folder / "off").exists() else None

    # --- files

    def _agent_pid_file(self, name: str) -> Path:
        return self.folder / f"nodes/{name}/agent/agent.pid"

    def _engine_pid_files(self, name: str) -> list[Path]:
        engine = self.agent_folder(name) / "engine"
        return sorted([*(engine / "run").glob("*.pid"), *(engine / "ceph" / "run").glob("*.pid")])

    def _names(self) -> list[str]:
        return sorted(path.parent.name for path in (self.folder / "nodes").glob("*/node.json"))

    def _node_folder(self, name: str) -> Path:
        folder = self.folder / "nodes" / name
        if not (folder / "node.json").exists():
            known = ", ".join(self._names()) or "none"
            raise NotPossible(f"there is no node {name}; there are {known}")
        return folder

    def _read(self, name: str) -> dict[str, Any]:
        return read_json(self.folder / f"nodes/{name}/node.json")

    def _description(self) -> dict[str, Any]:
        return read_json(self.folder / "cluster.json")

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        with locked(self.folder / "lock"):
            yield


def _this_machine() -> Resources:
    return Resources(float(os.cpu_count() or 1), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _start_agent(agent: Single, folder: Path, lock: int) -> None:
    """It holds the lock from its first moment: no other is started, whenever we are killed."""
    with (folder / "agent.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "artesian.agent", str(folder), str(lock)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            pass_fds=[lock],
        )
    with contextlib.suppress(ProcessLookupError):  # it has ended at once, and its log says why
        agent.name_it(process.pid)  # so does the agent, once it has been loaded


def _kill(identity: ProcessIdentity) -> bool:
    """As a crash does; whether it was alive."""
    sent = processes.send(identity, signal.SIGKILL)
    processes.wait_until_ended([identity], 10.0)
    return sent


def _kill_group(identity: ProcessIdentity) -> bool:
    """An agent with whatever it is just starting."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(identity.process_id) == identity.process_id and identity.is_alive:
            os.killpg(identity.process_id, signal.SIGKILL)
    return _kill(identity)


def _stop(identity: ProcessIdentity) -> None:
    processes.stop([identity], _STOP_TIMEOUT_S)
