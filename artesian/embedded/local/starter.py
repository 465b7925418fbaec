"""Starts an engine's processes fast, and ends: `python -m artesian.embedded.local.starter`.

Loading the interpreter and the libraries takes each process a good quarter of a second of processor time, ten
of them several seconds. So this one loads what they share and forks each; what only some need is loaded later
by those. They are processes of their own in every respect: own session, own log, own pid file, own name.

Standard input: JSON lines {"role", "name", "config", "log", "pid_file"}. Standard output: a line for each
started process, {"name", "process_id"}.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
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


def start(places: Sequence[ProcessPlace]) -> dict[str, int]:
    """Start processes that outlive us; their ids by name. Raises EngineError."""
    wanted = "".join(
        json.dumps(
            {
                "role": place.role,
                "name": place.name,
                "config": str(place.config),
                "log": str(place.log),
                "pid_file": str(place.pid_file),
            }
        )
        + "\n"
        for place in places
    )
    command = [sys.executable, "-P", "-m", "artesian.embedded.local.starter", titles.ROOM]
    try:
        result = subprocess.run(
            wrapped(command),
            input=wanted.encode(),
            capture_output=True,
            start_new_session=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"the processes were not started within {_TIMEOUT_S:g} s") from None
    if result.returncode != 0:
        words = result.stderr.decode(errors="replace").strip().splitlines()
        raise EngineError(f"the processes could not be started: {words[-1] if words else 'no reason given'}")
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    return {answer["name"]: answer["process_id"] for answer in answers}


def main() -> int:
    """Fork what standard input names; the managers first, as they need the longest."""
    wanted = [json.loads(line) for line in sys.stdin]
    wanted.sort(key=lambda process: _ORDER.index(process["role"]))
    for process in wanted:
        role = Role(process["role"])
        run = None if role is _LOADED_BY_ITSELF else _main_of(role)
        gc.freeze()  # what is shared stays shared: the collector of no child writes to it
        process_id = os.fork()
        if process_id == 0:
            _become(process, role, run)
        _record(process, process_id)
        print(json.dumps({"name": process["name"], "process_id": process_id}), flush=True)
    return 0


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
