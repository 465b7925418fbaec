"""Under which restart each process of a node was started: written down before it is, while none runs.

So whoever reads it later, after whatever crash, knows it of the process that runs now.
"""

from __future__ import annotations

from pathlib import Path

from artesian.host.files import write_durably


def remember(run: Path, name: str, number: int) -> None:
    """Of a process that does not run, and is about to. Raises OSError."""
    if started_under(run, name) != number:
        write_durably(_file(run, name), f"{number}\n", 0o600)


def started_under(run: Path, name: str) -> int:
    """0 if nothing is known: then it is restarted once more than it has to be."""
    try:
        return int(_file(run, name).read_text())
    except (OSError, ValueError):
        return 0


def _file(run: Path, name: str) -> Path:
    return run / f"{name}.started"
