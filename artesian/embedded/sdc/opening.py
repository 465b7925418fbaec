"""Taking a volume over: fence whoever wrote before, make the copies equal, then serve."""

from __future__ import annotations

import asyncio
import struct
from typing import Protocol

import structlog

from artesian.embedded import wire
from artesian.embedded.errors import CommandRefused, EngineError
from artesian.embedded.sdc.equalizing import NoRoom, TryAgain, Unreadable, equalize_chunk
from artesian.embedded.sdc.servers import RemoteServer
from artesian.embedded.sdc.volume import VolumeEngine
from artesian.embedded.wire import Operation as Op
from artesian.embedded.wire import Status

log = structlog.get_logger()

RETRY_S = 0.1
CONNECT_S = 1.0
CHUNKS_AT_ONCE = 8


class OpeningPort(Protocol):
    """What opening needs of the managers."""

    async def new_epoch(self, volume_id: str) -> int:
        """A new epoch for our session, with the newest map applied. Raises CommandRefused, EngineError."""

    async def report_failed(self, device_ids: list[str], reason: str) -> None: ...
    def devices_of(self, server: RemoteServer) -> list[str]: ...


async def open_volume(engine: VolumeEngine, managers: OpeningPort) -> None:
    """Open the volume; tries until it succeeds, and returns when the engine serves or has been stopped.

    A volume that is mapped read-only needs no fence. For a writer, every server that holds an in-sync copy
    must have accepted the new epoch before the first write: one that cannot be reached is marked stale, and
    one that holds the last copy of something is waited for.
    """
    while not engine.stopped_with:
        try:
            epoch = await managers.new_epoch(engine.volume_id)
            engine.epoch = epoch
            if not engine.read_only:
                await _fence_earlier_writers(engine, managers)
                await _equalize(engine)
            engine.open(epoch)
            log.info("volume.open", volume_id=engine.volume_id, name=engine.name, epoch=epoch)
            return
        except CommandRefused as error:
            log.info("volume.not_opened", volume_id=engine.volume_id, because=str(error))
        except (EngineError, OSError, TimeoutError) as error:
            log.warning("volume.opening", volume_id=engine.volume_id, because=str(error))
        await asyncio.sleep(RETRY_S)


def _members(engine: VolumeEngine) -> dict[RemoteServer, set[int]]:
    """Every server with in-sync copies in the volume's pool, and its devices."""
    members: dict[RemoteServer, set[int]] = {}
    for route in engine.routes:
        for server, device in route.targets:
            members.setdefault(server, set()).add(device)
    return members


async def _fence_earlier_writers(engine: VolumeEngine, managers: OpeningPort) -> None:
    servers = list(_members(engine))
    opened = await asyncio.gather(*(server.wait_open(CONNECT_S) for server in servers))
    unreachable = [server for server, is_open in zip(servers, opened, strict=True) if not is_open]
    if unreachable:
        device_ids = [id for server in unreachable for id in managers.devices_of(server)]
        await managers.report_failed(device_ids, "a client that opens a volume cannot reach them")
    for server in _members(engine):
        status, _ = await server.link.ask(Op.OPEN, volume=engine.number, epoch=engine.epoch)
        if status != Status.OK:
            raise TryAgain(f"server {server.ip} has not accepted the new epoch: {Status(status).name}")


def _shares_slices(engine: VolumeEngine, device: int) -> bool:
    """Whether a device holds an in-sync copy of a slice of which there is another."""
    return any(
        len(route.targets) > 1 and any(device == other for _, other in route.targets)
        for route in engine.routes
    )


async def _equalize(engine: VolumeEngine) -> None:
    """Compare the chunks that were open when the earlier writer went."""
    chunks: set[int] = set()
    for server, devices in _members(engine).items():
        for device in devices:
            slices = [
                (index, route.generation)
                for index, route in enumerate(engine.routes)
                if any(device == member for _, member in route.targets)
            ]
            status, payload = await server.link.ask(
                Op.LIST_OPEN, device=device, volume=engine.number, epoch=engine.epoch,
                payload=wire.pack_memberships(slices),
            )  # fmt: skip
            if status != Status.OK and _shares_slices(engine, device):
                raise TryAgain(f"server {server.ip} did not list open chunks: {Status(status).name}")
            if status != Status.OK:
                continue  # it holds only last copies: there is nothing to compare them with
            chunks.update(struct.unpack(f"<{len(payload) // 4}I", payload))
    limit = asyncio.Semaphore(CHUNKS_AT_ONCE)
    differing = 0

    async def one(chunk: int) -> None:
        nonlocal differing
        async with limit:
            try:
                differing += await equalize_chunk(engine, chunk)
            except NoRoom:
                pass
            except Unreadable as error:
                log.error("volume.unreadable", volume_id=engine.volume_id, chunk=chunk, because=str(error))

    await asyncio.gather(*(one(chunk) for chunk in sorted(chunks)))
    log.info("volume.compared", volume_id=engine.volume_id, chunks=len(chunks), blocks_made_equal=differing)
