"""What runs on this machine, and is mounted, below a folder: to be found, and to be taken away."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


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
    return [one.process_id for one in running() if f"{folder}/" in one.command]


def kill(process_ids: list[int]) -> None:
    """At once; those that have ended meanwhile have."""
    for one in process_ids:
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            pass


def unmount_all_below(folder: Path) -> None:
    """Out of sight, whoever uses it. A mount without its storage ends with whoever serves it."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for point in reversed([one for one in mounted if one.startswith(f"{folder}/")]):
        subprocess.run(["umount", "-l", point], check=False)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""  # it has ended
