"""Starts an engine's processes fast: `python -m artesian.embedded.local.starter`.

Loading the interpreter and the libraries takes each process a good quarter of a second of processor time, ten
of them several seconds. So this one loads what they share and forks each; what only some need is loaded later
by those. They are processes of their own in every respect: own session, own log, own pid file, own name.

Standard input: lines of JSON, each a list of {"role", "name", "config", "log", "pid_file"}. Standard output:
a line for each of them, with the ids of processes by name. It ends with its input, and when nothing was asked
for a while.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from artesian.embedded.errors import EngineError
from artesian.embedded.local import titles
from artesian.embedded.local.layout import ProcessPlace, Role
from artesian.host.outside import wrapped
from artesian.host.processes import ProcessIdentity, write_pid_file

_ORDER = (Role.MDM, Role.GATEWAY, Role.SDS, Role.SDC)
_LOADED_BY_ITSELF = Role.GATEWAY  # there is only one, and it needs much that the others do not
_TIMEOUT_S = 60.0
_ENDING_S = 5.0
_IDLE_S = 10.0  # a node's processes are wanted one after the other


def start(places: Sequence[ProcessPlace]) -> dict[str, int]:
    """Start processes that outlive us; their ids by name. Raises EngineError."""
    one = Starter()
    try:
        return one.start(places)
    finally:
        one.close()


class Starter:
    """One that is kept for what may follow soon. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, places: Sequence[ProcessPlace]) -> dict[str, int]:
        """Start processes that outlive us; their ids by name. Raises EngineError."""
        wanted = [
            {
                "role": place.role,
                "name": place.name,
                "config": str(place.config),
                "log": str(place.log),
                "pid_file": str(place.pid_file),
            }
            for place in places
        ]
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                self._end()
            answer = self._asked(self._process, wanted) if self._process is not None else None
            if answer is None:
                self._process = _begun()
                answer = self._asked(self._process, wanted)
            if answer is None:
                raise EngineError("the processes could not be started: what starts them ends at once")
            return answer

    def close(self) -> None:
        """End it; what it has started goes on."""
        with self._lock:
            self._end()

    def _asked(self, process: subprocess.Popen[bytes], wanted: list[dict[str, Any]]) -> dict[str, int] | None:
        """None if it had ended before it was asked, as nothing had been wanted for a while."""
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(wanted).encode() + b"\n")
            process.stdin.flush()
        if not select.select([process.stdout], [], [], _TIMEOUT_S)[0]:
            self._end()
            raise EngineError(f"the processes were not started within {_TIMEOUT_S:g} s")
        line = process.stdout.readline()
        if line.endswith(b"\n"):
            answer: dict[str, int] = json.loads(line)
            return answer
        said, ended = self._end(), f"what starts them has ended with {process.wait()}"
        if process.returncode == 0:
            return None
        raise EngineError(f"the processes could not be started: {said or ended}")

    def _end(self) -> str:
        """The last that it has said."""
        process, self._process = self._process, None
        if process is None:
            return ""
        try:
            _, said = process.communicate(timeout=_ENDING_S)  # it ends with its input
        except subprocess.TimeoutExpired:
            process.kill()
            _, said = process.communicate()
        words = said.decode(errors="replace").strip().splitlines()
        return words[-1] if words else ""


def _begun() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "artesian.embedded.local.starter", titles.ROOM]
    return subprocess.Popen(
        wrapped(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def main() -> int:
    """Fork what standard input names; the managers first, as they need the longest."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # what ends is gone: nobody here waits for it
    for wanted in _requests():
        wanted.sort(key=lambda process: _ORDER.index(process["role"]))
        started = {process["name"]: _started(process) for process in wanted}
        print(json.dumps(started), flush=True)
    return 0


def _requests() -> Iterator[list[dict[str, Any]]]:
    """Until there are none any more."""
    while select.select([sys.stdin], [], [], _IDLE_S)[0] and (line := sys.stdin.readline()):
        yield json.loads(line)


def _started(process: dict[str, Any]) -> int:
    role = Role(process["role"])
    run = None if role is _LOADED_BY_ITSELF else _main_of(role)
    gc.freeze()  # what is shared stays shared: the collector of no child writes to it
    process_id = os.fork()
    if process_id == 0:
        _become(process, role, run)
    _record(process, process_id)
    return process_id


def _record(process: dict[str, Any], process_id: int) -> None:
    """The child does so too, in case we are killed first; but who has asked looks once we have ended."""
    with contextlib.suppress(ProcessLookupError):  # it has ended already, and its log says why
        write_pid_file(Path(process["pid_file"]), ProcessIdentity.of(process_id))


def _main_of(role: Role) -> Callable[[list[str]], int]:
    found: Callable[[list[str]], int] = importlib.import_module(f"artesian.embedded.{role}.__main__").main
    return found


def _become(process: dict[str, Any], role: Role, run: Callable[[list[str]], int] | None) -> None:
    """The child's life; never returns."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.umask(0o077)
        _redirect(process["log"])
        write_pid_file(Path(process["pid_file"]), ProcessIdentity.of(os.getpid()))
        title = f"artesian engine {role} --config {process['config']}"
        titles.set_title(title, process["name"] if role is Role.GATEWAY else f"artesian-{process['name']}")
        code = (run or _main_of(role))([process["config"]])
    except BaseException as error:  # noqa: BLE001  whatever it is, it must not get into the parent's code
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _redirect(log: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(nothing)
    os.close(output)


if __name__ == "__main__":
    sys.exit(main())
