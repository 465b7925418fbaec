"""Which parts of a volume hold data, as NBD's block status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artesian.embedded import wire
from artesian.embedded.sdc.nbd import IoRequest
from artesian.embedded.wire import BLOCK_BYTES, CHUNK_BYTES, Status
from artesian.embedded.wire import Operation as Op

if TYPE_CHECKING:
    from artesian.embedded.sdc.volume import VolumeEngine

CHUNKS_PER_STATUS = 64
CHUNK_MASK = CHUNK_BYTES - 1


async def block_status(engine: VolumeEngine, request: IoRequest) -> None:
    """Answer a block status request; for a part of the range when it is long."""
    end = min(request.offset + request.length, ((request.offset >> 20) + CHUNKS_PER_STATUS) << 20)
    extents: list[tuple[int, int]] = []
    at = request.offset
    while at < end:
        chunk, within = at >> 20, at & CHUNK_MASK
        held = await _chunk_status(engine, chunk)
        stop = min(CHUNK_BYTES, within + end - at)
        while within < stop:
            block_end = min((within // BLOCK_BYTES + 1) * BLOCK_BYTES, stop)
            flags = 0 if held[within // BLOCK_BYTES] else 3  # NBD_STATE_HOLE | NBD_STATE_ZERO
            if extents and extents[-1][1] == flags:
                extents[-1] = (extents[-1][0] + block_end - within, flags)
            else:
                extents.append((block_end - within, flags))
            at += block_end - within
            within = block_end
    if engine.stopped_with:
        request.done(engine.stopped_with)
        return
    request.status(extents)
    request.done()


async def _chunk_status(engine: VolumeEngine, chunk: int) -> bytes:
    """Which blocks of the chunk hold data; all of them when nobody can tell."""
    route = engine.routes[(engine.first + chunk) & engine.mask]
    for server, device in route.targets:
        status, payload = await server.link.ask(Op.STATUS, device=device, volume=engine.number, chunk=chunk)
        if status == Status.OK and len(payload) == wire.BLOCKS_PER_CHUNK:
            return bytes(payload)
    return b"\x01" * wire.BLOCKS_PER_CHUNK
