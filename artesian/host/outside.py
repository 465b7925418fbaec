"""Out of a container: what is to outlive whoever starts it must not be in the container that ends with them.

A container of Mesos is a cgroup, whose processes are all killed when it ends, and may be a mount namespace,
whose mounts nobody else sees. Whoever may not leave stays, and says so.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from pathlib import Path

ENVIRONMENT = "ARTESIAN_OUTSIDE"  # where processes write their id to be outside, with colons between
_MARK = "mesos"
_OURS = "artesian"
_AGENTS = ("mesos-agent", "mesos-slave", "lt-mesos-agent")
_LEAVE = f'IFS=:; for one in ${ENVIRONMENT}; do echo $$ > "$one"; done; unset IFS; exec "$@"'
_ENTER = 'cd "$1" && shift && exec "$@"'


def doors(cgroups: str, mounts: str) -> tuple[Path, ...]:
    """What a process writes its id to, to leave Mesos' cgroups, out of `/proc/self/cgroup` and
    `/proc/self/mountinfo`.

    With version 1 every hierarchy is left for its root; with version 2 for a cgroup of ours.
    """
    found = []
    places = dict(_places(mounts))
    for line in cgroups.splitlines():
        _, names, path = line.split(":", 2)
        if _MARK not in path:
            continue
        place = next((places[one] for one in names.split(",") if one in places), None)
        if place is not None:
            found.append((place if names else place / _OURS) / "cgroup.procs")
    return tuple(found)


def _places(mounts: str) -> Iterable[tuple[str, Path]]:
    """Where each controller's hierarchy is mounted; that of version 2 has no name."""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = [*after.split(), "", "", ""][:3]
        place = Path(before.split()[4])
        if kind == "cgroup2":
            yield "", place
        elif kind == "cgroup":
            for option in options.split(","):
                yield option, place


def leave_cgroups(environment: MutableMapping[str, str]) -> str:
    """Let everything that is started with `wrapped` be outside; why that cannot be, empty if it can."""
    proc = Path("/proc/self")
    found = doors((proc / "cgroup").read_text(), (proc / "mountinfo").read_text())
    for door in found:
        try:
            door.parent.mkdir(exist_ok=True)
            os.close(os.open(door, os.O_WRONLY))
        except OSError as error:
            return f"what runs for the engine ends with Mesos' container: {door}: {error.strerror}"
    if found:
        environment[ENVIRONMENT] = ":".join(map(str, found))
    return ""


def wrapped(command: Sequence[str], environment: Mapping[str, str] = os.environ) -> list[str]:
    """The command, to be run outside if there is an outside."""
    return ["sh", "-c", _LEAVE, "sh", *command] if environment.get(ENVIRONMENT) else list(command)


def join_mounts() -> str:
    """Go on where the Mesos agent that has started us has its mounts, if those are not ours: does not return
    then. Why that cannot be, empty if it need not be."""
    mine = _namespace("self")
    agent = next((one for one in _ancestors() if _stat(one)[0] in _AGENTS), None)
    theirs = _namespace(agent) if agent is not None else ""
    if theirs in ("", mine):
        return ""
    tool = shutil.which("nsenter")
    if tool is None:
        return "what is mounted here is seen in Mesos' container alone: nsenter is not installed"
    again = ["sh", "-c", _ENTER, "sh", os.getcwd(), sys.executable, *sys.orig_argv[1:]]
    try:
        os.execv(tool, [tool, f"--mount=/proc/{agent}/ns/mnt", *again])
    except OSError as error:
        return f"what is mounted here is seen in Mesos' container alone: {tool}: {error.strerror}"


def _ancestors() -> Iterable[str]:
    """The ids of whoever has started us, the nearest first."""
    process = str(os.getppid())
    while process not in ("0", "1"):
        yield process
        process = _stat(process)[1]


def _stat(process: str) -> tuple[str, str]:
    """A process' name and its parent; "0" as parent if it has ended."""
    try:
        before, _, after = Path("/proc", process, "stat").read_text().rpartition(")")
    except OSError:
        return "", "0"
    return before.partition("(")[2], after.split()[1]


def _namespace(process: str) -> str:
    try:
        return os.readlink(f"/proc/{process}/ns/mnt")
    except OSError:
        return ""
