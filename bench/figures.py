"""One measured figure, what it is held against, and what was aimed for."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`aim`: for ratios at least that; for times and sizes (`at_most`) at most that, in the figure's unit."""

    name: str
    value: float
    unit: str
    yardstick: float | None = None
    aim: float | None = None
    at_most: bool = False

    @property
    def ratio(self) -> float | None:
        return self.value / self.yardstick if self.yardstick else None

    @property
    def reached(self) -> bool | None:
        """Whether the aim was reached; None without one."""
        if self.aim is None:
            return None
        measured = self.ratio if self.ratio is not None else self.value
        return measured <= self.aim if self.at_most else measured >= self.aim

    def row(self) -> tuple[str, ...]:
        """For a table."""
        aim = "" if self.aim is None else f"{'≤' if self.at_most else '≥'} {self.aim:g}"
        return (
            self.name,
            f"{self.value:,.2f} {self.unit}" if self.value < 100 else f"{self.value:,.0f} {self.unit}",
            "" if self.yardstick is None else f"{self.yardstick:,.0f} {self.unit}",
            "" if self.ratio is None else f"{self.ratio:.2f}",
            aim,
            {True: "[green]reached[/]", False: "[yellow]short[/]", None: ""}[self.reached],
        )

    def document(self) -> dict[str, object]:
        """For JSON."""
        return {**asdict(self), "ratio": self.ratio, "reached": self.reached}
