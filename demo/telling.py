"""Telling a story whose every claim is verified."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from demo.database import Load

ROWS = 150


class Story:
    """Tells what happens, and remembers what was checked."""

    def __init__(self, console: Console, stall_limit_s: float) -> None:
        """`stall_limit_s`: how long no commit may wait, whatever dies."""
        self.console = console
        self._stall_limit_s = stall_limit_s
        self.checks: list[dict[str, Any]] = []

    def chapter(self, text: str) -> None:
        """A new part begins."""
        self.console.print(f"\n[bold cyan]{text}[/]")

    def show(self, text: str) -> None:
        """What a command printed."""
        for line in text.rstrip().splitlines():
            self.console.print(f"  {line.rstrip()}", style="dim", markup=False, highlight=False)

    def check(self, claim: str, holds: bool, **figures: float) -> None:
        """One claim, and whether it holds."""
        self.checks.append({"claim": claim, "holds": holds, **figures})
        shown = "".join(f"  {name.replace('_', ' ')}: {value:g}" for name, value in figures.items())
        self.console.print(
            f"  [{'green' if holds else 'bold red'}]{'✓' if holds else '✗'}[/] {claim}[dim]{shown}[/]"
        )

    def survives(self, load: Load, claim: str, name: str) -> None:
        """The database goes on committing, and no commit waited longer than the limit."""
        went_on = load.wait_for(ROWS, 90.0)
        stall_s = round(load.longest_wait_s, 3)
        load.longest_wait_s = 0.0
        problem = f" ({load.error})" if load.error else ""
        figures = {f"{name}_longest_commit_s": stall_s}
        self.check(f"{claim}{problem}", went_on and stall_s <= self._stall_limit_s, **figures)

    @property
    def holds(self) -> bool:
        """Whether everything did so far."""
        return all(check["holds"] for check in self.checks)
