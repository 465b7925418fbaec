"""What runs on this machine, and is mounted, below a folder: to be found, and to be taken away."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_ROUNDS, _PAUSE_S = 100, 0.05


class Running(NamedTuple):
    """A process; its arguments, and its environment, have a zero byte between them."""

    process_id: int
    command: str
    environment: str


def running() -> Iterator[Running]:
    """Every process but this one."""
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) != os.getpid():
            yield Running(int(folder.name), _read(folder / "cmdline"), _read(folder / "environ"))


def below(folder: Path) -> list[int]:
    """The processes that are told of something in a folder."""
    mark = f"{folder}/"
    return [one.process_id for one in running() if mark in one.command or mark in one.environment]


def kill(process_ids: list[int]) -> None:
    """At once."""
    send(process_ids, signal.SIGKILL)


def send(process_ids: list[int], number: int) -> None:
    """A signal to each; those that have ended meanwhile have."""
    for one in process_ids:
        try:
            os.kill(one, number)
        except ProcessLookupError:
            pass


def unmount_all_below(folder: Path) -> None:
    """Out of sight, whoever uses it. A mount without its storage ends with whoever serves it."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for point in reversed([one for one in mounted if one.startswith(f"{folder}/")]):
        subprocess.run(["umount", "-l", point], check=False)


def take_away(folder: Path) -> None:
    """A folder, and whatever runs or is mounted below it: at once, and nobody is asked."""
    for _ in range(_ROUNDS):
        if not (found := below(folder)):
            break
        kill(found)  # first: a mount without its storage ends with whoever serves it
        time.sleep(_PAUSE_S)
    devices = _loop_devices_below(folder)
    unmount_all_below(folder)
    for device in devices:
        subprocess.run(["losetup", "--detach", device], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


def _loop_devices_below(folder: Path) -> list[str]:
    """Also those of nodes with mounts of their own, whose files nobody else sees."""
    columns = ("--noheadings", "--output", "NAME,BACK-FILE")
    listed = subprocess.run(["losetup", "--list", *columns], capture_output=True, text=True)
    files = dict(line.split(maxsplit=1) for line in listed.stdout.splitlines() if " " in line.strip())
    written = {
        str(json.loads(Path(path, "attachment.json").read_bytes())["device"])
        for path, _, names in os.walk(folder)  # which passes over what is dead
        if "attachment.json" in names
    }
    return [
        device
        for device, file in files.items()
        if file.startswith(f"{folder}/") or (device in written and file.strip() == "/")
    ]


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""  # it has ended
