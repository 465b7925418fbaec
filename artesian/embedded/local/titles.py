"""The names of our processes in `ps` and `top`.

Processes that were forked would all show the command line of their common parent. The kernel shows whatever
is in the memory where the command line was put at the start, so the new one is written there; it can be no
longer than the old one.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

_PR_SET_NAME = 15
_ARG_START, _ARG_END = 47, 48  # of /proc/self/stat, counted from 0
ROOM = "-" * 200
"""An argument for a process whose children are to have long names."""


def set_title(title: str, short: str) -> None:
    """`title` for `ps -f`, `short` (15 characters) for `ps` and `top`. What cannot be set is left."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NAME, short.encode()[:15], 0, 0, 0)
    text = Path("/proc/self/stat").read_bytes()
    fields = text[text.rindex(b")") + 2 :].split()
    start, end = int(fields[_ARG_START - 2]), int(fields[_ARG_END - 2])
    if 0 < start < end:
        data = title.encode()[: end - start - 1]
        ctypes.memmove(start, data + bytes(end - start - len(data)), end - start)
