"""What blkid, wipefs and the kernel say of a disk. Only ever reads."""

from __future__ import annotations

import errno
import json
import os

from artesian.host.tools import RunTool, ToolTrouble, run_tool

AMBIVALENT = "ambivalent"  # the signature of a disk on which blkid finds several that contradict
_UNKNOWN = "unknown"
_BLKID_NOTHING_FOUND = 2
_BLKID_AMBIVALENT = 8


def signatures_by_blkid(path: str, run: RunTool = run_tool) -> list[str]:
    """What blkid finds; nothing on an empty disk. Raises ToolTrouble."""
    answer = run(("blkid", "-p", "-o", "export", path))
    if answer.exit_code == 0:
        fields = dict(line.split("=", 1) for line in answer.output.splitlines() if "=" in line)
        named = [fields[key] for key in ("TYPE", "PTTYPE") if fields.get(key)]
        return named or [fields.get("USAGE") or _UNKNOWN]
    if answer.exit_code == _BLKID_AMBIVALENT:
        return [AMBIVALENT]
    # blkid has the same exit code for a disk that it could not open: then it complains.
    if answer.exit_code == _BLKID_NOTHING_FOUND and not answer.complaint:
        return []
    raise ToolTrouble(f"blkid cannot examine it: {answer.complaint or f'exit code {answer.exit_code}'}")


def signatures_by_wipefs(path: str, run: RunTool = run_tool) -> list[str]:
    """What wipefs would remove; nothing on an empty disk. Raises ToolTrouble."""
    answer = run(("wipefs", "--json", "--no-act", path))
    if answer.exit_code != 0:
        raise ToolTrouble(f"wipefs cannot examine it: {answer.complaint or f'exit code {answer.exit_code}'}")
    if not answer.output.strip():
        return []  # what versions before 2.38 print for an empty disk
    try:
        return [str(entry.get("type") or _UNKNOWN) for entry in json.loads(answer.output)["signatures"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolTrouble(f"wipefs is not understood: {error!r}") from error


def is_held_exclusively(path: str) -> bool:
    """Whether the kernel refuses a block device: it is mounted, swapped to or a member, in any namespace.
    Raises OSError."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return True
        raise
    return False
