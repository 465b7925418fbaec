"""The processes that use a drill's volume on this node: started, adopted after a restart of ours, and ended.

Each drill has a folder of its own; what runs for a drill that is not assigned any more is killed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from artesian.agent.drill_process import Status, read_status
from artesian.host import processes
from artesian.host.processes import ProcessIdentity
from artesian.host.single import Single
from artesian.model.drill import DrillWriter, SeenWriter, WriterMode

_MODES = ("write", "verify", "fill")
_PATH = "path"  # the file that says where the volume was mounted


class DrillWork:
    """Everything is below `folder`. For one thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._assigned: DrillWriter | None = None

    def ensure(self, writer: DrillWriter | None, filling: frozenset[str] = frozenset()) -> None:
        """Make it so. `filling` are the drills whose faults fill a volume now: those are left alone."""
        self._assigned = writer
        for folder in sorted(self._folder.glob("*/")):
            if (writer is None or folder.name != writer.drill) and folder.name not in filling:
                self._clear(folder)
        if writer is None:
            return
        folder = self.folder_of(writer.drill)
        if writer.mode is WriterMode.WRITE:
            if not read_status(folder, "write").error:
                self.start(writer.drill, "write", writer.path)
        elif not self._end(folder, "write"):
            status = read_status(folder, "verify")
            if status.verified is None and not status.error:
                self.start(writer.drill, "verify", writer.path)

    def seen(self) -> SeenWriter | None:
        """How far the process has come that is assigned."""
        if self._assigned is None:
            return None
        folder, mode = self.folder_of(self._assigned.drill), str(self._assigned.mode)
        written, status = read_status(folder, "write"), read_status(folder, mode)
        return SeenWriter(
            self._assigned.drill,
            _running(folder, mode) is not None,
            max(written.acknowledged, status.acknowledged),
            round(max(written.pause_s, status.pause_s), 3),
            status.verified,
            status.error,
        )

    def folder_of(self, drill: str) -> Path:
        """What the processes of a drill keep on the node's own disk."""
        return self._folder / drill

    def filled(self, drill: str) -> Status:
        """How far filling has come."""
        return read_status(self.folder_of(drill), "fill")

    def start(self, drill: str, mode: str, path: str, amount_bytes: int = 0) -> None:
        """Start a process that does not run, once the volume is mounted. Raises OSError."""
        folder = self.folder_of(drill)
        if _running(folder, mode) is not None or not os.path.ismount(path):
            return
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / _PATH).write_text(path)
        single = Single(folder, mode)
        lock = single.lock_or_find(0.0)
        if not isinstance(lock, int):
            return
        try:
            with (folder / "log").open("ab") as log:
                process = subprocess.Popen(
                    [
                        *(sys.executable, "-P", "-m", "artesian.agent.drill_process"),
                        *(mode, str(folder), path, drill, str(amount_bytes)),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd="/",
                    pass_fds=[lock],  # held until its end, whenever we are killed
                )
            with contextlib.suppress(ProcessLookupError):  # it has ended at once, and its status says why
                single.name_it(process.pid)
        finally:
            os.close(lock)

    def end_filling(self, drill: str) -> bool:
        """Kill what fills a volume; whether something is still alive."""
        return self._end(self.folder_of(drill), "fill")

    def _clear(self, folder: Path) -> None:
        alive = [mode for mode in _MODES if self._end(folder, mode)]
        if not alive and _unmounted(folder):
            shutil.rmtree(folder, ignore_errors=True)

    def _end(self, folder: Path, mode: str) -> bool:
        """Kill a process; whether it is still there. What hangs in the kernel is tried again next time."""
        identity = _running(folder, mode)
        if identity is None:
            return False
        processes.send(identity, signal.SIGKILL)
        return bool(processes.wait_until_ended([identity], 0.2))


def _unmounted(folder: Path) -> bool:
    """Whether a drill's volume is gone; then so is the folder at which it was mounted."""
    try:
        os.rmdir((folder / _PATH).read_text())
    except OSError as error:
        return error.errno != errno.EBUSY
    return True


def _running(folder: Path, mode: str) -> ProcessIdentity | None:
    """A process that has ended as a child of ours is taken leave of."""
    identity = processes.read_pid_file(folder / f"{mode}.pid")
    if identity is None or identity.is_alive:
        return identity
    processes.reap([identity])
    return None
