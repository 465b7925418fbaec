"""What is left of a disk that was removed: its folder and its label go, so that it can be used again."""

from __future__ import annotations

import shutil
from pathlib import Path

from artesian.engines.ceph import disk_fitness, names
from artesian.engines.ceph.bluestore_label import clear, read_label
from artesian.engines.ceph.errors import CephNodeError
from artesian.engines.ceph.monitors import Monitors
from artesian.engines.ceph.process_config import ProcessConfig, read_config
from artesian.engines.ceph.waiting import Pauses


def prepare(path: Path) -> None:
    """Wait until the cluster knows nothing of the disk any more. As long as it does, what is on it counts."""
    pauses = Pauses()
    while True:
        config = read_config(path)
        try:
            if _is_removed(config):
                _clear(config)
                break
            pauses.wait("the cluster knows the disk, or does not say that it was removed")
        except CephNodeError as error:
            pauses.wait(str(error))
    path.unlink(missing_ok=True)


def _clear(config: ProcessConfig) -> None:
    """What was said of the disk goes as well: it may be another one next time."""
    disk = disk_fitness.find(config.paths)
    if disk is not None:
        clear(disk, config.uuid)
    shutil.rmtree(config.home / config.entity, ignore_errors=True)
    with Monitors.as_admin(config.fsid, config.monitors, config.secret) as monitors:
        monitors.remove(names.key("disks", config.uuid))


def _is_removed(config: ProcessConfig) -> bool:
    with Monitors.as_admin(config.fsid, config.monitors, config.secret) as monitors:
        if monitors.get(names.key("devices", config.uuid)) is not None:
            return False
        if any(one["uuid"] == config.uuid for one in monitors.ask("osd dump")["osds"]):
            return False
        return not _is_ours(config) or monitors.get(names.key("removed", config.uuid)) is not None


def _is_ours(config: ProcessConfig) -> bool:
    """Whether there is something on the disk that could count. Raises CephNodeError."""
    disk = disk_fitness.find(config.paths)
    try:
        label = read_label(disk) if disk is not None else None
    except OSError as error:
        raise CephNodeError(f"{disk} cannot be read: {error.strerror}") from None
    return label is not None and label.uuid == config.uuid
