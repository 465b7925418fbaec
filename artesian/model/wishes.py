"""What users ask of volumes: stored, and made so pass by pass."""

from __future__ import annotations

from dataclasses import dataclass, replace

from artesian.model.disk import PoolName
from artesian.model.engine import SnapshotId

FEWEST_IOPS = 11  # that engines like PowerFlex can limit something to
MOST_IOPS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SnapshotWish:
    """A snapshot that a volume is to have. `begun`: its taking has been set out on; `taken`: it was there, so
    it is never taken anew, which would be of later data; `engine_id`: its id in the engine, once known."""

    name: str
    begun: bool = False
    taken: bool = False
    engine_id: str | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class VolumeWish:
    """A volume as it should be.

    `node`: where it is attached, by a writer; None: nowhere. `mount_path`: where its file system is mounted
    there; None: it is a bare block device. `forced_from`: a node that may be cut off from it although it has
    not let go of it; what it had not flushed is lost. `engine_id` is the volume's in the engine, once known;
    it survives a new name. `generation` grows whenever `node` changes: what a node has kept of an earlier one
    is no attachment of this one, even if it is on the same node. `limit_iops` and
    `limit_bandwidth_bytes_per_s`: what may be done with it in a second, on whatever node; 0: no limit.
    `hold`: it is mounted as long as containers of its node use it, and whoever shows the same hold takes that
    back; empty: somebody else wants it where it is. `preempt`: a container may take it from another node.
    `source`: the snapshot with whose content it begins.
    """

    name: str
    pool: PoolName
    size_bytes: int
    thick: bool = False
    node: str | None = None
    mount_path: str | None = None
    fstype: str | None = None
    forced_from: str | None = None
    engine_id: str | None = None
    begun: bool = False  # its making has been set out on: a volume of this name that appears is ours
    deleted: bool = False
    generation: int = 0
    limit_iops: int = 0
    limit_bandwidth_bytes_per_s: int = 0
    hold: str = ""
    preempt: bool = False
    snapshots: tuple[SnapshotWish, ...] = ()
    source: SnapshotId | None = None

    def snapshot(self, name: str) -> SnapshotWish | None:
        """The snapshot of this name."""
        return next((one for one in self.snapshots if one.name == name), None)

    def id_of(self, snapshot: SnapshotWish) -> SnapshotId:
        """One of its snapshots as the engine knows it; that of nothing, as long as it is not known there."""
        return SnapshotId(self.engine_id or "", snapshot.engine_id or "")

    def with_snapshot(self, snapshot: SnapshotWish) -> VolumeWish:
        """It is to have this snapshot, in the place of another of its name."""
        if self.snapshot(snapshot.name) is None:
            return replace(self, snapshots=(*self.snapshots, snapshot))
        found = tuple(snapshot if one.name == snapshot.name else one for one in self.snapshots)
        return replace(self, snapshots=found)

    def without_snapshot(self, name: str) -> VolumeWish:
        """Of this snapshot nothing is wanted any more."""
        return replace(self, snapshots=tuple(one for one in self.snapshots if one.name != name))

    def detached(self) -> VolumeWish:
        """It is to be nowhere, for nobody."""
        return replace(self, node=None, mount_path=None, hold="")
