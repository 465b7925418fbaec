"""What healing is allowed to do, and what it decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class HealingPolicy:
    """The patience and the measure of healing, for all pools; how much it may disturb is each pool's own.

    Slices smaller than `batch_bytes` are joined together, up to `batch_limit` at once in the place of one,
    because the managers' rounds, not the disks, would else set the pace.
    """

    rebuild_after_s: float = 15.0  # how long a server may be away before its copies are remade elsewhere
    opening_after_s: float = 300.0  # how long a connected server may take to open a device
    abandon_after_s: float = 5.0  # how long a join waits for a server that is away
    unlimited_concurrency: int = 16  # slices that a device joins at once under the policy "unlimited"
    batch_bytes: int = 16 * MIB
    batch_limit: int = 32
    busy_operations_per_s: float = 20.0  # above either, a pool's applications count as busy
    busy_bytes_per_s: float = 4.0 * MIB


@dataclass(slots=True)
class Decision:
    """The commands to give now, in this order; why; and what people should know."""

    commands: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    because: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def human_bytes(size_bytes: float) -> str:
    """A size for a sentence: "1.5 GiB"."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}" if unit == "bytes" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"


def counted(number: int, noun: str) -> str:
    """A number and its noun for a sentence: "1 slice", "2 slices", "3 copies"."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}s"
