"""Where everything is in an engine's folder, and writing the files that the processes need."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import yaml

from artesian.embedded.config import GatewayConfig, ManagerPeer, MdmConfig, SdcConfig, SdsConfig
from artesian.embedded.local.description import (
    DiskDescription,
    EngineDescription,
    NodeDescription,
)
from artesian.embedded.local.errors import InTheWay
from artesian.host.files import try_lock, write_durably, write_if_changed

USER = "admin"
POOL = "default"  # the storage pool that every disk is put into


class Role(StrEnum):
    MDM = "mdm"
    SDS = "sds"
    SDC = "sdc"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class ProcessPlace:
    """One process of an engine: what it is, and where its files are. The gateway is on no node."""

    role: Role
    name: str
    node: int | None
    config: Path
    log: Path
    pid_file: Path


class Layout:
    """The paths of an engine's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.secret = self.folder / "secret"
        self.password = self.folder / "admin-password"
        self.run = self.folder / "run"
        self.logs = self.folder / "logs"
        self.certificates = self.folder / "gateway"

    def node(self, number: int) -> Path:
        return self.folder / f"node-{number}"

    def disk(self, node: NodeDescription, disk: DiskDescription) -> Path:
        return self.node(node.number) / "disks" / f"disk-{disk.number}.img"

    def nbd_socket(self, number: int) -> Path:
        return self.node(number) / "nbd.sock"

    def attachments(self, number: int) -> Path:
        """A folder for each volume that is attached on this node."""
        return self.node(number) / "attached"

    def attachment(self, number: int, volume_id: str) -> Path:
        return self.attachments(number) / volume_id

    def processes(self, description: EngineDescription) -> list[ProcessPlace]:
        """Every process of the engine, in the order of starting."""
        places = [self._place(Role.MDM, manager.name, manager.node) for manager in description.managers]
        places.append(self._place(Role.GATEWAY, "gateway", None))
        for role in (Role.SDS, Role.SDC):
            places += [self._place(role, f"{role}-{node.number}", node.number) for node in description.nodes]
        return places

    def _place(self, role: Role, name: str, node: int | None) -> ProcessPlace:
        where = self.folder if node is None else self.node(node)
        return ProcessPlace(
            role,
            name,
            node,
            config=where / f"{name}.yaml",
            log=self.logs / f"{name}.log",
            pid_file=self.run / f"{name}.pid",
        )

    def read_password(self) -> str:
        """The administrator's password. Raises InTheWay if it is not there."""
        try:
            return self.password.read_text().strip()
        except OSError as error:
            raise InTheWay(f"{self.password}: {error.strerror}") from None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One command at a time changes an engine. Raises InTheWay when another one is at it."""
    descriptor = try_lock(folder / "lock")
    if descriptor is None:
        raise InTheWay(f"another command is changing the engine in {folder}")
    try:
        yield
    finally:
        os.close(descriptor)


def write_files(layout: Layout, description: EngineDescription) -> None:
    """Make whatever is missing: folders, secret, password, disks; the configs are written anew."""
    for path in (
        layout.run,
        layout.logs,
        *(layout.node(node.number) / "disks" for node in description.nodes),
    ):
        path.mkdir(parents=True, exist_ok=True)
    for path in (layout.secret, layout.password):
        if not path.exists():
            write_durably(path, secrets.token_hex(32 if path == layout.secret else 12) + "\n", 0o600)
    for node in description.nodes:
        for disk in node.disks:
            _make_disk(layout.disk(node, disk), disk)
    _write_configs(layout, description)


def _make_disk(path: Path, disk: DiskDescription) -> None:
    """A sparse file. One that the engine has taken is not made again: that would hide a loss."""
    if disk.taken or path.exists():
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, disk.size_bytes)
    finally:
        os.close(descriptor)


def _write_configs(layout: Layout, description: EngineDescription) -> None:
    managers = [f"{ip}:{port}" for ip, port in description.manager_addresses]
    places = {place.name: place for place in layout.processes(description)}
    peers = [
        ManagerPeer(**manager.model_dump(include={"name", "ip", "raft_port", "control_port", "role"}))
        for manager in description.managers
    ]
    configs: dict[str, MdmConfig | SdsConfig | SdcConfig | GatewayConfig] = {}
    for peer, manager in zip(peers, description.managers, strict=True):
        configs[peer.name] = MdmConfig(
            **peer.model_dump(),
            secret_file=layout.secret,
            data_dir=layout.node(manager.node) / peer.name,
            peers=peers,
        )
    for node in description.nodes:
        configs[f"sds-{node.number}"] = SdsConfig(
            name=node.name,
            ip=node.ip,
            port=node.sds_port,
            managers=managers,
            secret_file=layout.secret,
        )
        configs[f"sdc-{node.number}"] = SdcConfig(
            name=node.name,
            ip=node.ip,
            guid=node.guid,
            managers=managers,
            secret_file=layout.secret,
            nbd_socket=layout.nbd_socket(node.number),
            state_dir=layout.node(node.number) / "sdc",
        )
    configs["gateway"] = GatewayConfig(
        ip=description.gateway_ip,
        port=description.gateway_port,
        managers=managers,
        secret_file=layout.secret,
        certificate_dir=layout.certificates,
    )
    for name, config in configs.items():
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        write_if_changed(places[name].config, text, 0o644)
