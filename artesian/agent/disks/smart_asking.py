"""Asking disks for their own opinion of themselves, in the background and not often."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from artesian.agent.background import Begin, in_daemon_thread
from artesian.agent.disks.smart import read_smart
from artesian.host.tools import RunTool, ToolTrouble, run_tool
from artesian.model.disk import Disk, DiskSays

EVERY_S = 600.0
TIMEOUT_S = 30.0  # a disk may have to finish what it does first


class SmartAsking:
    """One disk after the other, so that one that hangs delays the others' answers and nothing else.

    What was said last is kept while a disk sleeps or does not answer.
    """

    def __init__(
        self,
        run: RunTool = run_tool,
        clock: Callable[[], float] = time.monotonic,
        begin: Begin | None = None,
    ) -> None:
        """`begin` has the asking done, by a thread of its own if nobody else is named."""
        self._run = partial(run_tool, timeout_s=TIMEOUT_S) if run is run_tool else run
        self._clock = clock
        self._begin = begin or in_daemon_thread("smart")
        self._lock = threading.Lock()
        self._under_way = False
        self._said: dict[str, DiskSays] = {}  # by identity
        self._asked_s: dict[str, float] = {}

    def with_what_they_say(self, disks: Iterable[Disk]) -> tuple[Disk, ...]:
        """The disks with what is known by now; those that are due are asked, which is not waited for."""
        disks = tuple(disks)
        now = self._clock()
        with self._lock:
            due = [
                (disk.identity, disk.path)
                for disk in disks
                if disk.identity is not None
                and now - self._asked_s.get(disk.identity, float("-inf")) >= EVERY_S
            ]
            begins = bool(due) and not self._under_way
            if begins:
                self._under_way = True
                self._asked_s |= {identity: now for identity, _ in due}
            said = {disk.path: self._said.get(disk.identity) for disk in disks if disk.identity is not None}
        if begins:
            self._begin(lambda: self._ask(due))
        return tuple(replace(disk, smart=said.get(disk.path)) for disk in disks)

    def _ask(self, due: list[tuple[str, str]]) -> None:
        try:
            for identity, path in due:
                answer = self._answer(path)
                if answer is not None:
                    with self._lock:
                        self._said[identity] = answer
        finally:
            with self._lock:
                self._under_way = False

    def _answer(self, path: str) -> DiskSays | None:
        """None if there is no smartctl, no such thing as SMART, or no answer."""
        try:
            # A disk that sleeps is not woken up for this.
            command = ("smartctl", "--json", "--info", "--health", "--attributes", "--nocheck=standby", path)
            answer = self._run(command)
            return read_smart(json.loads(answer.output), answer.exit_code)
        except (ToolTrouble, ValueError):
            return None
