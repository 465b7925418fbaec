"""`python -m artesian.embedded.sdc CONFIG`: run one client in the foreground."""

import sys

from artesian.embedded.config import SdcConfig
from artesian.embedded.memory import keep_large_buffers
from artesian.embedded.process import run_process
from artesian.embedded.sdc.process import StorageClient


def main(argv: list[str]) -> int:
    """Run until SIGTERM; returns the exit code."""
    keep_large_buffers()
    return run_process(argv, SdcConfig, StorageClient)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
