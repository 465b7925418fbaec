"""Making the copies of a chunk equal.

Copies can differ only in writes that were never acknowledged: those on their way when a client died, or
when one copy had no room. Either version of such a block is right, as long as both copies have the same.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from artesian.embedded import wire
from artesian.embedded.datalink import Buffer, DataLink
from artesian.embedded.errors import EngineError
from artesian.embedded.wire import BLOCK_BYTES, BLOCKS_PER_CHUNK, CHUNK_BYTES, ZERO_ENTRY, Status
from artesian.embedded.wire import Operation as Op

if TYPE_CHECKING:
    from artesian.embedded.sdc.servers import RemoteServer
    from artesian.embedded.sdc.volume import VolumeEngine

    Target = tuple[RemoteServer, int]

Table = tuple[int, bool, bytes, set[int]]  # as `wire.unpack_table` gives it
ABSENT: Table = (0, False, ZERO_ENTRY * BLOCKS_PER_CHUNK, set())


class NoRoom(EngineError):
    """The chunk's copies are equal now, but only because what one had no room for was given up."""


class Unreadable(EngineError):
    """No copy has a good version of a block."""


class TryAgain(EngineError):
    """A copy did not answer, or the map has changed meanwhile."""


async def equalize_chunk(engine: VolumeEngine, chunk: int) -> int:
    """Make the in-sync copies of one chunk equal; the caller sees to it that nobody writes it meanwhile.

    Returns how many blocks were different. Raises NoRoom, TryAgain, Unreadable.
    """
    copies = _Copies(engine, chunk)
    if len(copies.targets) < 2:
        return 0
    tables = [await copies.table(target) for target in copies.targets]
    if all(table is None for table in tables):
        return 0
    mine, theirs = (table if table is not None else ABSENT for table in tables[:2])
    differing = [
        block
        for block in range(BLOCKS_PER_CHUNK)
        if block in mine[3] or block in theirs[3]
        or mine[2][8 * block : 8 * block + 8] != theirs[2][8 * block : 8 * block + 8]
    ]  # fmt: skip
    try:
        for block in differing:
            await _equalize_block(copies, block, mine, theirs)
    except NoRoom:
        if None not in tables:  # both hold the chunk, with acknowledged data: a host file system is full
            raise TryAgain(f"a copy of chunk {chunk} has no room on its host's file system") from None
        # One copy has no slot for this chunk, so nothing of it was ever acknowledged there.
        await copies.zero(0, CHUNK_BYTES)
        raise
    return len(differing)


async def _equalize_block(copies: _Copies, block: int, mine: Table, theirs: Table) -> None:
    """Write a block to both copies, from the first copy that has it good."""
    first, second = copies.targets[:2]
    source, table = first, mine
    if block in mine[3] and (
        block not in theirs[3] or (not await copies.bless(block, first) and await copies.bless(block, second))
    ):
        source, table = second, theirs
    if table[2][8 * block : 8 * block + 8] == ZERO_ENTRY and block not in table[3]:
        await copies.zero(block * BLOCK_BYTES, BLOCK_BYTES)
        return
    data = await copies.read(block, source)
    for target in copies.targets:
        # A bad block would refuse to be merged with, but a whole block simply replaces it.
        if target != source or block in table[3]:
            await copies.write(block, data, target)


async def read_good_block(engine: VolumeEngine, chunk: int, block: int, bad_link: DataLink) -> Buffer | None:
    """A block that is bad on one copy, from another copy.

    None when the only copy there is accepts the block as it is, because it is merely uncertain since that
    server stopped uncleanly. Raises Unreadable when no copy is good, TryAgain when a copy did not answer.
    """
    copies = _Copies(engine, chunk)
    for target in copies.targets:
        if target[0].link is bad_link:
            continue
        status, payload = await copies.ask_for(block, target)
        if status == Status.OK:
            return payload
        if status != Status.BAD_BLOCK:
            raise TryAgain(f"a copy of chunk {chunk} did not answer: {Status(status).name}")
    if not engine.read_only:
        for target in copies.targets:
            if await copies.bless(block, target):
                return None
    raise Unreadable(f"block {block} of chunk {chunk} of volume {engine.name} is bad on every copy")


class _Copies:
    """The in-sync copies of a chunk by the route of one moment.

    Servers refuse what is asked with it once the set of copies has changed: what a copy said that has moved
    away since, and may have dropped the chunk, must never be applied to the copies that there are now.
    """

    def __init__(self, engine: VolumeEngine, chunk: int) -> None:
        route = engine.routes[(engine.first + chunk) & engine.mask]
        self.targets: tuple[Target, ...] = route.targets
        self._generation = route.generation
        self._engine = engine
        self._chunk = chunk

    async def table(self, target: Target) -> Table | None:
        """A copy's checksums; None when it has nothing of this chunk."""
        status, payload = await self._ask(target, Op.TABLE)
        if status != Status.OK:
            raise TryAgain(f"a copy of chunk {self._chunk} could not be compared: {Status(status).name}")
        return wire.unpack_table(payload)

    async def bless(self, block: int, target: Target) -> bool:
        """Have a copy accept a block as it is; whether it did."""
        self._engine.unflushed[target[0]] = 1
        status, _ = await self._ask(target, Op.BLESS, offset=block * BLOCK_BYTES)
        return status == Status.OK

    async def ask_for(self, block: int, target: Target) -> tuple[int, Buffer]:
        """(status, bytes) of a block."""
        return await self._ask(target, Op.READ, offset=block * BLOCK_BYTES, length=BLOCK_BYTES)

    async def read(self, block: int, target: Target) -> Buffer:
        """A block's bytes."""
        status, payload = await self.ask_for(block, target)
        if status == Status.BAD_BLOCK:
            name = self._engine.name
            raise Unreadable(f"block {block} of chunk {self._chunk} of volume {name} is bad on every copy")
        if status != Status.OK:
            raise TryAgain(f"a copy of chunk {self._chunk} could not be read: {Status(status).name}")
        return payload

    async def write(self, block: int, data: Buffer, target: Target) -> None:
        """Write a block to one copy only: it becomes equal to the other."""
        self._engine.unflushed[target[0]] = 1
        status, _ = await self._ask(
            target, Op.WRITE, offset=block * BLOCK_BYTES, length=BLOCK_BYTES,
            sequence=self._engine.safe_sequence, payload=data,
        )  # fmt: skip
        self._check(status)

    async def zero(self, offset: int, length: int) -> None:
        """Zero a part of all copies."""
        for target in self.targets:
            self._engine.unflushed[target[0]] = 1
        sequence = self._engine.safe_sequence
        answers = await asyncio.gather(
            *(
                self._ask(target, Op.ZERO, offset=offset, length=length, sequence=sequence)
                for target in self.targets
            )
        )
        for status, _ in answers:
            self._check(status)

    async def _ask(self, target: Target, operation: int, **fields: Any) -> tuple[int, Buffer]:
        server, device = target
        return await server.link.ask(
            operation, device=device, volume=self._engine.number, chunk=self._chunk,
            epoch=self._engine.epoch, generation=self._generation, **fields,
        )  # fmt: skip

    def _check(self, status: int) -> None:
        if status == Status.NO_SPACE:
            raise NoRoom(f"there is no room for chunk {self._chunk}")
        if status != Status.OK:
            raise TryAgain(f"a copy of chunk {self._chunk} could not be made equal: {Status(status).name}")
