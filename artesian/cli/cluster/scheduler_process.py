"""The scheduler of a local cluster as a process that outlives the command."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from artesian.cli.cluster.access import Api
from artesian.embedded.local.errors import NotRunning
from artesian.host import processes
from artesian.host.files import locked
from artesian.host.logs import last_line
from artesian.host.processes import ProcessIdentity

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 40.0
_POLL_S = 0.05


def ensure(folder: Path, unless: Callable[[], bool] = lambda: False) -> bool | None:
    """Start the scheduler if it does not run, and wait until it answers; whether it was started.

    None, and nothing was done, if it does not run and need not: `unless` says so.
    """
    home = folder / "scheduler"
    home.mkdir(mode=0o700, exist_ok=True)
    with locked(home / "starting.lock"):  # of several commands at once, one starts it, the others wait
        if _running(folder) is None and unless():
            return None
        return _ensure(folder, home)


def _ensure(folder: Path, home: Path) -> bool:
    if _running(folder) is not None:
        return False
    (home / "api.json").unlink(missing_ok=True)
    log = home / "scheduler.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "artesian.api", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )
    processes.write_pid_file(_pid_file(folder), ProcessIdentity.of(process.pid))
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not _answers(folder):
        if process.poll() is not None:
            raise NotRunning(f"the scheduler ended at once: {last_line(log)} (log: {log})")
        if time.monotonic() > deadline:
            raise NotRunning(f"the scheduler does not answer (log: {log})")
        time.sleep(_POLL_S)
    Api(folder).post("/passes")
    return True


def stop(folder: Path) -> bool:
    """End the scheduler; everything else goes on. Whether it ran."""
    identity = _running(folder)
    if identity is None:
        return False
    processes.stop([identity], _STOP_TIMEOUT_S)
    _pid_file(folder).unlink(missing_ok=True)
    return True


def _answers(folder: Path) -> bool:
    try:
        json.loads((folder / "scheduler" / "api.json").read_bytes())
        Api(folder).get("/spec")
    except (OSError, ValueError, NotRunning):
        return False
    return True


def _running(folder: Path) -> ProcessIdentity | None:
    return processes.running(_pid_file(folder))


def _pid_file(folder: Path) -> Path:
    return folder / "scheduler" / "scheduler.pid"
