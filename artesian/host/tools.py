"""Running a tool of the system that only looks, for a limited time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

TIMEOUT_S = 5.0
_KILLED_S = 0.5  # how long a killed tool may take to disappear


class ToolTrouble(Exception):
    """A tool of the system is missing, did not answer or failed; the message is a sentence for people."""


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """How a tool ended, and what it wrote to its standard output and standard error."""

    exit_code: int
    output: str
    complaint: str


RunTool: TypeAlias = Callable[[Sequence[str]], ToolAnswer]


def run_tool(command: Sequence[str], timeout_s: float = TIMEOUT_S) -> ToolAnswer:
    """What the tool answers, whatever its exit code. Raises ToolTrouble if it is missing or too slow."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError:
        raise ToolTrouble(f"{command[0]} (util-linux) is missing") from None
    except OSError as error:
        raise ToolTrouble(f"{command[0]} cannot be started: {error.strerror}") from error
    try:
        output, complaint = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _abandon(process)
        raise ToolTrouble(f"{command[0]} did not answer within {timeout_s:g} s") from None
    return ToolAnswer(process.returncode, output, complaint.strip())


def _abandon(process: subprocess.Popen[str]) -> None:
    """Kill a tool, but do not wait for it: the kernel keeps whoever reads a dead disk, even when killed."""
    process.kill()
    try:
        process.wait(_KILLED_S)
    except subprocess.TimeoutExpired:
        pass
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
