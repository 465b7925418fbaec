"""How it is with a node, as a substrate may want to know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodeStanding:
    """`reports`: its agent does, the last time at `heard_s` (the scheduler's clock). `away`: nobody can reach
    it. `needed_for`: why the cluster cannot do without it now, in words; empty if it can."""

    reports: bool
    away: bool
    needed_for: str
    heard_s: float = float("-inf")
