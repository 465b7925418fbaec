"""The agent as one self-contained file: our code and the libraries that it needs on a node."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

from artesian.host.packaging import Contents, ensure

AGENT = Contents(
    "the agent",
    "artesian.agent",
    libraries=(
        "uvloop",
        "xxhash",
        "pysyncobj",
        "starlette",
        "uvicorn",
        "httptools",
        "cryptography",
        "pydantic",
        "PyYAML",
        "structlog",
    ),
    left_out=frozenset(
        {"api", "cli", "scheduler", "drill", "planner", "strategy", "store", "clusters"},
    ),
)


@dataclass(frozen=True, slots=True)
class AgentFile:
    """The file's bytes, and their SHA-256 in hexadecimal."""

    content: bytes
    sha256: str


class AgentFiles:
    """Makes the file when it is asked for first, and keeps it. `folder` is where it is made, or was."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "agent.pyz"
        self._lock = threading.Lock()
        self._made: AgentFile | None = None

    def get(self) -> AgentFile:
        """The file; the same bytes for the same versions of everything in it."""
        with self._lock:
            if self._made is None:
                ensure(self._path, AGENT)
                content = self._path.read_bytes()
                self._made = AgentFile(content, hashlib.sha256(content).hexdigest())
            return self._made
