"""Asking many disks at once, although any of them may never answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue

from artesian.agent.disks.facts import Probe

PATIENCE_S = 15.0  # longer than the time limits of all tools that are asked about one disk
WORKERS = 4


class ParallelProber:
    """Probes disks with a few threads. A disk that hangs costs one thread until it answers, and no more."""

    def __init__(
        self, probe: Callable[[str], Probe], workers: int = WORKERS, patience_s: float = PATIENCE_S
    ) -> None:
        self._probe = probe
        self._workers = workers
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._being_asked: set[str] = set()

    def probe_all(self, paths: Iterable[str]) -> dict[str, Probe]:
        """A probe of every disk by path. Waits at most `patience_s` after the last answer."""
        everything = tuple(dict.fromkeys(paths))
        with self._lock:
            asked = [path for path in everything if path not in self._being_asked]
        waiting: SimpleQueue[str] = SimpleQueue()
        answers: SimpleQueue[tuple[str, Probe]] = SimpleQueue()
        for path in asked:
            waiting.put(path)
        for _ in range(min(self._workers, len(asked))):
            # A daemon, so that a disk that hangs does not keep the agent from ending.
            threading.Thread(target=self._work, args=(waiting, answers), daemon=True).start()
        found: dict[str, Probe] = {}
        while len(found) < len(asked):
            try:
                path, probe = answers.get(timeout=self._patience_s)
            except Empty:
                _drain(waiting)
                break
            found[path] = probe
        silent = Probe(unreadable=f"it did not answer within {self._patience_s:g} s")
        return {path: found.get(path, silent) for path in everything}

    def _work(self, waiting: SimpleQueue[str], answers: SimpleQueue[tuple[str, Probe]]) -> None:
        while True:
            try:
                path = waiting.get_nowait()
            except Empty:
                return
            with self._lock:
                self._being_asked.add(path)
            try:
                answers.put((path, self._probe(path)))
            finally:
                with self._lock:
                    self._being_asked.discard(path)


def _drain(waiting: SimpleQueue[str]) -> None:
    while True:
        try:
            waiting.get_nowait()
        except Empty:
            return
