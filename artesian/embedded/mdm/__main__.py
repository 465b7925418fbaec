"""`python -m artesian.embedded.mdm CONFIG`: run a manager in the foreground."""

from __future__ import annotations

import sys

from artesian.embedded.config import MdmConfig
from artesian.embedded.mdm.process import Manager
from artesian.embedded.process import run_process


def main(argv: list[str]) -> int:
    """Run until SIGTERM; returns the exit code."""
    return run_process(argv, MdmConfig, Manager)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
