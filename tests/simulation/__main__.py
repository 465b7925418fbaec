"""`python -m tests.simulation --seeds 1000 [--first 0] [--nodes 6]`: run many drills."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.simulation import drill
from tests.simulation.watch import Violation


def main() -> int:
    """Run the drills; the exit code is 1 if one failed."""
    parser = argparse.ArgumentParser(description="Drills of the storage framework in simulated clusters.")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--nodes", type=int, default=6)
    parser.add_argument("--ticks", type=int, default=150)
    parser.add_argument("--story", action="store_true", help="tell what has happened in a seed that fails")
    arguments = parser.parse_args()
    failed: Counter[str] = Counter()
    changes = kills = 0
    began = time.monotonic()
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        try:
            outcome = drill.run(seed, nodes=arguments.nodes, ticks=arguments.ticks)
            changes += outcome.changes
            kills += outcome.kills
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the seed is what matters
            failed[error.rule if isinstance(error, Violation) else type(error).__name__] += 1
            print(f"seed {seed}: {type(error).__name__}: {error}")
            if arguments.story:
                print("\n".join(getattr(error, "__notes__", [])))
    seconds = time.monotonic() - began
    for rule, count in failed.most_common():
        print(f"{count:5} seeds failed: {rule}")
    print(
        f"{arguments.seeds} drills, {changes} changes, {kills} kills, "
        f"{failed.total()} failed, {seconds:.0f} s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
