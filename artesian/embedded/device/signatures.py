"""Whether a disk carries anything: asked of util-linux, never guessed."""

from __future__ import annotations

import json
import os
import stat
from functools import partial

from artesian.embedded.errors import DeviceError
from artesian.host.signatures import signatures_by_blkid, signatures_by_wipefs
from artesian.host.tools import ToolTrouble, run_tool

_TIMEOUT_S = 30.0
_run = partial(run_tool, timeout_s=_TIMEOUT_S)


def foreign_signature(path: str) -> str | None:
    """What is on the disk, in words; None when no tool finds anything and nobody uses it.

    Raises DeviceError when that cannot be found out: an unknown disk is never taken for an empty one.
    """
    try:
        if stat.S_ISBLK(os.stat(path).st_mode):
            used = _use(path)
            if used is not None:
                return used
        for signatures_by in (signatures_by_blkid, signatures_by_wipefs):
            for signature in signatures_by(path, _run):
                return f"{signature} signature"
    except ToolTrouble as trouble:
        raise DeviceError(f"what is on {path} is not known: {trouble}") from None
    return None


def _use(path: str) -> str | None:
    """Whether a block device is mounted, held, partitioned or read-only. Raises ToolTrouble."""
    answer = _run(("lsblk", "--json", "--output", "PATH,MOUNTPOINTS,RO,TYPE", path))
    if answer.exit_code != 0:
        raise ToolTrouble(f"lsblk cannot examine it: {answer.complaint or answer.exit_code}")
    for device in json.loads(answer.output)["blockdevices"]:
        if any(device.get("mountpoints") or []):
            return "mounted file system"
        if device.get("children"):
            return "partitions, or another device built on it"
        if device.get("ro"):
            return "write protection"
    return None
