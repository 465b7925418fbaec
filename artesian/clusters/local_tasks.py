"""Ordinary programs on nodes of one machine: processes of a node's folder, which outlive whoever began them.

DIR/nodes/NAME/tasks/ID/task.json   what is to run
DIR/nodes/NAME/tasks/ID/task.pid    who it is, once it was begun; it holds task.lock while it lives
DIR/nodes/NAME/tasks/ID/ended       its exit code, once it has ended
DIR/nodes/NAME/tasks/ID/killing     since when it is to end
DIR/nodes/NAME/tasks/ID/log         what it has said
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from artesian.clusters.port import SubstrateUnusable, TaskSeen, TaskState, TaskWanted
from artesian.clusters.task_documents import task_document, task_of
from artesian.host import processes
from artesian.host.files import locked, try_lock, write_durably
from artesian.host.processes import ProcessIdentity
from artesian.host.single import Single
from artesian.model.resources import Resources

KINDLY_S = 5.0  # how long a task may take to end by itself
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")
# Whoever is asked to end is the program; who waits for it writes down how it ended.
_WAITING = (
    'trap : TERM; ended=$1; shift; "$@"; code=$?; echo $code > "$ended.new" && mv "$ended.new" "$ended"'
)


class LocalTasks:
    """`nodes` is the folder of all nodes; `can_run` says whether a node is on, and what it has."""

    def __init__(self, nodes: Path, can_run: Callable[[str], Resources | None]) -> None:
        self._nodes = nodes
        self._can_run = can_run

    def launch(self, task: TaskWanted) -> None:
        """Have it run; nothing if there is one of this id."""
        if _NAME.fullmatch(task.id) is None or set(task.id) == {"."}:
            raise SubstrateUnusable(f"{task.id!r} is no name for a task: letters, digits, dots and dashes")
        with self._changing():
            if any(path.name == task.id for path in self._folders()):
                return
            folder = self._nodes / task.node / "tasks" / task.id
            folder.mkdir(parents=True, exist_ok=True)
            write_durably(folder / "task.json", json.dumps(task_document(task)) + "\n", 0o600)
            self._begin(folder)

    def seen(self) -> tuple[TaskSeen, ...]:
        """Every task that was launched and not yet forgotten. What could not begin before begins now."""
        with self._changing():
            found = []
            for folder in self._folders():
                self._begin(folder)
                self._end_by_force(folder)
                state, because = self._state(folder)
                if (folder / "killing").exists() and state not in (TaskState.RUNNING, TaskState.STARTING):
                    shutil.rmtree(folder)
                    continue
                found.append(TaskSeen(folder.name, folder.parents[1].name, state, because))
            return tuple(sorted(found, key=lambda one: one.id))

    def kill(self, task_id: str) -> None:
        """End it, and forget it."""
        with self._changing():
            for folder in self._folders():
                if folder.name != task_id:
                    continue
                self._end_by_force(folder)
                identity = _who(folder)
                if identity is None:
                    shutil.rmtree(folder)
                elif not (folder / "killing").exists():
                    write_durably(folder / "killing", f"{time.time()}\n", 0o600)
                    _send(identity, signal.SIGTERM)

    def switch_off(self, node: str) -> int:
        """As if a node's power went; how many there were."""
        found = [one for folder in self._folders(node) if (one := _who(folder)) is not None]
        for identity in found:
            _send(identity, signal.SIGKILL)
        processes.wait_until_ended(found, 10.0)
        return len(found)

    def running(self, node: str) -> list[str]:
        """The ids of those that run on a node."""
        return [folder.name for folder in self._folders(node) if _who(folder) is not None]

    # --- one task

    def _begin(self, folder: Path) -> None:
        """Start it, if it was not begun and there is room: it holds the lock from its first moment."""
        if (folder / "task.pid").exists() or (folder / "ended").exists():
            return
        task, room = _read(folder), self._can_run(folder.parents[1].name)
        lock = try_lock(folder / "task.lock")
        if lock is None:
            return
        try:
            if room is None or not task.resources.fits_in(room):
                return
            with (folder / "log").open("ab") as log:
                process = subprocess.Popen(
                    ["/bin/sh", "-c", _WAITING, "task", str(folder / "ended"), *task.command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd=folder,
                    env={"PATH": os.defpath, **task.environment},
                    pass_fds=[lock],
                )
            with contextlib.suppress(ProcessLookupError):  # it has ended at once
                Single(folder, "task").name_it(process.pid)
        finally:
            os.close(lock)

    def _state(self, folder: Path) -> tuple[TaskState, str]:
        if (identity := _who(folder)) is not None:
            return TaskState.RUNNING, f"process {identity.process_id}"
        killed = (folder / "killing").exists()
        if (folder / "ended").exists():
            code = int((folder / "ended").read_text() or 1)
            if killed:
                return TaskState.KILLED, "it was asked to end"
            said = f"exit code {code}"
            return (TaskState.ENDED, "") if code == 0 else (TaskState.FAILED, said)
        if not (folder / "task.pid").exists():
            return TaskState.STARTING, "it waits for room on its node"
        return (TaskState.KILLED, "") if killed else (TaskState.FAILED, "it was killed")

    def _end_by_force(self, folder: Path) -> None:
        try:
            since_s = float((folder / "killing").read_text())
        except (OSError, ValueError):
            return
        if time.time() - since_s > KINDLY_S and (identity := _who(folder)) is not None:
            _send(identity, signal.SIGKILL)
            processes.wait_until_ended([identity], 1.0)

    # --- files

    def _folders(self, node: str = "*") -> list[Path]:
        return sorted(path.parent for path in self._nodes.glob(f"{node}/tasks/*/task.json"))

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            with locked(self._nodes.parent / "tasks.lock"):
                yield
        except OSError as error:
            raise SubstrateUnusable(f"{error.filename or self._nodes}: {error.strerror or error}") from None


def _who(folder: Path) -> ProcessIdentity | None:
    """The process that waits for the program; a child of ours that has ended is taken leave of."""
    identity = processes.running(folder / "task.pid")
    if identity is None and (named := processes.read_pid_file(folder / "task.pid")) is not None:
        processes.reap([named])
    return identity


def _send(identity: ProcessIdentity, number: signal.Signals) -> None:
    """To the program and all that it has started."""
    if identity.is_alive:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(identity.process_id, number)


def _read(folder: Path) -> TaskWanted:
    try:
        return task_of(json.loads((folder / "task.json").read_bytes()))
    except (ValueError, TypeError, KeyError) as error:
        raise SubstrateUnusable(f"{folder / 'task.json'} cannot be read: {error!r}") from None
