"""`python -m artesian.embedded.sds CONFIG`: run one server in the foreground."""

import sys

from artesian.embedded.config import SdsConfig
from artesian.embedded.memory import keep_large_buffers
from artesian.embedded.process import run_process
from artesian.embedded.sds.process import StorageServer


def main(argv: list[str]) -> int:
    """Run until SIGTERM; returns the exit code."""
    keep_large_buffers()
    return run_process(argv, SdsConfig, StorageServer)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
