"""`dvdcli` as a file of its own on each node: Mesos' agents run it by name, a dozen times for each task."""

from __future__ import annotations

import sys
from pathlib import Path

from artesian.host.files import write_durably
from artesian.volumes import dvdcli

_LONGEST_LINE = 127  # that every kernel reads
_OF_ANY_PYTHON = "#!/usr/bin/env python3"


def shim() -> str:
    """A program that needs nothing but Python: the command's own text, and who is to run it."""
    return dvdcli.program(_first_line(sys.executable))


def write_shim(path: Path) -> None:
    """Write it, unless it is there as it should be. Raises OSError."""
    text = shim()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    try:
        if path.read_text() == text and path.stat().st_mode & 0o777 == 0o755:
            return
    except (OSError, UnicodeDecodeError):
        pass
    write_durably(path, text, 0o755)


def _first_line(python: str) -> str:
    line = f"#!{python} -IS"  # no site packages: it starts in the time that Python itself takes
    return line if python and " " not in python and len(line) <= _LONGEST_LINE else _OF_ANY_PYTHON
