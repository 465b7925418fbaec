"""A real database on a folder: PostgreSQL where it is installed, else SQLite, which Python brings along.

Both count rows that were *committed*: the writer remembers each number whose commit was acknowledged.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import select
import shutil
import sqlite3
import subprocess
import threading
import time
from pathlib import Path
from typing import Protocol

ANSWER_TIMEOUT_S = 120.0


class Database(Protocol):
    """What the demonstration needs of a database."""

    name: str

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def crash(self) -> None:
        """End at once, as when the node dies."""

    def move(self, folder: Path) -> None:
        """The data is on another folder from now on."""

    def writer(self) -> Writer: ...
    def committed(self) -> set[int]:
        """The numbers of all rows."""


class Writer(Protocol):
    def insert(self, number: int) -> None:
        """Insert a row; returns when its commit is acknowledged."""

    def close(self) -> None: ...
    def abort(self) -> None:
        """End at once, whatever is under way."""


def find_postgres() -> Path | None:
    """The folder of PostgreSQL's server programs, if it is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("postgres")
    return Path(elsewhere).parent if elsewhere else None


class Postgres:
    """PostgreSQL with its data on `folder` and its socket in `socket_folder`."""

    name = "PostgreSQL"

    def __init__(self, programs: Path, folder: Path, socket_folder: Path, port: int) -> None:
        self._programs = programs
        self._data = folder / "pgdata"
        self._socket_folder = socket_folder
        self._port = port
        self._user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    def command(self, *command: str) -> list[str]:
        """A command as the user that the server runs as: PostgreSQL refuses to be root."""
        if os.geteuid() == 0:
            return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--", *command]
        return list(command)

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            self.command(*command), capture_output=True, text=True, cwd="/", stdin=subprocess.DEVNULL
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def _make(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")

    def start(self) -> None:
        """Initialise the data folder if it is new, and start the server."""
        self._make(self._socket_folder)
        if not self._data.exists():
            self._make(self._data)
            self._run(str(self._programs / "initdb"), "-D", str(self._data), "-A", "trust", "-U", self._user)
        self._run(
            str(self._programs / "pg_ctl"), "-D", str(self._data), "-w", "-t", "60", "-s",
            "-l", str(self._socket_folder / "postgres.log"),
            "-o", f"-k {self._socket_folder} -p {self._port} -c listen_addresses=''", "start",
        )  # fmt: skip
        self.query(
            "CREATE TABLE IF NOT EXISTS ledger (number bigint PRIMARY KEY, written timestamptz DEFAULT now())"
        )

    def stop(self) -> None:
        """Stop the server; immediately if it does not end by itself."""
        if not (self._data / "postmaster.pid").exists():
            return
        for mode in ("fast", "immediate"):
            with contextlib.suppress(RuntimeError):
                self._run(
                    str(self._programs / "pg_ctl"),
                    "-D",
                    str(self._data),
                    "-w",
                    "-t",
                    "30",
                    "-m",
                    mode,
                    "stop",
                )
                return

    def crash(self) -> None:
        """Without a checkpoint: the next start replays the log."""
        self._run(str(self._programs / "pg_ctl"), "-D", str(self._data), "-w", "-m", "immediate", "stop")

    def move(self, folder: Path) -> None:
        self._data = folder / "pgdata"

    def psql(self) -> list[str]:
        """A command that talks to this server."""
        return self.command("psql", "-h", str(self._socket_folder), "-p", str(self._port), "-U", self._user,
                             "-d", "postgres", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1")  # fmt: skip

    def query(self, statement: str) -> str:
        """Run one statement, return its rows as text."""
        done = subprocess.run([*self.psql(), "-c", statement], capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return done.stdout

    def committed(self) -> set[int]:
        return {int(line) for line in self.query("SELECT number FROM ledger").split()}

    def writer(self) -> PostgresWriter:
        return PostgresWriter(self.psql())


class PostgresWriter:
    """One connection that inserts rows, one commit each."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/"
        )

    def insert(self, number: int) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(b"INSERT INTO ledger (number) VALUES (%d) RETURNING number;\n" % number)
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_TIMEOUT_S)
        answer = self._process.stdout.readline() if ready else b""
        if answer.strip() != b"%d" % number:
            assert self._process.stderr is not None
            problem = self._process.stderr.read().decode().strip() if ready else "no answer in time"
            raise RuntimeError(f"row {number} was not committed: {problem}")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def abort(self) -> None:
        self._process.kill()
        self._process.wait()


class Sqlite:
    """SQLite in its safest mode, in one file on the folder."""

    name = "SQLite"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ledger.db"

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=ANSWER_TIMEOUT_S, check_same_thread=False)
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def start(self) -> None:
        with contextlib.closing(self._connect()) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS ledger (number INTEGER PRIMARY KEY)")

    def stop(self) -> None:
        """Nothing runs."""

    def crash(self) -> None:
        """Nothing runs."""

    def move(self, folder: Path) -> None:
        self._path = folder / "ledger.db"

    def committed(self) -> set[int]:
        with contextlib.closing(self._connect()) as connection:
            return {number for (number,) in connection.execute("SELECT number FROM ledger")}

    def writer(self) -> SqliteWriter:
        return SqliteWriter(self._connect())


class SqliteWriter:
    """Inserts rows, one commit each."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def insert(self, number: int) -> None:
        with self._connection:
            self._connection.execute("INSERT INTO ledger (number) VALUES (?)", (number,))

    def close(self) -> None:
        self._connection.close()

    def abort(self) -> None:
        self._connection.interrupt()


class Load:
    """Writes rows in a thread, with a pause after each, and remembers which were acknowledged, and the
    longest wait for one."""

    def __init__(self, writer: Writer, first: int, pause_s: float = 0.0) -> None:
        self.acknowledged: set[int] = set()
        self.longest_wait_s = 0.0
        self.error: Exception | None = None
        self._writer = writer
        self._next = first
        self._pause_s = pause_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                self._writer.insert(self._next)
                self.longest_wait_s = max(self.longest_wait_s, time.monotonic() - began)
                self.acknowledged.add(self._next)
                self._next += 1
                self._stopping.wait(self._pause_s)
        except (RuntimeError, OSError, sqlite3.Error) as error:
            self.error = error

    def wait_for(self, count: int, timeout_s: float) -> bool:
        """Whether so many more rows are acknowledged within the time."""
        goal = len(self.acknowledged) + count
        deadline = time.monotonic() + timeout_s
        while len(self.acknowledged) < goal and self.error is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return self.error is None

    def give_up(self) -> None:
        """Stop without an answer to the row under way."""
        self._stopping.set()
        self._writer.abort()
        self._thread.join(ANSWER_TIMEOUT_S)

    def stop(self) -> None:
        """Finish the row under way and stop."""
        self._stopping.set()
        self._thread.join(ANSWER_TIMEOUT_S)
        self._writer.close()
