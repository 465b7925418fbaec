"""`python -m tests.simulation --seeds 1000 [--first 0] [--remedies | --months 1]`: run many drills."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.simulation import drill, months, remedy_drill
from tests.simulation.rules import Violation

HOUR_S = 3600.0


@dataclass
class Total:
    """What many drills were like."""

    changes: int = 0
    kills: int = 0
    fault_s: float = 0.0
    begun: int = 0
    disks: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    passes: int = 0
    seconds: float = 0.0
    by_kind: Counter[str] = field(default_factory=Counter)  # seconds, of months

    def add(self, outcome: drill.Outcome | remedy_drill.Outcome | months.Life) -> None:
        """One more."""
        self.changes += outcome.changes
        self.kills += outcome.kills
        self.fault_s += outcome.fault_s
        if isinstance(outcome, remedy_drill.Outcome | months.Life):
            self.begun += outcome.begun
            self.disks += outcome.disks_made
            self.ended += outcome.remedies
        if isinstance(outcome, months.Life):
            self.passes += outcome.passes
            self.seconds += outcome.seconds
            self.by_kind += outcome.by_kind

    def tell_of_months(self) -> None:
        """Each fault counts for as long as it is in force, also several at once."""
        for kind, seconds in self.by_kind.most_common():
            print(f"{seconds / HOUR_S:9.0f} h {kind}")
        print(
            f"{self.by_kind.total() / HOUR_S:.0f} fault-hours, in {self.fault_s / HOUR_S:.0f} of "
            f"{self.seconds / HOUR_S:.0f} hours there was one at least, {self.passes} passes"
        )


def main() -> int:
    """Run the drills; the exit code is 1 if one failed."""
    parser = argparse.ArgumentParser(description="Drills of the storage framework in simulated clusters.")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--nodes", type=int, default=6)
    parser.add_argument("--ticks", type=int, default=None, help="how long things happen")
    parser.add_argument("--remedies", action="store_true", help="the longer drills, with rules and providers")
    parser.add_argument("--months", type=int, default=0, help="clusters that live so long")
    parser.add_argument("--story", action="store_true", help="tell what has happened in a seed that fails")
    arguments = parser.parse_args()
    failed: Counter[str] = Counter()
    total = Total()
    began = time.monotonic()
    gc.disable()  # looking for cycles again and again takes time, and there are few
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        try:
            total.add(_run(arguments, seed))
            gc.collect()
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the seed is what matters
            failed[error.rule if isinstance(error, Violation) else type(error).__name__] += 1
            print(f"seed {seed}: {type(error).__name__}: {error}")
            if arguments.story:
                print("\n".join(getattr(error, "__notes__", [])))
    seconds = time.monotonic() - began
    for rule, count in failed.most_common():
        print(f"{count:5} seeds failed: {rule}")
    for how, count in total.ended.most_common():
        print(f"{count:5} {how}")
    if arguments.months:
        total.tell_of_months()
    longer = arguments.remedies or arguments.months
    remedies = f"{total.begun} remedies, {total.disks} disks made, " if longer else ""
    print(
        f"{arguments.seeds} drills, {total.changes} changes, {total.kills} kills, {remedies}"
        f"{total.fault_s / HOUR_S:.1f} hours with a fault, {failed.total()} failed, {seconds:.0f} s"
    )
    return 1 if failed else 0


def _run(arguments: argparse.Namespace, seed: int) -> drill.Outcome | remedy_drill.Outcome | months.Life:
    if arguments.months:
        return months.run(seed, months=arguments.months)
    if arguments.remedies:
        return remedy_drill.run(seed, ticks=arguments.ticks or remedy_drill.TICKS)
    return drill.run(seed, nodes=arguments.nodes, ticks=arguments.ticks or drill.TICKS)


if __name__ == "__main__":
    sys.exit(main())
