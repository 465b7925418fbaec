"""Making a copy of a slice on another device: the source's side.

The source asks the target what it holds, and copies every chunk that differs. From the moment at which it
compares, each client write on the slice is passed on to the target as well, over the same connection and so
in order, unless its chunk is still to be copied, because the copy will contain it. When all is copied and
flushed the join is *mirrored*: the target lacks nothing from then on, as no write is acknowledged before it
is there too. The managers then make the target an in-sync member, and clients write to it directly.

A target that fails before that costs nothing: the join is given up. Once the managers may have been told
that it is mirrored, a write that cannot be passed on is answered with STALE_MAP, so that the client asks
the managers who is a member now.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from artesian.embedded import wire
from artesian.embedded.datalink import Buffer, DataLink, FutureWaiter
from artesian.embedded.errors import DeviceError
from artesian.embedded.sds.access import ServedDevice, VolumeAccess
from artesian.embedded.sds.pace import Pace
from artesian.embedded.sds.peers import Peers
from artesian.embedded.sds.session import DataSession
from artesian.embedded.wire import BLOCK_BYTES, CHUNK_BYTES, Flag, Operation, Request, Status

WORKERS = 3  # chunks of one join under way at once, within what its device allows
TARGET_PATIENCE_S = 10.0  # how long the target may take to learn of the join from the managers


@dataclass(frozen=True, slots=True)
class JoinSpec:
    """A join as the managers ordered it."""

    job_id: int
    slice_index: int
    source_device_id: str
    target_device_id: str
    target_ip: str
    target_port: int
    partners: tuple[tuple[str, str, int], ...] = ()  # other in-sync copies: device id, ip, port


class JoinFailed(Exception):
    """The join cannot go on; its text says why."""


class SourceJoin:
    """One join, fed by a device of this server."""

    def __init__(
        self, spec: JoinSpec, served: ServedDevice, volumes: dict[int, VolumeAccess], peers: Peers
    ) -> None:
        self.spec = spec
        self.state = "copying"
        self.error: str | None = None
        self.copied_bytes = 0
        self.total_bytes = 0
        self.reported = False  # the managers may have been told that it is mirrored
        self._served = served
        self._volumes = volumes
        self._peers = peers
        self._link: DataLink | None = None
        self._target = int(spec.target_device_id, 16)
        self._pending: set[tuple[int, int]] = set()
        self._comparing = True
        self.pace = Pace()

    # --- clients' writes

    def forward(self, session: DataSession, request: Request, payload: memoryview | None) -> bool:
        """Pass a write on that was applied here; True: the client is answered when the target has it."""
        if self._comparing or (request.volume, request.chunk) in self._pending:
            return False  # the copy will contain this write
        if self.state == "failed" or self._link is None:
            if self.reported:
                session.reply(request.tag, Status.STALE_MAP)
                return True
            return False
        self._peers.forwarded(self._link)
        self._link.send(
            _Forwarded(self, session, request.tag), request.operation, self._target, request.volume,
            request.chunk, request.offset, request.length, self._job, request.generation, request.sequence,
            request.flags | Flag.FORWARDED, bytes(payload) if payload is not None else None,
        )  # fmt: skip
        return True

    def fail(self, reason: str) -> None:
        """Give the join up; the managers hear of it with the next report."""
        if self.state != "failed":
            self.state = "failed"
            self.error = reason

    # --- copying

    async def run(self) -> None:
        """Copy everything; ends in state "mirrored" or "failed"."""
        try:
            link = self._link = await self._peers.link(self.spec.target_ip, self.spec.target_port)
            theirs = await self._begin(link)
            work = self._compare(link, theirs)
            workers = [self._copy_all(link, work, theirs) for _ in range(WORKERS)]
            await asyncio.gather(*workers)
            status, _ = await link.ask(Operation.FLUSH)
            self._expect(status, "flush the copy")
            if self.state == "copying":
                self.state = "mirrored"
        except (JoinFailed, DeviceError, OSError, TimeoutError, ValueError) as error:
            self.fail(str(error) or type(error).__name__)

    async def _begin(self, link: DataLink) -> dict[tuple[int, int], tuple[int, bool]]:
        """What the target holds of the slice; waits until it has learnt of the join."""
        deadline = asyncio.get_running_loop().time() + TARGET_PATIENCE_S
        while True:
            status, payload = await link.ask(
                Operation.LIST, device=self._target, chunk=self.spec.slice_index, epoch=self._job
            )
            if status != Status.STALE_MAP or asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.05)
        self._expect(status, "list the slice")
        return {(volume, chunk): (generation, is_open) for volume, chunk, generation, is_open in
                wire.unpack_chunks(payload)}  # fmt: skip

    def _compare(
        self, link: DataLink, theirs: dict[tuple[int, int], tuple[int, bool]]
    ) -> list[tuple[int, int]]:
        """Decide what to copy, in one step: no write can come between the comparison and its effect."""
        store = self._served.store
        mine = {}
        for key in self._served.chunks_of_slice(self.spec.slice_index, self._volumes):
            info = store.info(*key)
            if info is not None:
                mine[key] = (info.generation, info.open)
        for volume, chunk in theirs.keys() - mine.keys():
            self._send_drop(link, volume, chunk)
        work = [
            key
            for key, (generation, is_open) in mine.items()
            if theirs.get(key) != (generation, False) or is_open
        ]
        self._pending = set(work)
        self._comparing = False
        self.total_bytes = len(work) * CHUNK_BYTES
        work.reverse()
        return work

    async def _copy_all(
        self, link: DataLink, work: list[tuple[int, int]], theirs: dict[tuple[int, int], tuple[int, bool]]
    ) -> None:
        while work and self.state == "copying":
            key = work.pop()
            await self.pace.wait(CHUNK_BYTES, self._served.read_count + self._served.write_count)
            async with self._served.copying:
                await self._copy(link, key, key in theirs)
            self.copied_bytes += CHUNK_BYTES

    async def _copy(self, link: DataLink, key: tuple[int, int], held_there: bool) -> None:
        """Make one chunk of the target equal to ours."""
        volume, chunk = key
        theirs: tuple[int, bool, bytes, set[int]] | None = None
        if held_there:
            status, payload = await link.ask(
                Operation.TABLE, device=self._target, volume=volume, chunk=chunk, flags=Flag.VERIFY
            )
            self._expect(status, "compare a chunk")
            theirs = wire.unpack_table(payload)
        await self._repair_ours(volume, chunk)
        store = self._served.store
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, store.prefetch, volume, chunk, 0, CHUNK_BYTES)
        # No await from here to the sending: the chunk is sent as it is now, and later writes follow it.
        self._pending.discard(key)
        table = store.table(volume, chunk)
        if table is None:
            self._send_drop(link, volume, chunk)
            return
        blocks = wire.blocks_that_differ(table.checksums, theirs)
        data = store.read_unverified(volume, chunk, blocks)
        status, _ = await self._install(link, volume, chunk, table.generation, table.open, table.checksums,
                                        blocks, data)  # fmt: skip
        self._expect(status, "copy a chunk")

    def _install(
        self,
        link: DataLink,
        volume: int,
        chunk: int,
        generation: int,
        is_open: bool,
        checksums: bytes,
        blocks: list[int],
        data: list[bytes],
    ) -> asyncio.Future[tuple[int, Buffer]]:
        waiter = FutureWaiter()
        link.send_parts(
            waiter, wire.install_parts(checksums, blocks, data), Operation.INSTALL,
            device=self._target, volume=volume, chunk=chunk, epoch=self._job, generation=generation,
            sequence=self._served.store.last_sequence(volume, chunk), flags=Flag.OPEN_CHUNK if is_open else 0,
        )  # fmt: skip
        return waiter.future

    def _send_drop(self, link: DataLink, volume: int, chunk: int) -> None:
        link.send(_MustSucceed(self), Operation.DROP, self._target, volume, chunk, epoch=self._job)

    async def _repair_ours(self, volume: int, chunk: int) -> None:
        """Replace bad blocks of ours by those of another in-sync copy, lest the only good one be given up.

        A block that no copy has good is accepted if it is merely uncertain; else it stays bad there too.
        """
        store = self._served.store
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, store.prefetch, volume, chunk, 0, CHUNK_BYTES)
        for block in store.verify(volume, chunk):  # here, not in a thread: it uses the tables' cache
            data, silent = await self._good_block(volume, chunk, block)
            if data is not None:
                if store.repair(volume, chunk, block, data):
                    self._served.bad_blocks += 1
                    self._served.errors += 1
            elif silent:
                raise JoinFailed(f"block {block} of chunk {chunk} is bad here, and another copy is silent")
            else:
                store.bless(volume, chunk, block)

    async def _good_block(self, volume: int, chunk: int, block: int) -> tuple[Buffer | None, bool]:
        """A partner's version of a block, and whether a partner that might have it did not answer."""
        silent = False
        for device_id, ip, port in self.spec.partners:
            link = await self._peers.link(ip, port)
            status, payload = await link.ask(
                Operation.READ, device=int(device_id, 16), volume=volume, chunk=chunk,
                offset=block * BLOCK_BYTES, length=BLOCK_BYTES, flags=Flag.PEER,
            )  # fmt: skip
            if status == Status.OK:
                return payload, False
            silent |= status != Status.BAD_BLOCK
        return None, silent

    @property
    def _job(self) -> int:
        return self.spec.job_id & 0xFFFFFFFF

    def _expect(self, status: int, doing: str) -> None:
        if status != Status.OK:
            raise JoinFailed(f"the target could not {doing}: {Status(status).name}")


class _MustSucceed:
    """An answer that nobody waits for but that fails the join if it is not OK."""

    __slots__ = ("_join",)

    def __init__(self, join: SourceJoin) -> None:
        self._join = join

    def answered(self, link: DataLink, status: int, payload: Buffer) -> None:
        if status != Status.OK:
            self._join.fail(f"the target could not drop a chunk: {Status(status).name}")


class _Forwarded:
    """The answer to a client's write that was passed on."""

    __slots__ = ("_join", "_session", "_tag")

    def __init__(self, join: SourceJoin, session: DataSession, tag: int) -> None:
        self._join = join
        self._session = session
        self._tag = tag

    def answered(self, link: DataLink, status: int, payload: Buffer) -> None:
        if status == Status.OK:
            self._session.reply(self._tag, Status.OK)
            return
        self._join.fail(f"a write could not be passed on: {Status(status).name}")
        self._session.reply(self._tag, Status.STALE_MAP if self._join.reported else Status.OK)
