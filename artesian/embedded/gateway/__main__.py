"""`python -m artesian.embedded.gateway CONFIG`: run a gateway in the foreground."""

from __future__ import annotations

import sys

from artesian.embedded.config import GatewayConfig
from artesian.embedded.gateway.server import GatewayService
from artesian.embedded.process import run_process


def main(argv: list[str]) -> int:
    """Run until SIGTERM; returns the exit code."""
    return run_process(argv, GatewayConfig, GatewayService)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
