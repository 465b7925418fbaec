"""A whole engine in one simulated event loop: managers, servers, a client, disks; all of it can be killed."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from artesian.embedded.healing import HealingPolicy
from artesian.embedded.sdc.process import StorageClient
from artesian.embedded.sdc.volume import VolumeEngine
from artesian.embedded.sds.process import StorageServer
from artesian.embedded.state.commands import apply
from artesian.embedded.state.model import CopyState, Lifecycle, State
from tests.embedded.simulation.disk import Platter, ProcessKilled, SimulatedDisk
from tests.embedded.simulation.loop import SimulatedLoop, SimulatedProcess
from tests.embedded.simulation.manager import SimulatedManager

SECRET = b"a secret for simulated engines.."
MANAGER = ("10.0.0.1", 6611)
MIB = 1 << 20


class NoNbd:
    """The simulated client's volumes are used directly."""

    async def start(self, path: object) -> None: ...
    async def stop(self) -> None: ...
    def drop_export(self, name: str) -> None: ...


class Cluster:
    """`nodes` servers with `disks` each; one volume, mapped to one client."""

    def __init__(
        self, loop: SimulatedLoop, folder: Path, *, nodes: int, disks: int, disk_mib: int, slices: int = 32
    ) -> None:
        self.loop = loop
        self.folder = folder
        self.random: random.Random = loop.random
        self.state = State()
        self.policy = HealingPolicy(rebuild_after_s=6.0)
        self.platters: dict[tuple[int, str], Platter] = {
            (node, f"/disk{n}"): Platter(disk_mib * MIB) for node in range(nodes) for n in range(disks)
        }
        self.disk_mib = disk_mib
        self.processes: dict[str, SimulatedProcess] = {}
        self.manager: SimulatedManager | None = None
        self.client: StorageClient | None = None
        self.servers: dict[int, StorageServer] = {}
        self.crash_in: dict[str, int] = {}  # process name → disk operations until it is killed
        self._slices = slices
        self._generation = 0

    # --- processes

    def _process(self, name: str) -> SimulatedProcess:
        self._generation += 1
        process = self.processes[name] = SimulatedProcess(self.loop, name)
        return process

    def alive(self, name: str) -> bool:
        """Whether a process runs."""
        return name in self.processes and self.processes[name].alive

    def kill(self, name: str) -> None:
        """kill -9."""
        self.processes[name].kill()
        if name == "sdc" and self.client is not None:
            self._release_client()

    def _release_client(self) -> None:
        """The kernel drops a dead process' file locks."""
        import os

        assert self.client is not None
        if self.client._lock is not None:
            os.close(self.client._lock)
            self.client._lock = None

    async def start_manager(self) -> None:
        self.loop.listening.pop(MANAGER, None)
        process = self._process("mdm")

        def make() -> None:
            self.manager = SimulatedManager(self.state, SECRET, MANAGER, self.policy)

        process.call(make)
        assert self.manager is not None
        process.run(self.manager.run())

    async def start_server(self, node: int) -> None:
        name = f"sds{node}"
        process = self._process(name)
        address = (f"10.0.1.{node}", 7072)
        self.loop.listening.pop(address, None)
        config = SimpleNamespace(ip=address[0], port=address[1], name=name, manager_addresses=[MANAGER])

        def killer() -> None:
            if name in self.crash_in:
                self.crash_in[name] -= 1
                if self.crash_in[name] <= 0:
                    del self.crash_in[name]
                    process.kill()
            if not process.alive:
                raise ProcessKilled

        def open_disk(path: str) -> Any:
            return SimulatedDisk(self.platters[node, path], path, killer)

        def make() -> None:
            self.servers[node] = StorageServer(config, SECRET, open_disk)  # type: ignore[arg-type]

        process.call(make)
        await process.run(self.servers[node].start())

    async def start_client(self) -> None:
        process = self._process("sdc")
        config = SimpleNamespace(
            ip="10.0.2.1", name="client", guid="C0FFEE00-0000-0000-0000-000000000000", nbd_socket="/nowhere",
            manager_addresses=[MANAGER], state_dir=str(self.folder), io_timeout_s=120.0,
        )  # fmt: skip

        def make() -> None:
            self.client = StorageClient(config, SECRET)  # type: ignore[arg-type]
            self.client._nbd = NoNbd()  # type: ignore[assignment]

        process.call(make)
        assert self.client is not None
        await process.run(self.client.start())

    def engine(self) -> VolumeEngine | None:
        """The mapped volume in the client, once it is known there."""
        if self.client is None:
            return None
        return next(iter(self.client._engines.values()), None)

    def end(self) -> None:
        """Everything is killed, and the disks' memory is given back."""
        for name in list(self.processes):
            if self.alive(name):
                self.kill(name)
        for platter in self.platters.values():
            platter.bytes.close()

    # --- the engine's life

    def number(self) -> str:
        return f"{self.random.getrandbits(32):08x}"

    def command(self, name: str, /, **args: Any) -> dict[str, Any]:
        """A command of the user."""
        if self.manager is not None and self.alive("mdm"):
            return self.manager.command(name, **args)
        return apply(self.state, name, args)

    async def start(self, *, thin: bool = True) -> None:
        """From nothing to a mapped volume."""
        manager = {"id": "m1", "name": "m1", "ip": MANAGER[0], "raft_port": 1, "control_port": MANAGER[1]}
        self.command(
            "bootstrap", name="sim", system_id=f"{1:016x}", install_id=f"{2:016x}", token_key="00",
            random=self.number(), password_hash="x", managers=[manager],
        )  # fmt: skip
        await self.start_manager()
        domain = self.command("add_protection_domain", random=self.number(), name="domain")["id"]
        self.pool_id = self.command(
            "add_storage_pool", random=self.number(), name="pool", protection_domain_id=domain,
            slice_count=self._slices, rebuild_policy="unlimited", rebalance_policy="unlimited",
        )["id"]  # fmt: skip
        for node in sorted({node for node, _ in self.platters}):
            await self.start_server(node)
            server_id = self.command(
                "add_server", random=self.number(), protection_domain_id=domain, name=f"sds{node}",
                ips=[{"ip": f"10.0.1.{node}"}], port=7072,
            )["id"]  # fmt: skip
            for other, path in sorted(self.platters):
                if other == node:
                    self.command(
                        "add_device", random=self.number(), server_id=server_id, storage_pool_id=self.pool_id,
                        path=path, name=f"{node}{path}",
                    )  # fmt: skip
        await self.until(lambda: all(one.copies for one in self.pool.slices), 20)
        self.volume_id = self.command(
            "add_volume",
            random=self.number(),
            storage_pool_id=self.pool_id,
            size_bytes=1 << 30,
            name="volume",
        )["id"]
        await self.start_client()
        await self.until(lambda: bool(self.state.clients), 10)
        self.command("map_volume", volume_id=self.volume_id, client_id=next(iter(self.state.clients)))
        await self.until(self.is_open, 20)

    @property
    def pool(self) -> Any:
        return self.state.storage_pools[self.pool_id]

    def is_open(self) -> bool:
        """Whether the client serves the volume."""
        engine = self.engine()
        return self.alive("sdc") and engine is not None and engine.is_open

    def healthy(self) -> bool:
        """Two in-sync copies of everything, nothing under way."""
        devices = [device for device in self.state.devices.values() if device.lifecycle is Lifecycle.NORMAL]
        return len(devices) == len(self.state.devices) and all(
            one.join is None
            and len(one.copies) == 2
            and all(copy.state is CopyState.IN_SYNC for copy in one.copies)
            for one in self.pool.slices
        )

    async def until(self, condition: Any, timeout_s: float) -> None:
        """Wait, in the cluster's time."""
        deadline = self.loop.time() + timeout_s
        while not condition():
            if self.loop.time() > deadline:
                raise AssertionError(f"not within {timeout_s} s: {condition}; {self.describe()}")
            await asyncio.sleep(0.05)

    def describe(self) -> str:
        """What a failure needs to know."""
        copies = [
            [(copy.device_id[-2:], copy.state.value) for copy in one.copies] for one in self.pool.slices
        ]
        joins = [one.join for one in self.pool.slices if one.join]
        alive = [name for name, process in self.processes.items() if process.alive]
        errors = {device.id[-2:]: device.error for device in self.state.devices.values() if device.error}
        return f"alive {alive}, failed {errors}, joins {joins[:3]}, slices {copies[:6]}"

    def check_copies(self) -> int:
        """Both copies of every chunk are equal, and match their checksums; how many chunks there are."""
        found: dict[tuple[int, int], list[tuple[str, bytes]]] = {}
        for node, server in self.servers.items():
            if not self.alive(f"sds{node}"):
                continue
            for served in server._inventory.served():
                path = (
                    self.state.devices[served.device_id].path
                    if served.device_id in self.state.devices
                    else ""
                )
                if path and self.platters[node, path].failed:
                    continue  # an idle disk that has failed is noticed at its next use
                for info in served.store.chunks():
                    slice_index = served.slice_of(info.volume, info.chunk)
                    holders = {copy.device_id for copy in self.pool.slices[slice_index].copies}
                    if served.device_id not in holders:
                        continue
                    table = served.store.table(info.volume, info.chunk, verify=True)
                    assert table is not None
                    assert not table.bad, f"chunk {info} has bad blocks {table.bad} on {served.device_id}"
                    found.setdefault((info.volume, info.chunk), []).append(
                        (served.device_id, table.checksums)
                    )
        empty = (0x5A45524F5A45524F).to_bytes(8, "little") * 256
        for (volume, chunk), copies in found.items():
            tables = [table for _, table in copies]
            if len(tables) < 2 and not any(platter.failed for platter in self.platters.values()):
                tables.append(empty)
            assert len(set(tables)) == 1, f"the copies of volume {volume}, chunk {chunk} differ: {copies}"[
                :300
            ]
        return len(found)
