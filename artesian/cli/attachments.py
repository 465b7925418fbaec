"""Attaching an engine's volumes on its nodes, which all are this machine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artesian.attach import attaching, mounting
from artesian.attach.address import NbdAddress, look
from artesian.attach.driver import Attachment
from artesian.attach.errors import AttachError, BadAddress, NotAttached
from artesian.attach.filesystem import FsType
from artesian.attach.mounting import Mounted
from artesian.embedded.local import volumes
from artesian.embedded.local.engine import LocalEngine
from artesian.embedded.local.errors import InTheWay, NotThere, TookTooLong
from artesian.embedded.state.model import AccessMode

_EXPORT_TIMEOUT_S = 15.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class LocalAttachment:
    """A volume that is attached on a node, or what a crash has left of that (`attachment` is None)."""

    volume_id: str
    node: int
    folder: Path
    attachment: Attachment | None
    mounted: Mounted | None


def every(engine: LocalEngine) -> list[LocalAttachment]:
    """All attachments of the engine, as the operating system has them; needs no manager."""
    found = []
    for node in engine.description.nodes:
        where = engine.layout.attachments(node.number)
        for folder in sorted(where.iterdir()) if where.is_dir() else []:
            if (folder / "attachment.json").exists():
                found.append(
                    LocalAttachment(
                        folder.name,
                        node.number,
                        folder,
                        attaching.find(folder),
                        mounting.find(folder),
                    )
                )
    return found


def address(engine: LocalEngine, volume_id: str, node: int) -> NbdAddress:
    """Where a volume is exported on a node. By id, so that it may be renamed while it is attached."""
    return NbdAddress(volume_id, engine.layout.nbd_socket(node))


def wait_for_export(engine: LocalEngine, volume_id: str, node: int) -> NbdAddress:
    """Wait until the node's client offers a volume that has just been mapped. Raises TookTooLong."""
    where = address(engine, volume_id, node)
    deadline = time.monotonic() + _EXPORT_TIMEOUT_S
    while True:
        try:
            look(where)
            return where
        except BadAddress as error:
            engine.check_alive([f"sdc-{node}"])
            if time.monotonic() > deadline:
                raise TookTooLong(f"the client on node {node} does not offer the volume: {error}") from None
        time.sleep(_POLL_S)


def attach(engine: LocalEngine, name: str, node: int) -> Attachment:
    """Raises NotThere if the volume is not mapped to the node."""
    volume, mapping = volumes.find_mapping(engine, name, node)
    where = wait_for_export(engine, volume.id, node)
    read_only = mapping.access_mode is AccessMode.READ_ONLY
    return attaching.attach(str(where), engine.layout.attachment(node, volume.id), read_only=read_only)


def detach(engine: LocalEngine, name: str, node: int, *, force: bool) -> bool:
    """False if it was not attached."""
    return attaching.detach(find_folder(engine, name, node), force=force)


def mount(
    engine: LocalEngine, name: str, node: int, path: Path, fstype: FsType | None, *, overwrite: bool
) -> tuple[Attachment, Mounted]:
    """Attach if that has not been done, and mount."""
    volume, _ = volumes.find_mapping(engine, name, node)
    attached = attach(engine, name, node)
    folder = engine.layout.attachment(node, volume.id)
    return attached, mounting.mount(folder, path, fstype=fstype, overwrite=overwrite, label=volume.name)


def unmount(engine: LocalEngine, name: str, node: int | None, *, force: bool) -> LocalAttachment:
    """Unmount and detach a volume, named by its name, id, or mount point. Raises NotAttached."""
    found = _find(engine, name, node)
    with contextlib.suppress(AttachError) if force else contextlib.nullcontext():
        mounting.unmount(found.folder)
    attaching.detach(found.folder, force=force)
    return found


def take_over_size(engine: LocalEngine, volume_id: str, size_bytes: int) -> Iterator[tuple[int, str]]:
    """Let every attachment of a volume take over its new size; yields nodes, and what could not be done."""
    for found in every(engine):
        if found.volume_id == volume_id and found.attachment is not None:
            try:
                _wait_for_size(engine, found, size_bytes)
                mounting.grow(found.folder)
                yield found.node, ""
            except AttachError as error:
                yield found.node, str(error)


def check_not_attached(engine: LocalEngine, volume_id: str, node: int) -> None:
    """Raises InTheWay, naming the device."""
    for found in every(engine):
        if (found.volume_id, found.node) == (volume_id, node):
            device = found.attachment.device if found.attachment is not None else "a device"
            raise InTheWay(f"the volume is attached on node {node} as {device}; detach it first")


def as_document(found: LocalAttachment) -> dict[str, Any]:
    """For `status --json`."""
    attachment, mounted = found.attachment, found.mounted
    return {
        "node": found.node,
        "volume_id": found.volume_id,
        "device": str(attachment.device) if attachment is not None else None,
        "driver": attachment.driver if attachment is not None else None,
        "read_only": attachment.read_only if attachment is not None else None,
        "alive": attachment is not None and attachment.alive,
        "process_ids": list(attachment.process_ids) if attachment is not None else [],
        "mounted_at": str(mounted.path) if mounted is not None else None,
        "fstype": str(mounted.fstype) if mounted is not None else None,
    }


def find_folder(engine: LocalEngine, name: str, node: int) -> Path:
    """The folder of an attachment; of a volume that nobody knows by this name any more only by its id."""
    engine.description.node(node)
    by_id = engine.layout.attachment(node, name) if "/" not in name and name not in ("", ".", "..") else None
    if by_id is not None and by_id.is_dir():
        return by_id
    volume, _ = volumes.find_mapping(engine, name, node)
    return engine.layout.attachment(node, volume.id)


def _find(engine: LocalEngine, name: str, node: int | None) -> LocalAttachment:
    candidates = [found for found in every(engine) if node in (None, found.node)]
    path = Path(name).absolute()
    by_path = [found for found in candidates if found.mounted is not None and found.mounted.path == path]
    if by_path:
        return by_path[0]
    by_id = [found for found in candidates if found.volume_id == name]
    if not by_id:
        by_id = [found for found in candidates if found.volume_id == _volume_id(engine, name)]
    if not by_id:
        raise NotAttached(f"{name!r} is not attached" + (f" on node {node}" if node is not None else ""))
    if len(by_id) > 1:
        raise InTheWay(f"{name!r} is attached on several nodes; say which with --node")
    return by_id[0]


def _volume_id(engine: LocalEngine, name: str) -> str | None:
    try:
        with engine.gateway() as gateway:
            return str(gateway.named("Volume", name)["id"])
    except NotThere:
        return None


def _wait_for_size(engine: LocalEngine, found: LocalAttachment, size_bytes: int) -> None:
    where = address(engine, found.volume_id, found.node)
    deadline = time.monotonic() + _EXPORT_TIMEOUT_S
    while look(where).size_bytes != size_bytes:
        if time.monotonic() > deadline:
            raise BadAddress(f"the client on node {found.node} has not taken over the new size")
        time.sleep(_POLL_S)
