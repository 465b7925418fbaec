"""A cluster as a user has it: everything through the command line, answers as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NEEDS_APPROVAL = 9


class CommandFailed(RuntimeError):
    """A command failed; the text is what it said, `code` its exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Cluster:
    """The cluster in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str) -> Any:
        """`artesian …`; the answer, parsed. Raises CommandFailed."""
        done = subprocess.run(
            self._command(*arguments, "--json"), capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            said = done.stderr.strip() or done.stdout.strip()
            raise CommandFailed(f"artesian {' '.join(arguments)}: {said}", done.returncode)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def text(self, *arguments: str) -> str:
        """What a command prints for people."""
        done = subprocess.run(
            self._command(*arguments),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"COLUMNS": "104"},
        )
        return done.stdout

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "artesian.cli.main", *arguments, "--dir", str(self.folder)]

    def status(self) -> Any:
        """Everything that `artesian status --json` knows."""
        return self.run("status")

    def wait_until(self, what: str, condition: Callable[[Any], bool], timeout_s: float) -> float:
        """Until the status is so; how long it took. Raises TimeoutError."""
        began = time.monotonic()
        while True:
            status = self.status()
            if condition(status):
                return time.monotonic() - began
            if time.monotonic() - began > timeout_s:
                raise TimeoutError(f"{what}: not within {timeout_s:.0f} s; {status['verdict']}")
            time.sleep(0.2)

    def wait_healthy(self, timeout_s: float = 120.0) -> float:
        """Until there is nothing to do and nothing wrong."""
        return self.wait_until("a healthy cluster", lambda status: bool(status["healthy"]), timeout_s)

    def process_id(self, node: str, prefix: str) -> int | None:
        """The process of a node whose name begins so."""
        for one in next(one for one in self.status()["nodes"] if one["name"] == node)["processes"]:
            if one["name"].startswith(prefix) and one["running"]:
                return int(one["process_id"])
        return None

    def down(self, *, destroy: bool = False, discard: bool = False) -> Any:
        """End everything; with `destroy` the folder goes too, with `discard` whatever is in the way."""
        options = [*(["--destroy", "--yes"] if destroy else []), *(["--discard"] if discard else [])]
        return self.run("down", *options)
