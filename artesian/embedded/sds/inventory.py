"""Carrying out the managers' assignment: which devices are open, what is served, what is dropped.

Level-triggered: an assignment says all that should be; it is compared with what is, and may arrive any
number of times. Nothing is dropped or formatted unless the assignment names this engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from artesian.embedded.device.disk import Disk
from artesian.embedded.device.store import DeviceStore
from artesian.embedded.errors import DeviceError, ForeignDevice, NoSpace
from artesian.embedded.sds.access import AccessTable, ServedDevice, VolumeAccess
from artesian.embedded.sds.joins import JoinSpec, SourceJoin
from artesian.embedded.sds.peers import Peers

log = structlog.get_logger()

WORK_BEFORE_PAUSE = 200  # chunks dropped or allocated before other work gets its turn
OPEN_RETRY_S = 2.0

OpenDisk = Callable[[str], Disk]


class Inventory:
    """The devices of this server, and what the managers want of them."""

    def __init__(
        self, table: AccessTable, peers: Peers, changed: Callable[[], None], open_disk: OpenDisk = Disk.open
    ) -> None:
        self._table = table
        self._peers = peers
        self._changed = changed
        self._open_disk = open_disk
        self._served: dict[str, ServedDevice] = {}
        self._problems: dict[str, tuple[str, str]] = {}  # device id → (state, error)
        self._dropped: dict[str, set[int]] = {}  # device id → volume numbers whose chunks are gone
        self._allocated: dict[str, dict[int, int]] = {}  # device id → volume number → chunks allocated
        self._retry_at: dict[str, float] = {}
        self._joins: dict[int, SourceJoin] = {}
        self._join_tasks: dict[int, asyncio.Task[None]] = {}
        self._system_id: str | None = None
        self._loop = asyncio.get_running_loop()
        self._tidying: asyncio.Task[None] | None = None
        self._untidy = False
        self.version = 0

    # --- carrying out

    async def apply(self, assignment: dict[str, Any]) -> None:
        """Make it so. Safe to repeat; later assignments follow one after another."""
        system_id = assignment["system_id"]
        if self._system_id is not None and system_id != self._system_id:
            log.error("assignment.foreign", system_id=system_id, ours=self._system_id)
            return
        if assignment["version"] < self.version:
            return  # from a manager that has been deposed
        self._system_id = system_id
        wanted = assignment["devices"]
        self._update_volumes(assignment["volumes"])
        for device_id in [id for id in self._served if id not in wanted]:
            await self._release(device_id)
        for device_id in [id for id in self._problems if id not in wanted]:
            del self._problems[device_id]
        for device_id, document in wanted.items():
            if device_id not in self._served:
                await self._acquire(system_id, device_id, document)
        for device_id, document in wanted.items():
            served = self._served.get(device_id)
            if served is not None:
                self._update_members(served, document)
        self._update_joins(assignment["joins"])
        self.version = assignment["version"]
        self._table.ready = True
        self._changed()
        self._untidy = True
        if self._tidying is None or self._tidying.done():
            self._tidying = self._loop.create_task(self._tidy())

    @property
    def has_problems(self) -> bool:
        """Whether a device could not be opened; applying the assignment again tries anew."""
        return bool(self._problems)

    def _update_volumes(self, volumes: dict[str, dict[str, Any]]) -> None:
        known = self._table.volumes
        for text, document in volumes.items():
            number = int(text)
            access = known.get(number)
            if access is None:
                access = known[number] = VolumeAccess(number, document["pool_id"])
            access.epoch = max(access.epoch, document["epoch"])
            access.chunk_count = document["chunk_count"]
            access.allocate = document["allocate"]
            access.keep_allocated = not document["thin"]
        for number in [number for number in known if str(number) not in volumes]:
            del known[number]

    async def _acquire(self, system_id: str, device_id: str, document: dict[str, Any]) -> None:
        now = self._loop.time()
        if self._retry_at.get(device_id, 0.0) > now:
            return
        try:
            store = await self._loop.run_in_executor(None, self._open_store, system_id, device_id, document)
        except ForeignDevice as error:
            self._problems[device_id] = ("refused", str(error))
        except (DeviceError, OSError) as error:
            self._problems[device_id] = ("failed", str(error))
        else:
            self._problems.pop(device_id, None)
            served = ServedDevice(
                device_id, document["pool_id"], store, document["slice_count"], self.device_failed
            )
            self._served[device_id] = served
            self._table.devices[served.number] = served
            log.info("device.open", device_id=device_id, path=document["path"], slots=store.slot_count)
            return
        self._retry_at[device_id] = now + OPEN_RETRY_S
        state, error_text = self._problems[device_id]
        log.error("device." + state, device_id=device_id, path=document["path"], error=error_text)

    def _open_store(self, system_id: str, device_id: str, document: dict[str, Any]) -> DeviceStore:
        """Blocking: open the device, or format it when it is new and carries nothing foreign."""
        path = document["path"]
        if document["uuid"]:
            return DeviceStore.open(self._open_disk(path), system_id, device_id)
        return DeviceStore.adopt_or_format(
            self._open_disk(path), system_id, document["pool_id"], device_id,
            capacity_limit_bytes=document["capacity_limit_bytes"], takeover=document["force_takeover"],
        )  # fmt: skip

    async def _release(self, device_id: str) -> None:
        """The device is no longer ours to serve; when it was emptied, its superblock goes."""
        served = self._served.pop(device_id)
        self._table.devices.pop(served.number, None)
        for join in list(served.joins.values()):
            join.fail("the device was removed")
        served.generations = [0] * served.slice_count
        served.disk_work.close()
        try:
            await self._loop.run_in_executor(None, served.store.release)
        except (DeviceError, OSError) as error:
            log.error("device.not_released", device_id=device_id, error=str(error))
        log.info("device.released", device_id=device_id)

    def _update_members(self, served: ServedDevice, document: dict[str, Any]) -> None:
        generations = [0] * served.slice_count
        joining = set()
        for text, (state, generation) in document["slices"].items():
            if state == "in_sync":
                generations[int(text)] = generation
            elif state == "joining":
                joining.add(int(text))
        served.trusted = sum(1 for generation in generations if generation)
        self._acknowledge_damage(served, sum(1 for generation in generations if generation))
        if served.error is not None or served.store.damaged:
            generations = [0] * served.slice_count
        served.generations[:] = generations
        served.joining = joining
        served.members = {int(text) for text in document["slices"]}
        served.removed_volumes = set(document["drop_volumes"])
        for slice_index in [index for index in served.joining_jobs if index not in joining]:
            del served.joining_jobs[slice_index]
        spare = document["spare_percentage"]
        served.store.allocation_limit = served.store.slot_count * (100 - spare) // 100

    def _acknowledge_damage(self, served: ServedDevice, in_sync: int) -> None:
        """A device with unreadable entries serves nothing until the managers distrust its copies.

        From then on every slice is compared with another copy before it counts again.
        """
        if not served.store.damaged:
            return
        if served.damage_reported is not None and (in_sync < served.damage_reported or not in_sync):
            served.store.forget_damage()
            return
        served.damage_reported = in_sync

    def _update_joins(self, documents: list[dict[str, Any]]) -> None:
        wanted = {document["job_id"]: document for document in documents}
        for job_id in [id for id in self._joins if id not in wanted]:
            self._end_join(job_id)
        for job_id, document in wanted.items():
            served = self._served.get(document["source"])
            if job_id not in self._joins and served is not None:
                self._begin_join(served, document)
            if job_id in self._joins:
                pace = self._joins[job_id].pace
                pace.limit_bytes_per_s = document["limit_bytes_per_s"]
                pace.while_busy_only = document["limited_while_busy_only"]

    def _begin_join(self, served: ServedDevice, document: dict[str, Any]) -> None:
        spec = JoinSpec(
            document["job_id"], document["slice"], document["source"], document["target"],
            document["target_ip"], document["target_port"],
            tuple((id, ip, port) for id, ip, port in document.get("partners", ())),
        )  # fmt: skip
        join = SourceJoin(spec, served, self._table.volumes, self._peers)
        self._joins[spec.job_id] = served.joins[spec.slice_index] = join
        task = self._loop.create_task(join.run())
        task.add_done_callback(lambda _: self._changed())
        self._join_tasks[spec.job_id] = task

    def _end_join(self, job_id: int) -> None:
        join = self._joins.pop(job_id)
        served = self._served.get(join.spec.source_device_id)
        if served is not None and served.joins.get(join.spec.slice_index) is join:
            del served.joins[join.spec.slice_index]
        join.fail("the managers ended it")
        self._join_tasks.pop(job_id).cancel()

    # --- giving space back, and reserving it

    async def _tidy(self) -> None:
        """In the background, against the newest assignment, as long as something has changed."""
        while self._untidy:
            self._untidy = False
            for served in list(self._served.values()):
                if served.error is not None:
                    continue
                try:
                    await self._drop_garbage(served)
                    await self._allocate(served)
                except NoSpace as error:
                    log.warning("device.full", device_id=served.device_id, error=str(error))
                except DeviceError as error:
                    self.device_failed(served, str(error))
            self._changed()

    async def _drop_garbage(self, served: ServedDevice) -> None:
        """Drop chunks of removed volumes and of slices that have moved away."""
        removed = set(served.removed_volumes)
        garbage = [
            (info.volume, info.chunk)
            for info in served.store.chunks()
            if self._is_garbage(served, info.volume, info.chunk)
        ]
        for count, (volume, chunk) in enumerate(garbage):
            if count % WORK_BEFORE_PAUSE == WORK_BEFORE_PAUSE - 1:
                await asyncio.sleep(0)
            if self._is_garbage(served, volume, chunk):  # the assignment may have changed meanwhile
                served.store.drop(volume, chunk)
                served.syncer.dirty = True
        if garbage:
            await served.syncer.sync()
        self._dropped[served.device_id] = removed

    def _is_garbage(self, served: ServedDevice, volume: int, chunk: int) -> bool:
        return volume in served.removed_volumes or served.slice_of(volume, chunk) not in served.members

    async def _allocate(self, served: ServedDevice) -> None:
        """Give every chunk of thick volumes in our slices a slot."""
        done = self._allocated.setdefault(served.device_id, {})
        for number in [number for number in done if number not in self._table.volumes]:
            del done[number]
        for number, access in list(self._table.volumes.items()):
            if (
                not access.allocate
                or access.pool_id != served.pool_id
                or done.get(number) == access.chunk_count
            ):
                continue
            chunk_count = access.chunk_count
            made = 0
            for chunk in range(chunk_count):
                generation = served.generations[served.slice_of(number, chunk)]
                if generation and served.store.allocate(number, chunk, generation):
                    served.syncer.dirty = True
                    made += 1
                    if made % WORK_BEFORE_PAUSE == 0:
                        await asyncio.sleep(0)
            await served.syncer.sync()
            done[number] = chunk_count

    # --- seeing

    def device_failed(self, served: ServedDevice, error: str) -> None:
        """Stop serving a device whose disk has failed, and say so."""
        served.errors += 1
        if served.error is None:
            served.error = error
            served.generations = [0] * served.slice_count
            log.error("device.failed", device_id=served.device_id, error=error)
            self._changed()

    def report(self, server_id: str) -> dict[str, Any]:
        """What the managers are told; a join that is reported as mirrored is marked so."""
        joins = {}
        for job_id, join in self._joins.items():
            if join.state == "mirrored":
                join.reported = True
            joins[str(job_id)] = {
                "state": join.state, "copied_bytes": join.copied_bytes, "total_bytes": join.total_bytes,
                "error": join.error,
            }  # fmt: skip
        devices: dict[str, Any] = {
            device_id: {"state": state, "error": error}
            for device_id, (state, error) in self._problems.items()
        }
        for device_id, served in self._served.items():
            devices[device_id] = self._report_device(served)
        return {"server_id": server_id, "version": self.version, "devices": devices, "joins": joins}

    def _report_device(self, served: ServedDevice) -> dict[str, Any]:
        store = served.store
        return {
            "state": "failed" if served.error else "ready",
            "error": served.error,
            "uuid": store.uuid,
            "slot_count": store.slot_count,
            "used_slots": store.used_slots,
            "damaged": store.damaged,
            "dropped_volumes": sorted(self._dropped.get(served.device_id, ())),
            "allocated_volumes": self._fully_allocated(served.device_id),
            "volume_slots": {str(number): slots for number, slots in store.volume_slots().items()},
            "read_bytes": served.read_bytes,
            "read_count": served.read_count,
            "write_bytes": served.write_bytes,
            "write_count": served.write_count,
            "open_chunks": store.open_chunks,
            "bad_blocks": served.bad_blocks,
            "errors": served.errors,
            "read_s": served.read_times.mean_s(),
            "write_s": served.write_times.mean_s(),
        }

    def _fully_allocated(self, device_id: str) -> list[int]:
        done = self._allocated.get(device_id, {})
        volumes = self._table.volumes
        return sorted(
            number
            for number, chunks in done.items()
            if number in volumes and volumes[number].chunk_count == chunks
        )

    def served(self) -> list[ServedDevice]:
        """Every device that is open."""
        return list(self._served.values())

    async def close(self) -> None:
        """Clean stop: sync and close every device."""
        for task in self._join_tasks.values():
            task.cancel()
        if self._tidying is not None:
            self._tidying.cancel()
        for served in self._served.values():
            served.generations = [0] * served.slice_count
            served.disk_work.close()
            await self._loop.run_in_executor(None, served.store.close)
