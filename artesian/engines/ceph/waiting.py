"""What the processes of a node have in common: waiting politely, and running tools."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from artesian.engines.ceph.errors import CephNodeError

_FIRST_S, _LATER_S, _GROWTH = 0.2, 1.0, 1.25


@dataclass(frozen=True, slots=True)
class Command:
    """What a process is to become."""

    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class Pauses:
    """Short ones at first, and longer ones when nothing comes of it."""

    def __init__(self) -> None:
        self._next_s = _FIRST_S
        self._said = ""

    def wait(self, why: str = "") -> None:
        """`why` is said when it is not what was said last."""
        if why and why != self._said:
            print(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} waits: {why}", flush=True)
            self._said = why
        time.sleep(self._next_s)
        self._next_s = min(self._next_s * _GROWTH, _LATER_S)


def daemon(kind: str, conf: Path, identity: str, *more: str) -> list[str]:
    """A daemon of Ceph that stays what it is started as."""
    return [f"ceph-{kind}", "-f", "-c", str(conf), "--cluster", "ceph", "-i", identity, *more]


def run(*words: str, timeout_s: float = 300.0) -> None:
    """A tool that has to succeed, and ends when we do: who follows us does the same from the start. What it
    says is in our log. Raises CephNodeError."""
    command = ("setpriv", "--pdeathsig", "KILL", *words)
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CephNodeError(f"{words[0]}: {error}") from None
    if result.returncode != 0:
        raise CephNodeError(f"{' '.join(words)} has failed ({result.returncode})")
