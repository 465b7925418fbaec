"""Making the copies of a chunk equal.

Copies can differ only in writes that were never acknowledged: those on their way when a client died, or
when one copy had no room. Either version of such a block is right, as long as both copies have the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from artesian.embedded import wire
from artesian.embedded.datalink import Buffer, DataLink, FutureWaiter
from artesian.embedded.errors import EngineError
from artesian.embedded.wire import BLOCK_BYTES, BLOCKS_PER_CHUNK, CHUNK_BYTES, ZERO_ENTRY, Status
from artesian.embedded.wire import Operation as Op

if TYPE_CHECKING:
    from artesian.embedded.sdc.servers import RemoteServer
    from artesian.embedded.sdc.volume import VolumeEngine

Table = tuple[int, bool, bytes, set[int]] | None
ABSENT: tuple[int, bool, bytes, set[int]] = (0, False, ZERO_ENTRY * BLOCKS_PER_CHUNK, set())


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
    route = engine.routes[(engine.first + chunk) & engine.mask]
    if len(route.targets) < 2:
        return 0
    tables = [await _table(engine, server, device, chunk) for server, device in route.targets]
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
        for start, count in _runs(differing):
            await _equalize_run(engine, chunk, start, count, mine, theirs)
    except NoRoom:
        if None not in tables:  # both hold the chunk, with acknowledged data: a host file system is full
            raise TryAgain(f"a copy of chunk {chunk} has no room on its host's file system") from None
        # One copy has no slot for this chunk, so nothing of it was ever acknowledged there.
        await _change(engine, Op.ZERO, chunk, 0, CHUNK_BYTES, None)
        raise
    return len(differing)


async def _equalize_run(
    engine: VolumeEngine,
    chunk: int,
    start: int,
    count: int,
    mine: tuple[int, bool, bytes, set[int]],
    theirs: tuple[int, bool, bytes, set[int]],
) -> None:
    """Write each of these blocks to both copies, from the first copy that has it good."""
    route = engine.routes[(engine.first + chunk) & engine.mask]
    for block in range(start, start + count):
        if block not in mine[3]:
            source, table = route.targets[0], mine
        elif block not in theirs[3]:
            source, table = route.targets[1], theirs
        else:
            source, table = route.targets[0], mine
            if not await _bless(engine, chunk, block, *source) and await _bless(
                engine, chunk, block, *route.targets[1]
            ):
                source, table = route.targets[1], theirs
        if table[2][8 * block : 8 * block + 8] == ZERO_ENTRY and block not in table[3]:
            await _change(engine, Op.ZERO, chunk, block * BLOCK_BYTES, BLOCK_BYTES, None)
            continue
        data = await _read(engine, chunk, block, *source)
        for server, device in route.targets:
            # A bad block would refuse to be merged with, but a whole block simply replaces it.
            if (server, device) != source or block in table[3]:
                await _write_one(engine, chunk, block, data, server, device)


def _runs(blocks: list[int]) -> list[tuple[int, int]]:
    """Consecutive blocks as (first, count)."""
    runs: list[tuple[int, int]] = []
    for block in blocks:
        if runs and runs[-1][0] + runs[-1][1] == block:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((block, 1))
    return runs


async def read_good_block(engine: VolumeEngine, chunk: int, block: int, bad_link: DataLink) -> Buffer | None:
    """A block that is bad on one copy, from another copy.

    None when the only copy there is accepts the block as it is, because it is merely uncertain since that
    server stopped uncleanly. Raises Unreadable when no copy is good, TryAgain when a copy did not answer.
    """
    route = engine.routes[(engine.first + chunk) & engine.mask]
    others = [(server, device) for server, device in route.targets if server.link is not bad_link]
    for server, device in others:
        status, payload = await server.link.ask(
            Op.READ, device=device, volume=engine.number, chunk=chunk, offset=block * BLOCK_BYTES,
            length=BLOCK_BYTES, epoch=engine.epoch, generation=route.generation,
        )  # fmt: skip
        if status == Status.OK:
            return payload
        if status != Status.BAD_BLOCK:
            raise TryAgain(f"a copy of chunk {chunk} did not answer: {Status(status).name}")
    if not engine.read_only:
        for server, device in route.targets:
            if await _bless(engine, chunk, block, server, device):
                return None
    raise Unreadable(f"block {block} of chunk {chunk} of volume {engine.name} is bad on every copy")


async def _table(engine: VolumeEngine, server: RemoteServer, device: int, chunk: int) -> Table:
    status, payload = await server.link.ask(
        Op.TABLE, device=device, volume=engine.number, chunk=chunk, epoch=engine.epoch
    )
    if status != Status.OK:
        raise TryAgain(f"a copy of chunk {chunk} could not be compared: {Status(status).name}")
    return wire.unpack_table(payload)


async def _bless(engine: VolumeEngine, chunk: int, block: int, server: RemoteServer, device: int) -> bool:
    route = engine.routes[(engine.first + chunk) & engine.mask]
    status, _ = await server.link.ask(
        Op.BLESS, device=device, volume=engine.number, chunk=chunk, offset=block * BLOCK_BYTES,
        epoch=engine.epoch, generation=route.generation,
    )  # fmt: skip
    engine.unflushed[server] = 1
    return status == Status.OK


async def _read(engine: VolumeEngine, chunk: int, block: int, server: RemoteServer, device: int) -> Buffer:
    route = engine.routes[(engine.first + chunk) & engine.mask]
    status, payload = await server.link.ask(
        Op.READ, device=device, volume=engine.number, chunk=chunk, offset=block * BLOCK_BYTES,
        length=BLOCK_BYTES, epoch=engine.epoch, generation=route.generation,
    )  # fmt: skip
    if status == Status.BAD_BLOCK:
        raise Unreadable(f"block {block} of chunk {chunk} of volume {engine.name} is bad on every copy")
    if status != Status.OK:
        raise TryAgain(f"a copy of chunk {chunk} could not be read: {Status(status).name}")
    return payload


async def _write_one(
    engine: VolumeEngine, chunk: int, block: int, data: Buffer, server: RemoteServer, device: int
) -> None:
    """Write a block to one copy only: it becomes equal to the other."""
    route = engine.routes[(engine.first + chunk) & engine.mask]
    status, _ = await server.link.ask(
        Op.WRITE, device=device, volume=engine.number, chunk=chunk, offset=block * BLOCK_BYTES,
        length=BLOCK_BYTES, epoch=engine.epoch, generation=route.generation,
        sequence=engine.safe_sequence, payload=data,
    )  # fmt: skip
    _check(status, chunk)
    engine.unflushed[server] = 1


async def _change(
    engine: VolumeEngine, operation: int, chunk: int, offset: int, length: int, payload: Buffer | None
) -> None:
    """The same change to all copies."""
    route = engine.routes[(engine.first + chunk) & engine.mask]
    waiters = []
    for server, device in route.targets:
        waiter = FutureWaiter()
        # fmt: off
        server.link.send(waiter, operation, device, engine.number, chunk, offset, length, engine.epoch,
                         route.generation, engine.safe_sequence, 0, payload)
        # fmt: on
        waiters.append(waiter)
        engine.unflushed[server] = 1
    for waiter in waiters:
        status, _ = await waiter.future
        _check(status, chunk)


def _check(status: int, chunk: int) -> None:
    if status == Status.NO_SPACE:
        raise NoRoom(f"there is no room for chunk {chunk}")
    if status != Status.OK:
        raise TryAgain(f"a copy of chunk {chunk} could not be made equal: {Status(status).name}")
