"""`python -m tests.embedded.simulation --seeds 1000 [--first 0] [--events 12]`: run many drills."""

from __future__ import annotations

import argparse
import sys
import time

import structlog

from tests.embedded.simulation import drill


def main() -> int:
    """Run the drills; the exit code is 1 if one failed."""
    parser = argparse.ArgumentParser(description="Drills in simulated clusters.")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--events", type=int, default=12)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    failed = acknowledged = 0
    began = time.monotonic()
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        try:
            acknowledged += drill.run(seed, arguments.events).acknowledged
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the seed is what matters
            failed += 1
            print(
                f"seed {seed}: {type(error).__name__}: {error}\n  {' '.join(getattr(error, '__notes__', []))}"
            )
    seconds = time.monotonic() - began
    print(f"{arguments.seeds} drills, {acknowledged} acknowledged writes, {failed} failed, {seconds:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
