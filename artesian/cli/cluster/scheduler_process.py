"""The schedulers of a local cluster as processes that outlive the command."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from artesian.cli.cluster.access import Api
from artesian.embedded.local.errors import NotRunning
from artesian.host import processes
from artesian.host.files import locked
from artesian.host.logs import last_line
from artesian.host.processes import ProcessIdentity
from artesian.model.errors import Conflict, NotThere
from artesian.scheduler.api_token import TOKEN_VARIABLE
from artesian.scheduler.settings import ENDED, home_of, load_settings

_START_TIMEOUT_S = 60.0  # one that has to make the agent's file first may need half of it
_STOP_TIMEOUT_S = 40.0
_POLL_S = 0.05


class _Started(NamedTuple):
    number: int
    process: subprocess.Popen[bytes]
    log: Path


def ensure(folder: Path, unless: Callable[[], bool] = lambda: False) -> bool | None:
    """Start the schedulers that do not run, and wait until one answers; whether any was started.

    None, and nothing was done, if none runs and none need: `unless` says so.
    """
    home_of(folder, 1).mkdir(mode=0o700, exist_ok=True)
    with locked(home_of(folder, 1) / "starting.lock"):  # of several commands at once, one starts them
        running = _running(folder)
        if not running and unless():
            return None
        count = load_settings(folder).count
        _stop([one for number, one in running.items() if number > count])
        started = [_start(folder, number) for number in range(1, count + 1) if number not in running]
        if started:
            _wait_for_answers(folder, started, count)
            Api(folder).post("/passes")
        return bool(started)


def become(folder: Path, arguments: Sequence[str]) -> NoReturn:
    """Let this process be the first scheduler, in the foreground; it is found as one that was started is.

    Raises Conflict if there is one.
    """
    home_of(folder, 1).mkdir(mode=0o700, exist_ok=True)
    with locked(home_of(folder, 1) / "starting.lock"):
        running = _running(folder).get(1)
        if running is not None:
            raise Conflict(f"the scheduler of {folder} runs already, as process {running.process_id}")
        (home_of(folder, 1) / "api.json").unlink(missing_ok=True)
        processes.write_pid_file(_pid_file(folder, 1), ProcessIdentity.of(os.getpid()))
    os.chdir("/")
    os.execv(sys.executable, [sys.executable, "-P", "-m", "artesian.api", str(folder), *arguments])


def _start(folder: Path, number: int) -> _Started:
    home = home_of(folder, number)
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "api.json").unlink(missing_ok=True)
    log = home / "scheduler.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "artesian.api", str(folder), *([str(number)] if number > 1 else [])],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env={name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE},
        )
    processes.write_pid_file(_pid_file(folder, number), ProcessIdentity.of(process.pid))
    return _Started(number, process, log)


def _wait_for_answers(folder: Path, started: list[_Started], count: int) -> None:
    """Until one answers and all others listen: those that wait do not say in their folders where they are."""
    where = _where(folder) if count > 1 else None
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not ((where is None or all(_listens(where, one.number) for one in started)) and _answers(folder)):
        for _, process, log in started:
            if process.poll() is not None:
                raise NotRunning(f"the scheduler ended at once: {last_line(log)} (log: {log})")
        if time.monotonic() > deadline:
            raise NotRunning(f"the scheduler does not answer (log: {started[0].log})")
        time.sleep(_POLL_S)


def note_ended(folder: Path) -> None:
    """Everything of the cluster has ended, and its one scheduler, which keeps its state here. The next one
    takes the note away."""
    if not load_settings(folder).store:
        (home_of(folder, 1) / ENDED).touch()


def has_ended(folder: Path) -> bool | None:
    """Whether nothing of the cluster runs; None if that is not known here, as its state is elsewhere."""
    return None if load_settings(folder).store else (home_of(folder, 1) / ENDED).exists()


def stop(folder: Path) -> bool:
    """End all schedulers; everything else goes on. Whether any ran."""
    running = _running(folder)
    _stop(list(running.values()))
    for number in running:
        _pid_file(folder, number).unlink(missing_ok=True)
    return bool(running)


def _stop(identities: list[ProcessIdentity]) -> None:
    processes.stop(identities, _STOP_TIMEOUT_S)


def _where(folder: Path) -> tuple[str, int]:
    """Address and port of the first scheduler; those of the others follow."""
    from artesian.api.opening import open_cluster  # loads much that other commands do not need

    cluster = open_cluster(folder)
    return cluster.address, cluster.port


def _listens(where: tuple[str, int], number: int) -> bool:
    """Also one that waits does."""
    address, port = where
    try:
        socket.create_connection((address, port + number - 1), timeout=1.0).close()
    except OSError:
        return False
    return True


def _answers(folder: Path) -> bool:
    try:
        Api(folder).get("/spec")
    except (OSError, ValueError, NotRunning, NotThere):
        return False
    return True


def _running(folder: Path) -> dict[int, ProcessIdentity]:
    """By number; also of those that are too many by now."""
    found = {}
    for path in [*folder.glob("scheduler/scheduler.pid"), *folder.glob("scheduler-*/scheduler.pid")]:
        identity = processes.running(path)
        number = path.parent.name.removeprefix("scheduler").removeprefix("-") or "1"
        if identity is not None and number.isdecimal():
            found[int(number)] = identity
    return found


def _pid_file(folder: Path, number: int) -> Path:
    return home_of(folder, number) / "scheduler.pid"
