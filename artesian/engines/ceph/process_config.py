"""What one process of ours on a node has to know: a JSON file, read again whenever it matters."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any


class Role(StrEnum):
    """What a process is, in the order in which all of them are ended."""

    CLIENT = "client"
    VOLUME = "volume"
    PACKAGES = "packages"
    CLEARING = "clearing"
    OSD = "osd"
    MGR = "mgr"
    MON = "mon"


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """`monitors` are all that are known, as Ceph writes their addresses; `entity` is a monitor's or a
    manager's name.

    Of a monitor: `members` are names and addresses of those that begin the cluster if it `is_new`, `mgrs`
    the names of managers. Of an OSD: `uuid`, and `paths` by which its disk may be found, the best first.
    Of a client: its `guid`. Of a volume: `volume_id`, and the `token` of its being mapped.
    """

    role: Role
    name: str
    folder: str
    fsid: str
    monitors: tuple[str, ...]
    node: str
    address: str
    entity: str = ""
    is_new: bool = False
    members: tuple[tuple[str, str], ...] = ()
    mgrs: tuple[str, ...] = ()
    uuid: str = ""
    paths: tuple[str, ...] = ()
    small: bool = False  # its memory is to be small
    guid: str = ""
    volume_id: str = ""
    token: str = ""
    size_bytes: int = 0

    @property
    def home(self) -> Path:
        """Everything of Ceph on this node is below."""
        return Path(self.folder)

    @property
    def data(self) -> Path:
        """What the process itself keeps."""
        return self.home / self.name

    @property
    def conf(self) -> Path:
        return self.home / "ceph.conf"

    @property
    def secret(self) -> str:
        """The engine's. Raises OSError."""
        return (self.home / "secret").read_text().strip()

    def to_text(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"


def volume_socket(volume_id: str) -> str:
    """Where a volume is offered, as seen from the node's folder: in a folder of its own, which is there as
    long as this node has a right to the volume, be it offered at the moment or not."""
    return f"run/{volume_id}/nbd.sock"


def read_config(path: Path) -> ProcessConfig:
    """Raises OSError, or ValueError if it is not one of ours."""
    document = json.loads(path.read_text())
    known = {field.name for field in fields(ProcessConfig)}
    values: dict[str, Any] = {key: _tuples(value) for key, value in dict(document).items() if key in known}
    try:
        return ProcessConfig(**{**values, "role": Role(values["role"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is no config: {error}") from None


def _tuples(value: object) -> object:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
