"""Running the system's tools."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from artesian.attach.errors import ToolFailed

_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin")  # often not in a user's PATH
_MAX_MESSAGE_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    exit_code: int
    output: str
    errors: str


def find(tool: str) -> str | None:
    """The path of a tool, or None if it is not installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM_FOLDERS])
    return shutil.which(tool, path=path)


def missing(*names: str) -> str | None:
    """Which of the tools are not installed, as a sentence; None if all are there."""
    absent = [tool for tool in names if find(tool) is None]
    if not absent:
        return None
    return f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed"


def run(
    tool: str,
    *arguments: str | Path,
    timeout_s: float = 60.0,
    allowed: Collection[int] = (0,),
) -> Outcome:
    """Run a tool to its end. Raises ToolFailed unless its exit code is among the `allowed`."""
    path = find(tool)
    if path is None:
        raise ToolFailed(f"{tool} is not installed")
    try:
        process = subprocess.Popen(
            [path, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"LC_ALL": "C"},
        )
    except OSError as error:
        raise ToolFailed(f"{tool} cannot be started: {error.strerror}") from None
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1.0)  # no longer: it may hang in the kernel and not even die
        raise ToolFailed(f"{tool} did not end within {timeout_s:g} s") from None
    output = stdout.decode(errors="replace")
    errors = stderr.decode(errors="replace")
    if process.returncode not in allowed:
        raise ToolFailed(
            f"{tool}: {summary(errors or output, process.returncode)}", process.returncode, output + errors
        )
    return Outcome(process.returncode, output, errors)


def summary(text: str, exit_code: int | None = None) -> str:
    """What a tool printed, as one line of bearable length."""
    line = "; ".join(part.strip() for part in text.splitlines() if part.strip())
    if not line:
        return f"exit code {exit_code}" if exit_code is not None else "no message"
    return line if len(line) <= _MAX_MESSAGE_LENGTH else line[:_MAX_MESSAGE_LENGTH] + " …"
