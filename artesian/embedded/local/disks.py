"""Adding a disk to a node, and taking one away after its data has moved."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from artesian.embedded.errors import ConfigError
from artesian.embedded.local.description import MIN_DISK_BYTES, DiskDescription
from artesian.embedded.local.engine import LocalEngine, Progress, make_ready
from artesian.embedded.local.layout import write_files

if TYPE_CHECKING:
    from artesian.embedded.local.rest import Gateway

_POLL_S = 0.2


def add(engine: LocalEngine, node: int, size_bytes: int | None, progress: Progress) -> DiskDescription:
    """A new disk, taken into the pool. Raises NotThere, ConfigError, RestRefused."""
    with engine.changing():
        size_bytes = size_bytes or engine.description.disk_size_bytes
        if size_bytes < MIN_DISK_BYTES:
            raise ConfigError(f"a disk has at least {MIN_DISK_BYTES >> 20} MiB")
        disk = engine.description.node(node).add_disk(size_bytes)
        engine.save()
        write_files(engine.layout, engine.description)
        make_ready(engine, progress)
        return disk


def remove(engine: LocalEngine, node: int, number: int, progress: Progress) -> None:
    """Move a disk's data away, take it out of the pool, and delete its file.

    Interrupted, it goes on in the engine; called again, it waits again. Raises NotThere, RestRefused if
    there is no room elsewhere: then nothing has changed.
    """
    where = engine.description.node(node)
    path = engine.layout.disk(where, where.disk(number))
    with engine.gateway() as gateway:
        device = _device(gateway, str(path))
        if device is not None and device.get("deviceState") != "RemovePending":
            gateway.act("Device", device["id"], "removeDevice")
        while device is not None:
            progress(f"moving data off disk {number} of node {node} …")
            time.sleep(_POLL_S)
            device = _device(gateway, str(path))
    with engine.changing():
        where = engine.description.node(node)
        where.disks = [disk for disk in where.disks if disk.number != number]
        engine.save()
        path.unlink(missing_ok=True)


def _device(gateway: Gateway, path: str) -> dict[str, Any] | None:
    for device in gateway.list("Device"):
        if device["deviceCurrentPathName"] == path:
            return device
    return None
