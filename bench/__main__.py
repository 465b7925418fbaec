"""`python -m bench [--quick] [--only NAME …]`: measure, print tables, and with `--report FILE` write JSON.

Figures of a shared machine move about; ratios to a yardstick that was measured in the same run, turn by turn,
move less. Each figure is the median of its rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import (
    ceph,
    data_path,
    drills,
    events,
    footprint,
    framework,
    mesos,
    mounted_path,
    planning,
    remedies,
)
from bench.figures import Figure

SUITES: dict[str, Callable[[bool], list[Figure]]] = {
    "data": data_path.measure,
    "mounted": mounted_path.measure,
    "events": events.measure,
    "footprint": footprint.measure,
    "framework": framework.measure,
    "planning": planning.measure,
    "drills": drills.measure,
    "remedies": remedies.measure,
    "mesos": mesos.measure,
    "ceph": ceph.measure,
}


def main() -> int:
    """Run the suites and print what they found."""
    parser = argparse.ArgumentParser(description="Measure the embedded engine and the framework.")
    parser.add_argument("--quick", action="store_true", help="shorter rounds")
    parser.add_argument("--only", nargs="*", choices=sorted(SUITES), help="only these")
    parser.add_argument("--report", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    console = Console(width=120)
    figures: list[Figure] = []
    for name in arguments.only or SUITES:
        console.print(f"[dim]measuring: {name} …[/]")
        figures += SUITES[name](arguments.quick)
    table = Table("what", "measured", "yardstick", "ratio", "aim", "", title="What was measured")
    for figure in figures:
        table.add_row(*figure.row())
    console.print(table)
    if arguments.report:
        arguments.report.write_text(json.dumps([figure.document() for figure in figures], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
