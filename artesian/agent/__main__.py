"""`python -m artesian.agent FOLDER`: the agent of one node."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from artesian.agent.config import load_config
from artesian.agent.loop import Agent
from artesian.model.errors import ArtesianError


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT; what it started on the node goes on."""
    if len(arguments) != 1:
        print("usage: python -m artesian.agent FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0]).resolve()
    try:
        agent = Agent(folder, load_config(folder))
    except (ArtesianError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    agent.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
