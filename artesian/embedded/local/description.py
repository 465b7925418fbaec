"""What an engine on this machine consists of: written once when it is made, and whenever it grows.

The description is the wish; what is true is with the managers and the operating system. Disks and nodes are
marked once the engine has taken them, so that one which was removed on purpose does not come back by itself.
"""

from __future__ import annotations

import secrets
import uuid
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

from artesian.embedded.config import Guid, Ip, ManagerRole, Port, load_config
from artesian.embedded.local.errors import InTheWay, NotThere
from artesian.host.files import write_durably

FILE_NAME = "engine.yaml"
FORMAT = 1
MAX_NODES = 200
MAX_DISKS_PER_NODE = 64
MIN_DISK_BYTES = 64 << 20


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DiskDescription(_Part):
    """A file that stands for a disk. `taken`: the engine was told to use it."""

    number: Annotated[int, Field(ge=1)]
    size_bytes: Annotated[int, Field(ge=MIN_DISK_BYTES)]
    taken: bool = False


class NodeDescription(_Part):
    """A "machine": an address of its own, a server, a client, and disks."""

    number: Annotated[int, Field(ge=1, le=MAX_NODES)]
    ip: Ip
    sds_port: Port
    guid: Guid
    fault_set: Annotated[int, Field(ge=1)] | None = None
    disks: list[DiskDescription]
    taken: bool = False

    @property
    def name(self) -> str:
        return f"node-{self.number}"

    def disk(self, number: int) -> DiskDescription:
        """Raises NotThere."""
        for disk in self.disks:
            if disk.number == number:
                return disk
        raise NotThere(f"{self.name} has no disk {number}")

    def add_disk(self, size_bytes: int) -> DiskDescription:
        """A disk with a number that no disk of this node has now."""
        number = max((disk.number for disk in self.disks), default=0) + 1
        self.disks.append(DiskDescription(number=number, size_bytes=size_bytes))
        return self.disks[-1]


class ManagerDescription(_Part):
    name: str
    node: int
    ip: Ip
    raft_port: Port
    control_port: Port
    role: ManagerRole


class EngineDescription(_Part):
    """`folder` is where the engine was made: paths in it are known to the managers."""

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)] = FORMAT
    name: str
    folder: str
    network: str  # the first three numbers of every address, "127.12.34"
    disks_per_node: Annotated[int, Field(ge=0, le=MAX_DISKS_PER_NODE)]
    disk_size_bytes: Annotated[int, Field(ge=MIN_DISK_BYTES)]
    fault_sets: Annotated[int, Field(ge=0)]
    gateway_ip: Ip
    gateway_port: Port
    managers: list[ManagerDescription]
    nodes: list[NodeDescription]
    system_id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    bootstrapped: bool = False

    def node(self, number: int) -> NodeDescription:
        """Raises NotThere."""
        for node in self.nodes:
            if node.number == number:
                return node
        known = ", ".join(str(node.number) for node in self.nodes)
        raise NotThere(f"there is no node {number}; there are {known}")

    @property
    def manager_addresses(self) -> list[tuple[str, int]]:
        """Where the managers answer requests."""
        return [(manager.ip, manager.control_port) for manager in self.managers]

    @property
    def gateway_url(self) -> str:
        return f"https://{self.gateway_ip}:{self.gateway_port}"


def load(folder: Path) -> EngineDescription:
    """Read the description of the engine in this folder. Raises NotThere, ConfigError."""
    path = folder / FILE_NAME
    if not path.exists():
        raise NotThere(f"there is no engine in {folder} (no {FILE_NAME})")
    description = load_config(EngineDescription, path)
    if description.folder != str(folder.resolve()):
        raise InTheWay(
            f"the engine in {folder} was made in {description.folder}, and its managers know it by that "
            "path; move it back there"
        )
    return description


def save(folder: Path, description: EngineDescription) -> None:
    """Durable when it returns; a crash leaves the old one or the new one."""
    text = yaml.safe_dump(description.model_dump(mode="json"), sort_keys=False)
    write_durably(folder / FILE_NAME, text, 0o644)


def new_system_id() -> str:
    """The identity of an engine."""
    return secrets.token_hex(8)


def new_guid() -> str:
    """The identity of a client."""
    return str(uuid.uuid4()).upper()
