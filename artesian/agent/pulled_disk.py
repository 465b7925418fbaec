"""Taking a disk out of a node whose disks are files, and putting it back: no byte of it is lost.

Its file gets a hidden name in the same folder, where it is no disk any more; whoever has it open is made to
let go. Both may be repeated.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from artesian.agent.disks.files import look_at


def find(dev: Path | None, identity: str) -> Path:
    """The path of the disk with an identity. Raises ValueError if there is none."""
    if dev is None:
        raise ValueError("the disks of this node are no files, and cannot be taken out")
    for path in sorted(dev.iterdir()):
        facts = look_at(str(path)) if not path.name.startswith(".") else None
        if facts is not None and facts.identity == identity:
            return path
    raise ValueError(f"there is no disk {identity} on this node")


def pull(path: Path, fault_id: str) -> None:
    """Take it out. Raises OSError."""
    hidden = _hidden(path, fault_id)
    if not hidden.exists():
        path.rename(hidden)


def put_back(path: Path, fault_id: str) -> None:
    """Under its old name, or one like it if another disk has that by now. Raises OSError."""
    hidden = _hidden(path, fault_id)
    number = 0
    while hidden.exists():
        name = path if number == 0 else path.with_name(f"{path.name}-{number}")
        with contextlib.suppress(FileExistsError):  # the same file, if we were killed just here before
            os.link(hidden, name)
        if name.samefile(hidden):
            hidden.unlink()
        number += 1


def _hidden(path: Path, fault_id: str) -> Path:
    return path.with_name(f".{path.name}.pulled-{fault_id}")
