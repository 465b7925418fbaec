"""The one process of its kind in a folder: it holds a lock as long as it lives, and a pid file names it.

Whoever starts it takes the lock first and hands it down, so that there is no moment at which the process is
under way and nobody can tell.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from artesian.host import processes
from artesian.host.files import take_over_lock, try_lock
from artesian.host.processes import ProcessIdentity

_POLL_S = 0.01


class Single:
    """The process `name` of a folder that exists."""

    def __init__(self, folder: Path, name: str) -> None:
        self.pid_file = folder / f"{name}.pid"
        self._lock_file = folder / f"{name}.lock"

    def be_it(self, inherited: int | None = None) -> bool:
        """Become the process, until our end; False if there is another. `inherited`: a descriptor that
        holds the lock already. Raises OSError."""
        if inherited is not None and take_over_lock(self._lock_file, inherited):
            return True
        return try_lock(self._lock_file) is not None

    def name_it(self, process_id: int) -> None:
        """Write down who it is; for whoever holds the lock. Raises OSError."""
        processes.write_pid_file(self.pid_file, ProcessIdentity.of(process_id))

    def running(self) -> ProcessIdentity | None:
        """The living process that the pid file names."""
        return processes.running(self.pid_file)

    def lock_or_find(self, timeout_s: float) -> int | ProcessIdentity | None:
        """A descriptor that holds the lock, or the process that runs; None if one is under way for so long
        without having been named. Raises OSError."""
        deadline = time.monotonic() + timeout_s
        while True:
            identity = self.running()
            if identity is not None:
                return identity
            lock = try_lock(self._lock_file)
            if lock is not None or time.monotonic() > deadline:
                return lock
            time.sleep(_POLL_S)

    def end(self, how: Callable[[ProcessIdentity], object], timeout_s: float) -> tuple[int, int]:
        """End the process, also one that is only just starting: a descriptor that holds the lock, and how
        many there were. Raises TimeoutError, OSError."""
        ended, deadline = 0, time.monotonic() + timeout_s
        while True:
            found = self.lock_or_find(max(deadline - time.monotonic(), 0.0))
            if isinstance(found, ProcessIdentity) and time.monotonic() <= deadline:
                how(found)
                ended += 1
            elif isinstance(found, int):
                return found, ended
            else:
                raise TimeoutError(f"what holds {self._lock_file} does not end")

    def is_under_way(self) -> bool:
        """Whether there is one, named or not."""
        if self.running() is not None:
            return True
        if not self._lock_file.exists():
            return False
        lock = try_lock(self._lock_file)
        if lock is not None:
            os.close(lock)
        return lock is None
