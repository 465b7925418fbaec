"""A drill: a verifying workload on a cluster to which a seeded schedule does what can be done to clusters.

`run(seed)` raises AssertionError when an acknowledged write is lost, a read shows what was never written, the
copies differ at the end, or the cluster does not become healthy by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from artesian.embedded.device import space
from artesian.embedded.sdc.nbd_constants import (
    NBD_CMD_FLUSH,
    NBD_CMD_READ,
    NBD_CMD_TRIM,
    NBD_CMD_WRITE,
    NBD_CMD_WRITE_ZEROES,
)
from artesian.embedded.sds import access, process
from tests.embedded.simulation.checker import BLOCK_BYTES, Checker, contents
from tests.embedded.simulation.cluster import Cluster
from tests.embedded.simulation.loop import SimulatedLoop

BLOCKS_PER_CHUNK = 256
WORKERS = 6
CHUNKS = 12
BLOCKS_USED = 5  # in each of these chunks
PATIENCE_S = 240.0


class Request:
    """What the NBD server would hand over."""

    __slots__ = ("_future", "command", "flags", "length", "offset", "payload", "result")

    def __init__(self, command: int, offset: int, length: int, payload: bytes | None = None) -> None:
        self.command = command
        self.flags = 0
        self.offset = offset
        self.length = length
        self.payload = payload
        self.result = bytearray(length if command == NBD_CMD_READ else 0)
        self._future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def data(self, offset: int, buffer: Any) -> None:
        self.result[offset - self.offset : offset - self.offset + len(buffer)] = buffer

    def hole(self, offset: int, length: int) -> None:
        self.data(offset, bytes(length))

    def done(self, error: int = 0) -> None:
        assert not self._future.done(), "a request was answered twice"
        self._future.set_result(error)

    async def on(self, engine: Any) -> int:
        """Submit it, wait for its errno."""
        engine.submit(self)
        return await self._future


@dataclass(slots=True)
class Outcome:
    """What a drill did."""

    seed: int
    acknowledged: int = 0
    failed: int = 0
    reads: int = 0
    chunks: int = 0
    seconds: float = 0.0
    events: tuple[str, ...] = ()


class Drill:
    """One seed's story."""

    def __init__(self, seed: int, cluster: Cluster) -> None:
        self.seed = seed
        self.cluster = cluster
        self.random = cluster.random
        self.checker = Checker()
        self.events: list[str] = []
        self._busy: set[int] = set()
        self._stopping = False
        self._blocks = [
            chunk * BLOCKS_PER_CHUNK + self.random.randrange(BLOCKS_PER_CHUNK)
            for chunk in range(CHUNKS)
            for _ in range(BLOCKS_USED)
        ]

    # --- the workload

    def start_workload(self) -> None:
        process = self.cluster.processes["sdc"]
        for _ in range(WORKERS):
            process.run(self._work())

    async def _work(self) -> None:
        while not self._stopping:
            await asyncio.sleep(self.random.uniform(0.0, 0.05))
            engine = self.cluster.engine()
            if engine is None:
                continue
            block = self.random.choice(self._blocks)
            if block in self._busy:
                continue
            choice = self.random.random()
            if choice < 0.05:
                await self._flush(engine)
                continue
            self._busy.add(block)
            if choice < 0.55:
                await self._write(engine, block)
            elif choice < 0.62:
                await self._trim(engine, block)
            else:
                await self.read(engine, block)
            self._busy.discard(block)

    async def _write(self, engine: Any, block: int) -> None:
        version = self.checker.begin_write(block)
        request = Request(NBD_CMD_WRITE, block * BLOCK_BYTES, BLOCK_BYTES, contents(block, version))
        error = await request.on(engine)
        assert error in (0, errno.ENOSPC), f"a write failed with {errno.errorcode.get(error, error)}"
        self.checker.end_write(block, version, error)

    async def _trim(self, engine: Any, block: int) -> None:
        version = self.checker.begin_write(block, zero=True)
        command = self.random.choice((NBD_CMD_TRIM, NBD_CMD_WRITE_ZEROES))
        error = await Request(command, block * BLOCK_BYTES, BLOCK_BYTES).on(engine)
        assert error in (0, errno.ENOSPC), f"a trim failed with {errno.errorcode.get(error, error)}"
        self.checker.end_write(block, version, error)

    async def read(self, engine: Any, block: int) -> None:
        possible = self.checker.possible(block)
        request = Request(NBD_CMD_READ, block * BLOCK_BYTES, BLOCK_BYTES)
        error = await request.on(engine)
        assert error == 0, f"a read of block {block} failed with {errno.errorcode.get(error, error)}"
        self.checker.read(block, bytes(request.result), possible=possible)

    async def _flush(self, engine: Any) -> None:
        flush = self.checker.begin_flush()
        error = await Request(NBD_CMD_FLUSH, 0, 0).on(engine)
        assert error == 0, f"a flush failed with {errno.errorcode.get(error, error)}"
        self.checker.end_flush(flush, error)

    # --- what happens to the cluster

    async def happen(self, count: int) -> None:
        """So many events, one after another."""
        events: list[Callable[[], Any]] = [
            self._kill_server, self._kill_server, self._crash_server, self._kill_manager, self._kill_client,
            self._fail_disk, self._flip_bits, self._add_disk, self._remove_disk, self._lose_power,
            self._maintain_server,
        ]  # fmt: skip
        for _ in range(count):
            await asyncio.sleep(self.random.uniform(0.2, 3.0))
            await self.random.choice(events)()

    def _note(self, text: str) -> None:
        self.events.append(f"{self.cluster.loop.time():.2f} {text}")

    def _some_server(self) -> int | None:
        alive = [node for node in self.cluster.servers if self.cluster.alive(f"sds{node}")]
        return self.random.choice(alive) if alive else None

    async def _kill_server(self) -> None:
        node = self._some_server()
        if node is None:
            return
        self._note(f"kill server {node}")
        self.cluster.kill(f"sds{node}")
        await asyncio.sleep(self.random.choice((0.1, 1.0, 3.0, 12.0)))
        self._note(f"start server {node}")
        await self.cluster.start_server(node)

    async def _crash_server(self) -> None:
        """The server is killed between two operations on its disks."""
        node = self._some_server()
        if node is None:
            return
        self._note(f"server {node} will be killed within a few disk operations")
        self.cluster.crash_in[f"sds{node}"] = self.random.randrange(1, 60)
        await asyncio.sleep(self.random.uniform(0.5, 2.0))
        self.cluster.crash_in.pop(f"sds{node}", None)
        if not self.cluster.alive(f"sds{node}"):
            self._note(f"start server {node}")
            await self.cluster.start_server(node)

    async def _maintain_server(self) -> None:
        """A server is away for much longer than it is waited for, and the client goes on without it."""
        node = self._some_server()
        if node is None or not self.cluster.alive("mdm") or not self._enter_maintenance(node):
            return
        self.cluster.kill(f"sds{node}")
        if self.random.random() < 0.5:
            await self.random.choice((self._kill_manager, self._kill_client))()
        ends = self.cluster.loop.time() + self.random.choice((3.0, 20.0))
        while self.cluster.loop.time() < ends:
            await asyncio.sleep(0.2)
            self._check_nothing_is_remade(node)
        if leaves_first := self.random.random() < 0.3:
            self._exit_maintenance(node)
        self._note(f"start server {node}")
        await self.cluster.start_server(node)
        await asyncio.sleep(self.random.choice((0.0, 1.0, 5.0)))
        if not leaves_first:
            self._exit_maintenance(node)

    def _enter_maintenance(self, node: int) -> bool:
        from artesian.embedded.capacity import answering_devices, connected_servers
        from artesian.embedded.errors import CommandRefused

        assert self.cluster.manager is not None
        live = self.cluster.manager.live()
        try:
            self.cluster.command(
                "enter_maintenance",
                server_id=self._server_id(node),
                connected_servers=connected_servers(live),
                answering_devices=answering_devices(self.cluster.state, live),
            )
        except CommandRefused as error:
            self._note(f"server {node} may not be in maintenance: {error}")
            return False
        self._note(f"server {node} is killed in maintenance")
        return True

    def _exit_maintenance(self, node: int) -> None:
        self._note(f"server {node} leaves maintenance")
        self.cluster.command("exit_maintenance", server_id=self._server_id(node))

    def _server_id(self, node: int) -> str:
        return next(s.id for s in self.cluster.state.servers.values() if s.name == f"sds{node}")

    def _check_nothing_is_remade(self, node: int) -> None:
        """No copy that is only away is remade."""
        state = self.cluster.state
        away = {
            device.id
            for device in state.devices.values()
            if device.server_id == self._server_id(node) and device.error is None
        }
        joins = [one.join for one in self.cluster.pool.slices if one.join is not None]
        assert not any(join.replaces in away for join in joins), "a copy in maintenance is remade"

    async def _kill_manager(self) -> None:
        self._note("kill the leading manager")
        self.cluster.kill("mdm")
        await asyncio.sleep(self.random.choice((0.5, 2.0)))
        await self.cluster.start_manager()

    async def _kill_client(self) -> None:
        self._note("kill the client")
        self.cluster.kill("sdc")
        self.checker.client_died()
        self._busy.clear()
        await asyncio.sleep(self.random.uniform(0.0, 2.0))
        await self.cluster.start_client()
        self.start_workload()

    def _safe(self) -> bool:
        """Whether losing a disk now loses nothing."""
        unnoticed = any(self._platter(device).failed for device in self._normal_devices())
        alive = all(self.cluster.alive(f"sds{node}") for node in self.cluster.servers)
        return alive and not unnoticed and self.cluster.healthy()

    def _normal_devices(self) -> list[Any]:
        return [device for device in self.cluster.state.devices.values()
                if device.lifecycle.value == "normal" and device.error is None]  # fmt: skip

    def _platter(self, device: Any) -> Any:
        node = int(self.cluster.state.servers[device.server_id].name.removeprefix("sds"))
        return self.cluster.platters[node, device.path]

    async def _fail_disk(self) -> None:
        devices = self._normal_devices()
        if not self._safe() or len(devices) <= 4:
            return
        device = self.random.choice(devices)
        self._note(f"disk {device.name} fails")
        self._platter(device).failed = True

    async def _flip_bits(self) -> None:
        if not self._safe():
            return
        device = self.random.choice(self._normal_devices())
        node = int(self.cluster.state.servers[device.server_id].name.removeprefix("sds"))
        for served in self.cluster.servers[node]._inventory.served():
            if served.device_id == device.id and served.store._index:
                slot = self.random.choice(list(served.store._index.values()))
                offset = served.store._data_offset + slot * (1 << 20) + self.random.randrange(1 << 20)
                self._note(f"bits flip on {device.name}")
                self._platter(device).flip(offset, 1 << self.random.randrange(8))

    async def _add_disk(self) -> None:
        if len(self.cluster.platters) > 10 or not self.cluster.alive("mdm"):
            return
        node = self.random.choice(list(self.cluster.servers))
        from tests.embedded.simulation.disk import Platter

        path = f"/disk{len(self.cluster.platters)}"
        self.cluster.platters[node, path] = Platter(self.cluster.disk_mib << 20)
        server_id = self._server_id(node)
        self._note(f"add disk {node}{path}")
        self.cluster.command(
            "add_device", random=self.cluster.number(), server_id=server_id, path=path, name=f"{node}{path}",
            storage_pool_id=self.cluster.pool_id,
        )  # fmt: skip

    async def _remove_disk(self) -> None:
        devices = self._normal_devices()
        if not self._safe() or len(devices) <= 5:
            return
        device = self.random.choice(devices)
        self._note(f"remove disk {device.name}")
        from artesian.embedded.errors import CommandRefused

        try:
            self.cluster.command("remove_device", device_id=device.id, device_slots={})
        except CommandRefused as error:
            self._note(f"refused: {error}")

    async def _lose_power(self) -> None:
        """Everything at once."""
        self._note("power is lost")
        for name in list(self.cluster.processes):
            if self.cluster.alive(name):
                self.cluster.kill(name)
        for platter in self.cluster.platters.values():
            platter.lose_power(self.random)
        self.checker.power_lost()
        self._busy.clear()
        await asyncio.sleep(1.0)
        for node in list(self.cluster.servers):
            await self.cluster.start_server(node)
        await self.cluster.start_manager()
        await self.cluster.start_client()
        self.start_workload()

    # --- the end

    async def finish(self) -> Outcome:
        """The faults are over: everything must become healthy, and every write be there."""
        cluster = self.cluster
        for node in list(cluster.servers):
            if not cluster.alive(f"sds{node}"):
                await cluster.start_server(node)
        await cluster.until(cluster.is_open, PATIENCE_S)
        await cluster.until(cluster.healthy, PATIENCE_S)
        self._stopping = True
        await cluster.until(lambda: not self._busy, PATIENCE_S)
        engine = cluster.engine()
        for block in self._blocks:
            await cluster.processes["sdc"].run(self.read(engine, block))
        await cluster.processes["sdc"].run(self._flush(engine))
        chunks = await cluster.processes["sdc"].run(self._compare())
        checker = self.checker
        return Outcome(
            self.seed, checker.acknowledged, checker.failed, checker.reads, chunks, cluster.loop.time(),
            tuple(self.events),
        )  # fmt: skip

    async def _compare(self) -> int:
        """Bits may have flipped where nobody read: read every used chunk, which repairs, then compare."""
        engine = self.cluster.engine()
        for _ in range(6):
            for chunk in range(CHUNKS):
                await Request(NBD_CMD_READ, chunk << 20, 1 << 20).on(engine)
        return self.cluster.check_copies()


async def _story(loop: SimulatedLoop, seed: int, folder: Path, events: int) -> Outcome:
    cluster = Cluster(
        loop, folder, nodes=loop.random.choice((3, 3, 4)), disks=2, disk_mib=loop.random.choice((20, 48))
    )
    drill = Drill(seed, cluster)
    failures: list[BaseException] = []

    def failed(_: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception):
            failures.append(error)

    loop.set_exception_handler(failed)
    try:
        await cluster.start()
        drill.start_workload()
        await drill.happen(events)
        outcome = await drill.finish()
        if failures:
            raise failures[0]
        return outcome
    except BaseException as error:
        error.add_note(f"seed {seed}; events: " + "; ".join(drill.events))
        raise
    finally:
        cluster.end()


@contextlib.contextmanager
def _measures(seed: int) -> Iterator[None]:
    """Some seeds with measures of the server at which what is seldom happens often."""
    choice = random.Random(seed).choice
    with (
        patch.object(process, "CLOSE_CHUNKS_INTERVAL_S", choice((0.15, 1.0, 5.0))),
        patch.object(space, "INITIALIZE_SLOTS", choice((3, 512))),
        patch.object(access, "CHUNKS_COPIED_AT_ONCE", choice((1, 3, 6))),
    ):
        yield


def run(seed: int, events: int = 12) -> Outcome:
    """One drill."""
    loop = SimulatedLoop(seed)
    asyncio.set_event_loop(loop)
    try:
        with tempfile.TemporaryDirectory() as folder, _measures(seed):
            return loop.run_until_complete(_story(loop, seed, Path(folder), events))
    finally:
        asyncio.set_event_loop(None)
        loop.set_exception_handler(lambda *_: None)
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.close()
        gc.collect()
