"""What an agent remembers of a drill's fault: written down durably before there is anything to undo."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from artesian.host.files import write_durably
from artesian.host.processes import ProcessIdentity, boot_id
from artesian.model.drill import DrillKind, Fault


class Stage(StrEnum):
    """How far a fault has come on its node."""

    INTENDED = "intended"  # something of it may have been done
    ACTING = "acting"
    OVER = "over"  # undone; it is not done again


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """A fault, since when it is there (seconds of this boot), and whom or what it hits.

    `victims` are processes by name. `path` is what the disk was called that is taken away.
    """

    fault: Fault
    stage: Stage
    boot_id: str
    began_s: float
    victims: Mapping[str, ProcessIdentity] = field(default_factory=dict)
    path: str = ""

    def is_due(self, now_s: float) -> bool:
        """Whether it has to be undone by now: its time is over, or the machine was started anew."""
        return self.boot_id != boot_id() or now_s - self.began_s >= self.fault.hold_s


def save(folder: Path, record: FaultRecord) -> None:
    """Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_durably(folder / f"{record.fault.id}.json", json.dumps(asdict(record)) + "\n", 0o600)


def load_all(folder: Path) -> tuple[dict[str, FaultRecord], dict[Path, str]]:
    """The records by id; and why those that cannot be read cannot, by file: the others count all the same, as
    what they name has to be undone. Raises OSError if the folder cannot be listed."""
    found: dict[str, FaultRecord] = {}
    unreadable: dict[Path, str] = {}
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        if path.suffix != ".json":
            continue
        try:
            record = _record(json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            unreadable[path] = f"{type(error).__name__}: {error}"
        else:
            found[record.fault.id] = record
    return found, unreadable


def _record(document: dict[str, Any]) -> FaultRecord:
    values = document.pop("fault")
    victims = {name: ProcessIdentity(**one) for name, one in document.pop("victims").items()}
    stage = Stage(document.pop("stage"))
    fault = Fault(**{**values, "kind": DrillKind(values["kind"])})
    return FaultRecord(fault, stage, victims=victims, **document)


def forget(folder: Path, fault_id: str) -> None:
    """Once it is over, and not assigned any more."""
    (folder / f"{fault_id}.json").unlink(missing_ok=True)
