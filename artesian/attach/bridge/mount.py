"""Mounting: gives the descriptor through which the kernel talks to us."""

from __future__ import annotations

import array
import ctypes
import os
import socket
import subprocess
from pathlib import Path

from artesian.attach import tools
from artesian.attach.bridge.fuse_protocol import MAX_WRITE_BYTES
from artesian.attach.errors import ToolFailed

_MS_NOSUID, _MS_NODEV = 2, 4
_FILE_MODE = 0o100600


def mount(file: Path, source: str) -> int:
    """Mount over `file`, as root by ourselves, else by fusermount3. Raises ToolFailed."""
    return _mount_as_root(file, source) if os.geteuid() == 0 else _mount_by_helper(file, source)


def _mount_as_root(file: Path, source: str) -> int:
    try:
        descriptor = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ToolFailed(f"/dev/fuse cannot be opened: {error.strerror}") from None
    options = f"fd={descriptor},rootmode={_FILE_MODE:o},user_id=0,group_id=0,max_read={MAX_WRITE_BYTES}"
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.mount(
        source.encode(), os.fsencode(file), b"fuse.artesian", _MS_NOSUID | _MS_NODEV, options.encode()
    )
    if result != 0:
        os.close(descriptor)
        raise ToolFailed(f"FUSE cannot be mounted: {os.strerror(ctypes.get_errno())}")
    return descriptor


def _mount_by_helper(file: Path, source: str) -> int:
    """fusermount3 is set-uid root; it hands us the descriptor over a socket."""
    helper = tools.find("fusermount3")
    if helper is None:
        raise ToolFailed("fusermount3 is not installed")
    ours, theirs = socket.socketpair()
    escaped = source.replace("\\", "\\\\").replace(",", "\\,")
    with ours, theirs:
        result = subprocess.run(
            [helper, "-o", f"fsname={escaped},subtype=artesian,max_read={MAX_WRITE_BYTES}", "--", str(file)],
            env=os.environ | {"_FUSE_COMMFD": str(theirs.fileno())},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            check=False,
        )
        if result.returncode != 0:
            raise ToolFailed(f"fusermount3: {tools.summary(result.stderr.decode(errors='replace'))}")
        ours.settimeout(10)
        descriptors = array.array("i")
        _, ancillary, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(descriptors.itemsize))
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: descriptors.itemsize])
    if not descriptors:
        raise ToolFailed("fusermount3 gave no descriptor")
    os.set_blocking(descriptors[0], False)
    os.set_inheritable(descriptors[0], False)
    return descriptors[0]
