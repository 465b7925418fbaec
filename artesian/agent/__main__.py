"""`python -m artesian.agent FOLDER [LOCK]`: the agent of one node; `--mesos`: as Mesos' executor.

LOCK is a descriptor that holds the folder's agent.lock already, from whoever starts the agent.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from artesian.agent import on_mesos
from artesian.agent.config import load_config
from artesian.agent.loop import Agent
from artesian.host.logs import log_as_json
from artesian.host.single import Single
from artesian.model.errors import ArtesianError

EXIT_RUNS_ALREADY = 3
EXIT_OFF = 4


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT; what it started on the node goes on."""
    if arguments == ["--mesos"]:
        return on_mesos.main(os.environ)
    if len(arguments) not in (1, 2) or not all(one.isdecimal() for one in arguments[1:]):
        print("usage: python -m artesian.agent FOLDER [LOCK] | --mesos", file=sys.stderr)
        return 2
    folder = Path(arguments[0]).resolve()
    inherited = int(arguments[1]) if len(arguments) > 1 else None
    single = Single(folder, "agent")
    try:
        if not single.be_it(inherited):
            print(f"error: the agent of {folder} runs already", file=sys.stderr)
            return EXIT_RUNS_ALREADY
        if (folder.parent / "off").exists():
            print(f"error: the node of {folder} is switched off", file=sys.stderr)
            return EXIT_OFF
        single.name_it(os.getpid())
        log_as_json(sys.stdout)
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
