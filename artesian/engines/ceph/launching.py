"""Starting and ending the processes of a node, whoever started them before.

Each has a config ROLE~NAME.json, a log, and in `run` a pid file and a lock, which the process holds as long
as it lives, also after it has become a daemon of Ceph.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from artesian.engines.ceph.process_config import ProcessConfig, Role
from artesian.engines.started_under import remember, started_under
from artesian.host import processes
from artesian.host.files import rotate_log, write_if_changed
from artesian.host.outside import wrapped
from artesian.host.processes import ProcessIdentity
from artesian.host.single import Single

# What offers a volume does not end as long as its storage is away.
_END_S, _LONGEST_END_S = {Role.VOLUME: 2.0}, 20.0
_UNDER_WAY_S = 0.3  # within which a process says who it is


@dataclass(frozen=True, slots=True)
class Place:
    """One process, and where its files are."""

    folder: Path
    role: Role
    name: str

    @property
    def config(self) -> Path:
        return self.folder / f"{self.role}~{self.name}.json"

    @property
    def log(self) -> Path:
        return self.folder / "logs" / f"{self.name}.log"

    @property
    def single(self) -> Single:
        return Single(self.folder / "run", self.name)

    @property
    def running(self) -> ProcessIdentity | None:
        return self.single.running()

    @property
    def started_under(self) -> int:
        """The last restart when it was started."""
        return started_under(self.folder / "run", self.name)

    def write(self, config: ProcessConfig) -> None:
        """The process reads it when it next looks. Raises OSError."""
        write_if_changed(self.config, config.to_text(), 0o600)

    def forget(self) -> None:
        """Of a process that has ended."""
        self.single.pid_file.unlink(missing_ok=True)
        self.config.unlink(missing_ok=True)


def make_folders(folder: Path) -> None:
    """Raises OSError."""
    for path in (folder, *(folder / name for name in ("run", "logs", "keys", "crash"))):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)


def known(folder: Path) -> list[Place]:
    """Those whose config is here."""
    return [place for place in _known(folder) if place is not None]


def _known(folder: Path) -> Iterator[Place | None]:
    for path in sorted(folder.glob("*~*.json")):
        role, _, name = path.stem.partition("~")
        with contextlib.suppress(ValueError):
            yield Place(folder, Role(role), name)


class Launcher:
    """Starts processes that outlive it, and takes leave of those that have ended."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self, place: Place, restart: int = 0) -> bool:
        """Start what has a config and does not run; False if it runs. `restart`: the last one that was asked
        for. Raises OSError."""
        self.reap()
        lock = place.single.lock_or_find(_UNDER_WAY_S)
        if not isinstance(lock, int):
            return False
        rotate_log(place.log)
        command = [sys.executable, "-P", "-m", "artesian.engines.ceph.launch", str(place.config), str(lock)]
        try:
            remember(place.folder / "run", place.name, restart)
            with place.log.open("ab") as output:
                process = subprocess.Popen(
                    wrapped(command),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    cwd=place.folder,
                    pass_fds=[lock],
                    env=os.environ | {"LC_ALL": "C"},
                )
            with contextlib.suppress(ProcessLookupError):  # it has ended already, and its log says why
                place.single.name_it(process.pid)
        finally:
            os.close(lock)
        self._children.append(process)
        return True

    def stop(self, places: Iterable[Place]) -> list[str]:
        """End processes, in the order of their roles; the names of those that ran. Raises TimeoutError."""
        ended: list[str] = []
        places = list(places)
        for role in Role:
            of_role = [place for place in places if place.role is role]
            alive = [(place.name, identity) for place in of_role if (identity := place.running) is not None]
            processes.stop([identity for _, identity in alive], _END_S.get(role, _LONGEST_END_S))
            ended += [name for name, _ in alive]
            for place in of_role:
                place.forget()
        self.reap()
        return ended

    def reap(self) -> None:
        """Take leave of children."""
        self._children = [child for child in self._children if child.poll() is None]
