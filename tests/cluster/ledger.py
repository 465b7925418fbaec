"""PostgreSQL on a volume, with a client that commits row after row: what was acknowledged must be there."""

from __future__ import annotations

from pathlib import Path

from demo.database import Load, Postgres, find_postgres
from tests.cluster import machine
from tests.patience import PATIENCE

_PAUSE_S = 0.02  # it is to notice what happens, and leaves the machine to others
_ROWS = 5


class Ledger:
    """A database that its volume takes from node to node."""

    def __init__(self, folder: Path, home: Path) -> None:
        """On a mounted volume; `home` is for sockets, and is not on it."""
        programs = find_postgres()
        assert programs is not None
        self._programs, self._home = programs, home
        self._acknowledged: set[int] = set()
        self._starts = 0
        home.chmod(0o711)  # the server is not root
        self.open(folder)

    def open(self, folder: Path) -> None:
        """Where its volume is mounted. Raises AssertionError if something is lost."""
        self._starts += 1
        sockets = self._home / f"ledger-{self._starts}"
        (folder / "pgdata" / "postmaster.pid").unlink(missing_ok=True)  # of a process of another node
        self._database = Postgres(self._programs, folder, sockets, 5432)
        self._database.start()
        self._process_id = int((folder / "pgdata" / "postmaster.pid").read_text().split()[0])
        assert self.lost() == set()
        self._load = Load(self._database.writer(), max(self._acknowledged, default=-1) + 2, _PAUSE_S)

    def goes_on(self, timeout_s: float = 60.0) -> None:
        """It commits more than at the moment."""
        assert self._load.wait_for(_ROWS, timeout_s * PATIENCE), self._load.error or "it commits no more"

    def lost(self) -> set[int]:
        """Rows that were acknowledged, and are not there."""
        return self._acknowledged - self._database.committed()

    def move(self, folder: Path) -> None:
        """To where its volume is now, whatever has become of the node that it was on."""
        self.die()
        self.open(folder)

    def die(self) -> None:
        """As its node does; what waits for storage that is away ends with that."""
        machine.kill(self._processes())
        self._load.give_up()
        self._acknowledged |= self._load.acknowledged

    def _processes(self) -> list[int]:
        """The server and all that it has started: they would wait for each other for ever."""
        children = Path(f"/proc/{self._process_id}/task/{self._process_id}/children")
        try:
            return [self._process_id, *map(int, children.read_text().split())]
        except FileNotFoundError:
            return []

    def close(self) -> None:
        """In order, so that the volume can be let go of."""
        self._load.stop()
        self._acknowledged |= self._load.acknowledged
        assert self.lost() == set()
        self._database.stop()
        self._process_id = 0  # its number may soon be another one's
