"""A log must not be the end of what it tells about: with a full disk, lines are lost and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO, cast


class _Forgiving:
    """Writes to a stream, and drops what the stream does not take."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except (OSError, ValueError):  # no space, no reader, closed, or a character that it cannot hold
            pass
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            pass


def forgiving(stream: TextIO) -> TextIO:
    """The stream as one that a logger can write to: neither `write` nor `flush` raises."""
    return cast(TextIO, _Forgiving(stream))


def last_line(log: Path) -> str:
    """What a log says last."""
    try:
        lines = log.read_bytes()[-4000:].decode(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "it said nothing"
