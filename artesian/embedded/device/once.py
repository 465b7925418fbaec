"""Work on the disk that a thread is to do, and that whoever cannot wait for the thread does at once."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Once:
    """Runs its work exactly once, in whichever thread comes first; the other waits until it is done.

    Work that failed is tried again by the next who comes.
    """

    __slots__ = ("_lock", "_work", "done")

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self.done = False

    def run(self) -> None:
        """Raises whatever the work raises."""
        with self._lock:
            if not self.done:
                self._work()
                self.done = True
