"""Shows an NBD export as a file, or as one of the kernel's NBD devices.

python -m artesian.attach.bridge [--read-only] file [--cached] FILE ADDRESS
python -m artesian.attach.bridge [--read-only] device /dev/nbdN ADDRESS
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
from pathlib import Path

from artesian.attach.address import NbdAddress, open_export
from artesian.attach.bridge.bridge import Bridge, Front
from artesian.attach.bridge.fuse_front import FuseFront
from artesian.attach.bridge.kernel_device import KernelDevice
from artesian.attach.bridge.kernel_front import KernelFront
from artesian.attach.bridge.mount import mount
from artesian.attach.errors import AttachError

_PR_SET_NAME, _PR_SET_IO_FLUSHER = 15, 57
_OUT_OF_MEMORY_SCORE = "-900"


def main(arguments: list[str]) -> int:
    """Works until the device is let go or SIGTERM comes; returns the exit code."""
    options = _parse(arguments)
    _prepare_process()
    try:
        address = NbdAddress.parse(options.address)
        connection, export = open_export(address)
        read_only = options.read_only or export.read_only
        device: KernelDevice | None = None
        if options.kind == "file":
            front: Front = FuseFront(mount(options.path, options.address), options.cached)
        else:
            device = KernelDevice(options.path, export, read_only)
            front = KernelFront(device.socket, device.resized)
    except AttachError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    Bridge(front, address, connection, export, read_only=read_only).run()
    if device is not None:
        device.close()
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m artesian.attach.bridge")
    parser.add_argument("--read-only", action="store_true")
    kinds = parser.add_subparsers(dest="kind", required=True)
    file = kinds.add_parser("file", help="mount over an existing file")
    file.add_argument("--cached", action="store_true", help="for a file that is used without a loop device")
    device = kinds.add_parser("device", help="connect one of the kernel's NBD devices")
    for kind in (file, device):
        kind.add_argument("path", type=Path)
        kind.add_argument("address", help="nbd+unix:///NAME?socket=PATH")
    return parser.parse_args(arguments)


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
