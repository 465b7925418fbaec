"""Which of Ceph's disks are our own: an OSD of ours has a UUID that follows from its cluster and its disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from artesian.engines.ceph.names import osd_uuid
from artesian.model.disk import Disk, EngineLabel

CEPH_SIGNATURE = "ceph_bluestore"  # as libblkid calls it


def recognised(disks: Iterable[Disk], system_id: str) -> tuple[Disk, ...]:
    """The disks with their labels as a node sees them that belongs to the engine `system_id`, or to none yet.

    An OSD that is being made does not say of which cluster. One of ours is known by its UUID, and counts as
    ours at once; of another nothing but its signature is left, which keeps everybody off it.
    """
    return tuple(_recognised(disk, system_id) for disk in disks)


def _recognised(disk: Disk, system_id: str) -> Disk:
    label = disk.label
    if label is None or not label.foreign:
        return disk
    cluster = label.system_id or system_id
    if cluster and disk.identity is not None and label.device_id == osd_uuid(cluster, disk.identity):
        others = tuple(one for one in disk.signatures if one != CEPH_SIGNATURE)
        return replace(disk, label=EngineLabel(cluster, label.device_id), signatures=others)
    return disk if label.system_id else replace(disk, label=None)
