"""Where `artesian` begins: `dvdcli` is run many times for each container, and loads nothing else."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs a command; gives its exit code."""
    if sys.argv[1:2] == ["dvdcli"]:
        from artesian.volumes import dvdcli

        return dvdcli.main(sys.argv[2:])
    from artesian.cli.main import main as whole

    return whole()
