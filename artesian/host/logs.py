"""A log must not be the end of what it tells about: with a full disk, lines are lost and nothing else."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TextIO, cast

import structlog


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


def log_as_json(stream: TextIO, level: int = logging.NOTSET) -> None:
    """JSON lines, each with its level and time. A traceback shows no values: they may be secrets."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(forgiving(stream)),
    )


def last_line(log: Path) -> str:
    """What a log says last."""
    try:
        lines = log.read_bytes()[-4000:].decode(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "it said nothing"
