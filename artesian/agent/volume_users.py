"""Who really uses a mounted volume, whatever was said: processes of the node, and mounts in containers."""

from __future__ import annotations

import os
from pathlib import Path

from artesian.attach import mounts, usage

_MAX_NAMED = 3


def users_of(path: Path) -> str:
    """As text; empty if nobody does. A mount of the same file system elsewhere counts, in any namespace: a
    copy at the same path, which a namespace has that was made of ours, does not."""
    mounted = mounts.mounted_at(path)
    if mounted is None:
        return ""
    device = f"{mounted.device[0]}:{mounted.device[1]}"
    at = mounts.absolute(path)
    elsewhere: list[str] = []
    seen: set[str] = set()
    for entry in sorted(filter(str.isdigit, os.listdir("/proc")), key=int):
        process = Path("/proc", entry)
        try:
            namespace = os.readlink(process / "ns" / "mnt")
            if namespace in seen:
                continue
            lines = (process / "mountinfo").read_text(errors="surrogateescape").splitlines()
            name = (process / "comm").read_text().strip()
        except OSError:
            continue  # it has ended
        seen.add(namespace)
        for line in lines:
            fields = line.split(" ")
            if fields[2] == device and fields[4] != at:
                elsewhere.append(f"{name} ({entry}), where it is mounted at {fields[4]}")
                break
    here = usage.processes_using(path)
    return ", ".join(one for one in (here, usage.the_first_of(elsewhere, _MAX_NAMED)) if one)
