"""Who may read and write what on this server: the failure and consistency model of the data path.

**Consistency.** A volume has one writer. A write is acknowledged by the client when every in-sync copy
has it; if a copy does not answer, the client has the managers mark it stale first and sends the write
again to the copies that remain. Reads go to in-sync copies only. So a read sees every write that was
acknowledged before it began; of writes under way it may see any. Clients that map a volume read-only
beside a writer see each block as of some moment of the last seconds.

**Epochs.** Every time a client opens a volume for writing, and every time a writer's mapping ends, the
managers raise the volume's epoch. A server refuses requests of an older epoch than the newest it knows
(told by the managers and, before its first write, by the new writer itself on every server), so that an
old writer that was cut off can no longer write anything that the new one would see.

**Generations.** Every slice has a generation that goes up whenever the set of its in-sync copies changes.
A server serves a slice only while the managers say that its copy is in sync, and refuses requests that
carry an older generation than it knows: the client has to fetch the map. A chunk remembers the generation
of its last write; a copy that was away is brought up to date by comparing these.

**Sequences.** A client numbers its writes (the epoch in the high bits) and tells the servers up to which
number all are complete on every copy. A chunk is *open* from its first write until its writes are known
to be complete and are on stable storage here. Only open chunks can differ between in-sync copies, and only
in writes that were never acknowledged; the next writer makes them equal before it serves anything.

**Failures survived**: any one copy's disk, server or its machine at any moment, and the loss of power of
everything: what was flushed is there, what was not may be lost, both copies are made equal. The loss of
both copies of a slice at once is not survived; the slice is unavailable until one of them is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from artesian.embedded.placement import first_slice
from artesian.embedded.sds.disk_work import DiskWork
from artesian.embedded.sds.service_times import ServiceTimes
from artesian.embedded.sds.syncing import Syncer

if TYPE_CHECKING:
    from artesian.embedded.device.store import DeviceStore
    from artesian.embedded.sds.joins import SourceJoin


CHUNKS_COPIED_AT_ONCE = 3  # by all joins that one device feeds


class VolumeAccess:
    """What this server knows of a volume."""

    __slots__ = ("allocate", "chunk_count", "epoch", "keep_allocated", "number", "pool_id", "safe_sequence")

    def __init__(self, number: int, pool_id: str) -> None:
        self.number = number
        self.pool_id = pool_id
        self.epoch = 0
        self.chunk_count = 0
        self.allocate = False
        self.keep_allocated = False  # a thick volume keeps its slots when it is trimmed
        self.safe_sequence = 0


class ServedDevice:
    """A device that is open and takes requests."""

    __slots__ = (
        "bad_blocks",
        "copying",
        "damage_reported",
        "device_id",
        "disk_work",
        "error",
        "errors",
        "firsts",
        "generations",
        "held",
        "joining",
        "joining_jobs",
        "joins",
        "mask",
        "members",
        "number",
        "pool_id",
        "read_bytes",
        "read_count",
        "read_times",
        "removed_volumes",
        "slice_count",
        "store",
        "syncer",
        "trusted",
        "write_bytes",
        "write_count",
        "write_times",
    )

    def __init__(
        self,
        device_id: str,
        pool_id: str,
        store: DeviceStore,
        slice_count: int,
        failed: Callable[[ServedDevice, str], None],
    ) -> None:
        self.device_id = device_id
        self.number = int(device_id, 16)
        self.pool_id = pool_id
        self.store = store
        clock = asyncio.get_running_loop().time
        self.read_times, self.write_times = ServiceTimes(clock), ServiceTimes(clock)
        self.syncer = Syncer(store, self.write_times)
        self.disk_work = DiskWork(store, lambda error: failed(self, error), self.write_times)
        self.held = self.disk_work.held
        self.slice_count = slice_count
        self.mask = slice_count - 1
        self.generations = [0] * slice_count  # by slice: the in-sync generation, 0: not served
        self.members: set[int] = set()  # slices whose chunks belong here, whatever their state
        self.removed_volumes: set[int] = set()
        self.joining: set[int] = set()  # slices that are being copied to this device
        self.joining_jobs: dict[int, int] = {}  # slice → the newest job that began here
        self.joins: dict[int, SourceJoin] = {}  # slice → the job that this device feeds
        self.firsts: dict[int, int] = {}  # volume number → slice of its chunk 0
        self.copying = asyncio.Semaphore(CHUNKS_COPIED_AT_ONCE)
        self.damage_reported: int | None = None  # how many in-sync slices we had when the managers were told
        self.trusted = 0  # slices of which the managers count this copy as in sync
        self.error: str | None = None
        self.errors = 0  # of the disk since it was opened: what it refused, and blocks that came back wrong
        self.read_bytes = self.read_count = self.write_bytes = self.write_count = self.bad_blocks = 0

    def slice_of(self, volume: int, chunk: int) -> int:
        """The slice of a chunk in this device's pool."""
        first = self.firsts.get(volume)
        if first is None:
            first = self.firsts[volume] = first_slice(volume, self.slice_count)
        return (first + chunk) & self.mask

    def is_in_sync(self, slice_index: int, generation: int) -> bool:
        """Whether our copy of a slice is one of those that make up this generation, as far as we know."""
        if slice_index >= self.slice_count:
            return False
        member = self.generations[slice_index]
        return bool(member) and generation >= member

    def chunks_of_slice(self, slice_index: int, volumes: dict[int, VolumeAccess]) -> list[tuple[int, int]]:
        """(volume, chunk) of every chunk that this slice could hold, in order."""
        found: list[tuple[int, int]] = []
        for number, access in volumes.items():
            if access.pool_id != self.pool_id:
                continue
            start = (slice_index - self.slice_of(number, 0)) & self.mask
            found.extend((number, chunk) for chunk in range(start, access.chunk_count, self.slice_count))
        return found


class AccessTable:
    """All devices and volumes of this server, by the numbers that requests carry."""

    def __init__(self) -> None:
        self.devices: dict[int, ServedDevice] = {}
        self.volumes: dict[int, VolumeAccess] = {}
        self.ready = False  # the first assignment has been carried out
