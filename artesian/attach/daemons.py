"""Processes that outlive the command that started them.

A daemon carries a mark in its environment, so that it is found again by anybody, even if whoever started
it died before writing anything down, and never confused with another process that got the same id.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from artesian.attach import tools
from artesian.attach.errors import ToolFailed
from artesian.host.outside import wrapped

MARK = "ARTESIAN_ATTACHMENT"
_POLL_S = 0.01
_found: dict[str, tuple[int, ...]] = {}  # by mark


def start(
    tool: str, arguments: Sequence[str | Path], mark: str, log: Path, folder: Path
) -> subprocess.Popen[bytes]:
    """Start a daemon in its own session and in `folder`, its output appended to `log`. Raises ToolFailed."""
    path = tools.find(tool)
    if path is None:
        raise ToolFailed(f"{tool} is not installed")
    with log.open("ab") as output:
        try:
            return subprocess.Popen(
                wrapped([path, *map(str, arguments)]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=folder,
                env=os.environ | {MARK: mark, "LC_ALL": "C"},
            )
        except OSError as error:
            raise ToolFailed(f"{tool} cannot be started: {error.strerror}") from None


def find(mark: str) -> list[int]:
    """Ids of the living daemons with this mark. Looks at every process of the machine."""
    found = sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit() and _has_mark(entry, mark))
    if not found:
        _found.pop(mark, None)
    return found


def find_again(mark: str) -> list[int]:
    """Ids of the living daemons with this mark, for whoever asks all the time: those that were found before,
    as long as one of them lives. There may be younger ones."""
    known = [process_id for process_id in _found.get(mark, ()) if _has_mark(str(process_id), mark)]
    living = known or find(mark)
    if living:
        _found[mark] = tuple(living)
    return living


def _has_mark(process_id: str, mark: str) -> bool:
    try:
        environment = Path("/proc", process_id, "environ").read_bytes()
    except OSError:  # it has ended, or belongs to somebody else
        return False
    return f"{MARK}={mark}".encode() in environment.split(b"\0")


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], what: str, log: Path, timeout_s: float
) -> None:
    """Wait for a daemon that was just started. Raises ToolFailed, with its last words, if it fails."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if process.poll() is not None:
            raise ToolFailed(f"{what}: {last_words(log, process.returncode)}", process.returncode)
        if time.monotonic() > deadline:
            words = last_words(log, None)
            raise ToolFailed(f"{what} was not ready within {timeout_s:g} s ({words})")
        time.sleep(_POLL_S)


def stop(mark: str, timeout_s: float = 20.0) -> None:
    """End the daemons with this mark: SIGTERM, and SIGKILL for those that do not heed it in time."""
    for number, patience_s in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, 5.0)):
        alive = find(mark)
        if not alive:
            return
        for process_id in alive:
            _signal(process_id, number)
        deadline = time.monotonic() + patience_s
        while find(mark):
            if time.monotonic() > deadline:
                break
            _reap(alive)
            time.sleep(_POLL_S)
    if find(mark):
        raise ToolFailed(f"the processes {find(mark)} do not end")


def kill(mark: str) -> None:
    """End the daemons with this mark at once. Raises ToolFailed if they do not."""
    for process_id in find(mark):
        _signal(process_id, signal.SIGKILL)
    if not wait_gone(mark, 5.0):
        raise ToolFailed(f"the processes {find(mark)} do not end")


def wait_gone(mark: str, timeout_s: float) -> bool:
    """Wait until no daemon has this mark any more; False if that takes too long."""
    deadline = time.monotonic() + timeout_s
    while alive := find(mark):
        if time.monotonic() > deadline:
            return False
        _reap(alive)
        time.sleep(_POLL_S)
    return True


def last_words(log: Path, exit_code: int | None) -> str:
    """The end of a log as one line."""
    try:
        text = log.read_bytes()[-2000:].decode(errors="replace")
    except OSError:
        text = ""
    return tools.summary("\n".join(text.splitlines()[-3:]), exit_code)


def _signal(process_id: int, number: signal.Signals) -> None:
    try:
        os.kill(process_id, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise ToolFailed(f"process {process_id} belongs to another user") from None


def _reap(process_ids: Sequence[int]) -> None:
    """Our own children stay in the process table until somebody asks for them."""
    for process_id in process_ids:
        try:
            os.waitpid(process_id, os.WNOHANG)
        except ChildProcessError:
            pass
