"""Reading the superblocks of engines from a disk, without touching anything."""

from __future__ import annotations

import os
from dataclasses import dataclass

from artesian.embedded.device.superblock import MAGIC, SUPERBLOCK_BYTES, Superblock, unpack
from artesian.embedded.errors import ForeignDevice
from artesian.engines.ceph import bluestore_label
from artesian.model.disk import EngineLabel


@dataclass(frozen=True, slots=True)
class LabelReading:
    """The label and the UUID of its superblock, if there is one; `unreadable` says what hindered reading.

    A label of Ceph is `foreign` until somebody recognises it; its system id is empty while an OSD is made.
    """

    label: EngineLabel | None = None
    uuid: str = ""
    unreadable: str = ""


def read_label(path: str) -> LabelReading:
    """The label of a file or block device, from its start or, if that one is damaged, from its end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size_bytes = os.lseek(descriptor, 0, os.SEEK_END)
            if size_bytes < 2 * SUPERBLOCK_BYTES:
                return LabelReading()
            backup_offset = size_bytes // SUPERBLOCK_BYTES * SUPERBLOCK_BYTES - SUPERBLOCK_BYTES
            blocks = [os.pread(descriptor, SUPERBLOCK_BYTES, offset) for offset in (0, backup_offset)]
        finally:
            os.close(descriptor)
    except OSError as error:
        return LabelReading(unreadable=f"it cannot be read: {error.strerror}")
    return _label_in(blocks)


def _label_in(blocks: list[bytes]) -> LabelReading:
    if any(len(block) < SUPERBLOCK_BYTES for block in blocks):
        return LabelReading(unreadable="it cannot be read: it ended early")
    for block in blocks:
        try:
            superblock = unpack(block)
        except (ForeignDevice, UnicodeDecodeError) as error:
            return LabelReading(unreadable=f"its superblock is not understood: {error}")
        if superblock is not None:
            return _reading_of(superblock)
    ceph = bluestore_label.parse(blocks[0])
    if ceph is not None and ceph.is_understood:
        return LabelReading(EngineLabel(ceph.fsid, ceph.uuid, foreign=True), ceph.uuid)
    # Damaged is not absent: there may be data of a pool below it.
    if any(block.startswith(MAGIC) for block in blocks):
        return LabelReading(unreadable="it has a superblock of this engine that is damaged")
    return LabelReading()


def _reading_of(superblock: Superblock) -> LabelReading:
    label = EngineLabel(superblock.system_id.rstrip("\0"), superblock.device_id.rstrip("\0"))
    return LabelReading(label, superblock.uuid.rstrip("\0"))
