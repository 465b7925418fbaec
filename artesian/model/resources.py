"""What a program takes of a node's processors and memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Resources:
    """What a role or a task takes of a node, or what a node has."""

    cpus: float = 0.0
    memory_bytes: int = 0

    def fits_in(self, other: Resources) -> bool:
        """Whether that has room for this."""
        return self.cpus <= other.cpus + 1e-9 and self.memory_bytes <= other.memory_bytes

    def __str__(self) -> str:
        return f"{self.cpus:g} processors and {self.memory_bytes // _MIB} MiB of memory"


def total(parts: Iterable[Resources]) -> Resources:
    """All of these together."""
    parts = list(parts)
    cpus = round(sum(one.cpus for one in parts), 6)
    return Resources(cpus, sum(one.memory_bytes for one in parts))
