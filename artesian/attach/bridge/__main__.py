"""`python -m artesian.attach.bridge [--read-only] [--cached] FILE ADDRESS`: show an NBD export as FILE."""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
from pathlib import Path

from artesian.attach.address import NbdAddress, open_export
from artesian.attach.bridge.bridge import Bridge
from artesian.attach.bridge.mount import mount
from artesian.attach.errors import AttachError

_PR_SET_NAME, _PR_SET_IO_FLUSHER = 15, 57
_OUT_OF_MEMORY_SCORE = "-900"


def main(arguments: list[str]) -> int:
    """Works until the file is unmounted or SIGTERM comes; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m artesian.attach.bridge")
    parser.add_argument("file", type=Path, help="an existing file, over which the volume is mounted")
    parser.add_argument("address", help="nbd+unix:///NAME?socket=PATH")
    parser.add_argument("--read-only", action="store_true")
    parser.add_argument("--cached", action="store_true", help="for a file that is used without a loop device")
    options = parser.parse_args(arguments)
    _prepare_process()
    try:
        address = NbdAddress.parse(options.address)
        connection, export = open_export(address)
        descriptor = mount(options.file, options.address)
    except AttachError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    read_only = options.read_only or export.read_only
    Bridge(descriptor, address, connection, export, read_only=read_only, cached=options.cached).run()
    return 0


def _prepare_process() -> None:
    """The kernel may need us to write memory out, so we must neither be killed for lack of it nor wait for
    it. Best effort: both want rights that not everybody has."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NAME, b"artesian-bridge", 0, 0, 0)
    libc.prctl(_PR_SET_IO_FLUSHER, 1, 0, 0, 0)
    try:
        Path("/proc/self/oom_score_adj").write_text(_OUT_OF_MEMORY_SCORE)
    except OSError:
        pass
    os.umask(0o077)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
