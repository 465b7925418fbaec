"""What is mounted, as the kernel says."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    path: str
    source: str
    fstype: str
    device: tuple[int, int]  # major and minor number of the file system
    read_only: bool


def mounts() -> list[Mount]:
    """Everything mounted in our namespace, in the order of mounting."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        fields, more = before.split(" "), after.split(" ")
        major, _, minor = fields[2].partition(":")
        read_only = "ro" in fields[5].split(",") or "ro" in more[2].split(",")
        found.append(
            Mount(_unescape(fields[4]), _unescape(more[1]), more[0], (int(major), int(minor)), read_only)
        )
    return found


def mounted_at(path: Path) -> Mount | None:
    """The file system that is mounted at exactly this path (the topmost one)."""
    wanted = absolute(path)
    return next((mount for mount in reversed(mounts()) if mount.path == wanted), None)


def mounts_of_device(device: Path) -> list[Mount]:
    """Every mount of this block device."""
    number = device_number(device)
    return [mount for mount in mounts() if mount.device == number] if number else []


def device_number(device: Path) -> tuple[int, int] | None:
    """Major and minor number of a block device; None if it is none."""
    try:
        status = os.stat(device)
    except OSError:
        return None
    if not status.st_rdev or (status.st_mode & 0o170000) != 0o060000:
        return None
    return os.major(status.st_rdev), os.minor(status.st_rdev)


def absolute(path: Path) -> str:
    """The path as the mount table has it. The last part is not looked at: it may be a dead mount."""
    path = Path(os.path.abspath(path))
    return str(path.parent.resolve() / path.name) if path.name else "/"


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)
