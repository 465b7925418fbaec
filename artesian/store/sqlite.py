"""The store in one SQLite file, for a scheduler on one machine."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from artesian.host.files import try_lock
from artesian.model.event import Event
from artesian.store.port import KEPT_EVENTS, NotLeading, StoreUnusable

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at_s REAL NOT NULL,
    kind TEXT NOT NULL, subject TEXT NOT NULL, because TEXT NOT NULL
);
"""
_VERSION = 1


class SqliteStore:
    """Raises StoreUnusable throughout. Usable from any thread."""

    def __init__(self, path: Path, kept_events: int = KEPT_EVENTS) -> None:
        self._path = path
        self._kept = kept_events
        self._lock = threading.Lock()
        self._leading: int | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StoreUnusable(f"the store {path} cannot be opened: {error.strerror}") from None
        with self._explained():
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._check_version()

    def _check_version(self) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            raise StoreUnusable(
                f"the store {self._path} was written by a newer Artesian (format {version}); use that one"
            )
        self._database.executescript(_SCHEMA)
        self._database.execute(f"PRAGMA user_version={_VERSION}")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeEncodeError) as error:
            raise StoreUnusable(f"the store {self._path}: {error}") from None

    def lead(self) -> None:
        """Become the one scheduler that may write. Raises NotLeading."""
        if self._leading is not None:
            return
        path = f"{self._path}.leader"
        try:
            descriptor = try_lock(Path(path))
        except OSError as error:
            raise StoreUnusable(f"{path} cannot be opened: {error.strerror}") from None
        if descriptor is None:
            raise NotLeading(f"another scheduler leads with the store {self._path}")
        self._leading = descriptor

    def confirm(self) -> None:
        """The lock is ours until `close`. Raises NotLeading."""
        if self._leading is None:
            raise NotLeading("only the leading scheduler writes to the store")

    def load(self) -> dict[str, str]:
        """All documents."""
        with self._lock, self._explained():
            return dict(self._database.execute("SELECT key, body FROM documents"))

    def commit(self, changes: Mapping[str, str | None], events: Sequence[Event] = ()) -> None:
        """All or nothing, and durable."""
        self.confirm()
        if not changes and not events:
            return
        with self._lock, self._explained():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._write(changes, events)
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # SQLite ends some by itself, as when the disk is full
                    self._database.execute("ROLLBACK")
                raise

    def _write(self, changes: Mapping[str, str | None], events: Sequence[Event]) -> None:
        gone = [(key,) for key, body in changes.items() if body is None]
        kept = [(key, body) for key, body in changes.items() if body is not None]
        self._database.executemany("DELETE FROM documents WHERE key = ?", gone)
        self._database.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?)", kept)
        self._database.executemany(
            "INSERT INTO events (at_s, kind, subject, because) VALUES (?, ?, ?, ?)",
            [(event.at_s, event.kind, event.subject, event.because) for event in events],
        )
        if events:
            self._database.execute(
                "DELETE FROM events WHERE number <= (SELECT MAX(number) FROM events) - ?", (self._kept,)
            )

    def events(self, after: int, limit: int) -> list[Event]:
        """Events with greater numbers, the oldest first."""
        with self._lock, self._explained():
            rows = self._database.execute(
                "SELECT kind, subject, because, at_s, number FROM events WHERE number > ? "
                "ORDER BY number LIMIT ?",
                (after, limit),
            ).fetchall()
        return [Event(*row) for row in rows]

    def close(self) -> None:
        """Let go of the file and of the leadership."""
        with self._lock:
            self._database.close()
        if self._leading is not None:
            os.close(self._leading)
            self._leading = None
