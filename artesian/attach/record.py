"""What is written down about an attachment, before anything is done about it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from artesian.attach.errors import AttachError
from artesian.host import files

_FILE = "attachment.json"
_LOCK = "attachment.lock"


class Phase(StrEnum):
    ATTACHING = "attaching"
    ATTACHED = "attached"
    DETACHING = "detaching"


@dataclass(frozen=True, slots=True)
class Record:
    """`mount_path` and `fstype` are the wish to have a file system mounted; the kernel says if it is.

    `making`: the file system is being made, so that what a crash leaves of it may be overwritten.
    `generation`: which of the volume's attachments, one after the other, this is.
    """

    uri: str
    driver: str
    read_only: bool
    phase: Phase
    device: str | None = None
    mount_path: str | None = None
    fstype: str | None = None
    making: bool = False
    passed_over: dict[str, str] = field(default_factory=dict)
    generation: int = 0

    @property
    def device_path(self) -> Path | None:
        return Path(self.device) if self.device is not None else None

    def with_phase(self, phase: Phase) -> Record:
        return replace(self, phase=phase)

    def attached_as(self, device: Path) -> Record:
        return replace(self, phase=Phase.ATTACHED, device=str(device))

    def with_mount(self, path: str | None, fstype: str | None, making: bool = False) -> Record:
        return replace(self, mount_path=path, fstype=fstype, making=making)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One at a time works on an attachment. Creates the folder."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with files.locked(folder / _LOCK):
        yield


def load(folder: Path) -> Record | None:
    """Raises AttachError if there is a record that cannot be understood."""
    try:
        document: dict[str, Any] = json.loads((folder / _FILE).read_bytes())
        return Record(**(document | {"phase": Phase(document["phase"])}))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise AttachError(f"{folder / _FILE} is not a record of an attachment: {error}") from None


def save(folder: Path, record: Record) -> None:
    """Durable when it returns."""
    temporary = folder / (_FILE + ".new")
    with temporary.open("w") as file:
        json.dump(asdict(record), file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / _FILE)
    _sync_folder(folder)


def remove(folder: Path) -> None:
    (folder / _FILE).unlink(missing_ok=True)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
