"""A simulated cluster under the real healing decisions and the real commands: no I/O, no clock.

Servers, devices and joins behave as the real ones do as far as copies are concerned: a join takes time,
fails when an end goes away, starts anew when its source restarts; writes go to all in-sync copies, and a
copy that cannot be reached is marked stale first. Every device remembers up to which write it holds each
slice, so that a copy that is called in sync but lacks a write is found at once.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random

from artesian.embedded.capacity import answering_devices, connected_servers
from artesian.embedded.healing import HealingPolicy, decide, joins_allowed
from artesian.embedded.state.commands import apply
from artesian.embedded.state.live import DeviceLive, JoinLive, Live, ServerLive
from artesian.embedded.state.model import (
    CHUNK_BYTES,
    CopyState,
    Device,
    Join,
    Lifecycle,
    ProtectionDomain,
    RebuildPolicy,
    Server,
    Slice,
    State,
    StoragePool,
    Volume,
)

POOL = "000000000000000p"
PASS_S = 0.5
POLICY = HealingPolicy(rebuild_after_s=6.0, abandon_after_s=2.0, batch_bytes=0)


@dataclass
class Disk:
    """What is on a device: for each slice the number of the last write that it holds."""

    writes: dict[int, int] = field(default_factory=dict)
    damaged: bool = False
    ready: bool = True


@dataclass
class Copying:
    """A join as its source process knows it."""

    total: int
    copied: int = 0
    state: str = "copying"
    error: str | None = None


class Cluster:
    """One pool over some servers. `connected` says since when each server is up or down."""

    def __init__(self, slice_count: int, policy: HealingPolicy = POLICY) -> None:
        self.policy = policy
        self.state = State(system_id="5", next_number=1)
        self.state.protection_domains["d"] = ProtectionDomain("d", "domain")
        self.pool = StoragePool(POOL, "pool", "d", slices=[Slice() for _ in range(slice_count)])
        self.state.storage_pools[POOL] = self.pool
        self.now_s = 1000.0
        self.led_since_s = 0.0
        self.up: dict[str, bool] = {}
        self.changed_s: dict[str, float] = {}
        self.excused_s: dict[str, float] = {}
        self.registered: set[str] = set()
        self.carried_out: dict[str, int] = {}  # the version of the last assignment of each server
        self.disks: dict[str, Disk] = {}
        self.copying: dict[int, Copying] = {}
        self.newest = [0] * slice_count  # the last acknowledged write of each slice
        self.chunks = [0] * slice_count
        self.begun: list[str] = []  # the reasons of all joins that were begun
        self.passes = 0
        self.warnings: list[str] = []

    # --- making and changing the cluster

    def add_server(self, server_id: str, fault_set_id: str | None = None) -> str:
        self.state.servers[server_id] = Server(
            server_id, server_id, "d", fault_set_id, [{"ip": "127.0.0.1"}], 7072
        )
        self.up[server_id] = True
        self.changed_s[server_id] = self.now_s
        self.registered.add(server_id)
        return server_id

    def add_device(self, device_id: str, server_id: str, slot_count: int = 1000) -> str:
        self.state.devices[device_id] = Device(
            device_id, device_id, device_id, server_id, POOL, "/" + device_id, slot_count,
            lifecycle=Lifecycle.NORMAL,
        )  # fmt: skip
        self.disks[device_id] = Disk()
        return device_id

    def add_volume(self, chunks_per_slice: int = 1) -> None:
        number = self.state.next_number
        self.state.next_number += 1
        size = chunks_per_slice * len(self.pool.slices) * CHUNK_BYTES
        self.state.volumes[f"v{number}"] = Volume(f"v{number}", number, f"v{number}", size, POOL, "t")
        self.chunks = [chunks + chunks_per_slice for chunks in self.chunks]

    def unit(self, device_id: str) -> str:
        server = self.state.servers[self.state.devices[device_id].server_id]
        return server.fault_set_id or server.id

    def is_up(self, device_id: str) -> bool:
        device = self.state.devices.get(device_id)
        return device is not None and self.up[device.server_id] and device.error is None

    def stop_server(self, server_id: str) -> None:
        """kill -9: what its process knew of joins is gone."""
        if not self.up[server_id]:
            return
        self.up[server_id] = False
        self.carried_out.pop(server_id, None)
        self.changed_s[server_id] = self.now_s
        for job_id, join in self.joins().items():
            ends = {join.source_device_id: "source", join.target_device_id: "target"}
            for device_id, end in ends.items():
                if self.state.devices[device_id].server_id == server_id:
                    if end == "source":
                        self.copying.pop(job_id, None)
                    elif job_id in self.copying:
                        self.copying[job_id].state = "failed"

    def start_server(self, server_id: str) -> None:
        if not self.up[server_id]:
            self.up[server_id] = True
            self.changed_s[server_id] = self.now_s
            self.registered.add(server_id)

    def fail_device(self, device_id: str) -> None:
        apply(self.state, "device_failed", {"device_id": device_id, "error": "I/O error"})

    def damage_device(self, device_id: str) -> None:
        self.disks[device_id].damaged = True

    def mend_device(self, device_id: str) -> None:
        apply(self.state, "clear_device_error", {"device_id": device_id, "device_problems": {}})

    def remove_device(self, device_id: str) -> None:
        arguments = {"device_id": device_id, "device_slots": dict(self.slots_used())}
        apply(self.state, "remove_device", arguments)

    def remove_server(self, server_id: str) -> None:
        arguments = {"server_id": server_id, "device_slots": dict(self.slots_used())}
        apply(self.state, "remove_server", arguments)

    def enter_maintenance(self, server_id: str) -> None:
        """Raises CommandRefused."""
        live = self.live()
        arguments = {
            "server_id": server_id,
            "connected_servers": connected_servers(live),
            "answering_devices": answering_devices(self.state, live),
        }
        apply(self.state, "enter_maintenance", arguments)

    def exit_maintenance(self, server_id: str) -> None:
        if self.state.servers[server_id].in_maintenance:
            self.excused_s[server_id] = self.now_s
        apply(self.state, "exit_maintenance", {"server_id": server_id})

    def is_in_maintenance(self, device_id: str) -> bool:
        return self.state.servers[self.state.devices[device_id].server_id].in_maintenance

    def change_leader(self) -> None:
        """Everything that the leader saw is forgotten; servers register anew one after the other."""
        self.led_since_s = self.now_s
        self.registered = set()

    def write(self, index: int) -> bool:
        """A client's write to a slice; False: no good copy can be reached."""
        item = self.pool.slices[index]
        good = [copy.device_id for copy in item.copies if copy.state == CopyState.IN_SYNC]
        reachable = [device_id for device_id in good if self.is_up(device_id)]
        if not reachable:
            return False
        if len(reachable) < len(good):
            lost = [device_id for device_id in good if device_id not in reachable]
            apply(self.state, "mark_stale", {"device_ids": lost, "reason": "a client cannot reach it"})
        self.newest[index] += 1
        for device_id in reachable:
            self.disks[device_id].writes[index] = self.newest[index]
        join = item.join
        if join is not None and join.job_id in self.copying:
            copying = self.copying[join.job_id]
            if copying.state == "mirrored":
                self.disks[join.target_device_id].writes[index] = self.newest[index]
        return True

    # --- one pass

    def joins(self) -> dict[int, Join]:
        return {item.join.job_id: item.join for item in self.pool.slices if item.join is not None}

    def slots_used(self) -> Counter[str]:
        """By device: its copies' chunks, and what joins have copied so far."""
        used: Counter[str] = Counter()
        for item, chunks in zip(self.pool.slices, self.chunks, strict=True):
            for copy in item.copies:
                used[copy.device_id] += chunks
            join = item.join
            if join is not None and join.replaces != join.target_device_id and join.job_id in self.copying:
                used[join.target_device_id] += self.copying[join.job_id].copied
        return used

    def live(self) -> Live:
        servers = {}
        for server_id in self.state.servers:
            connected = self.up[server_id] and server_id in self.registered
            since_s = max(self.led_since_s, self.changed_s[server_id])
            servers[server_id] = ServerLive(
                connected,
                since_s,
                self.carried_out.get(server_id, 0),
                excused_s=self.excused_s.get(server_id, 0.0),
            )
        devices = {}
        used = self.slots_used()
        for device_id, device in self.state.devices.items():
            if servers[device.server_id].connected:
                disk = self.disks[device_id]
                state = "failed" if device.error else "ready" if disk.ready else "opening"
                devices[device_id] = DeviceLive(
                    state, slot_count=device.slot_count, used_slots=used[device_id],
                    damaged=disk.damaged,
                )  # fmt: skip
        joins = {}
        for job_id, join in self.joins().items():
            copying = self.copying.get(job_id)
            if copying is not None and servers[self.state.devices[join.source_device_id].server_id].connected:
                joins[job_id] = JoinLive(
                    copying.state, copying.copied * CHUNK_BYTES, copying.total * CHUNK_BYTES, copying.error
                )
        settled = self.now_s - self.led_since_s >= 3.0
        return Live(self.now_s, settled, servers, devices, {}, joins, {})

    def step(self, random: Random | None = None) -> list[str]:
        """One pass: decide, carry out, check; then half a second goes by. Returns the commands' names."""
        live = self.live()
        self.passes += 1
        untouched = deepcopy(self.state) if self.passes % 16 == 0 else None
        decision = decide(self.state, live, self.policy)
        assert untouched is None or untouched == self.state, "deciding changed the state"
        assert decision == decide(self.state, live, self.policy), "the same input gave two decisions"
        for name, arguments in decision.commands:
            before = [self._good(item, live) for item in self.pool.slices]
            if name == "begin_joins":
                self._check_beginnings(arguments["joins"], live)
                self._check_maintenance(arguments["joins"])
            held = self._held_in_maintenance()
            apply(self.state, name, arguments)
            after = [self._good(item, live) for item in self.pool.slices]
            if name not in ("mark_stale", "place_slices"):
                assert all(new >= old for old, new in zip(before, after, strict=True)), (
                    f"{name} lost good copies"
                )
            if name == "mark_stale":
                assert all(new[0] >= min(1, old[0]) for old, new in zip(before, after, strict=True))
                self._tell_damaged()
            assert self._held_in_maintenance() <= held, f"{name} put copies onto a server in maintenance"
        self.check()
        self.warnings = decision.warnings
        self.now_s += PASS_S
        self._register(random)
        self._copy(random)
        return [name for name, _ in decision.commands]

    def _good(self, item: Slice, live: Live) -> tuple[int, int]:
        """How many in-sync copies a slice has, and how many of them can be reached."""
        good = [copy.device_id for copy in item.copies if copy.state == CopyState.IN_SYNC]
        reported = [id for id in good if (seen := live.devices.get(id)) and seen.state == "ready"]
        return len(good), len(reported)

    def _tell_damaged(self) -> None:
        """A server that learns that its copies are stale no longer calls the device damaged."""
        for disk in self.disks.values():
            disk.damaged = False

    def _check_beginnings(self, joins: list[dict[str, object]], live: Live) -> None:
        healthy = all(self._good(item, live)[1] == 2 for item in self.pool.slices)
        for join in joins:
            self.begun.append(str(join["reason"]))
            target = self.state.devices[str(join["target"])]
            assert live.servers[target.server_id].connected, "a join onto a device that is away"
            if join["reason"] == "rebalance":
                assert healthy or self._has_one_unit(), "rebalancing while copies are missing"

    def _held_in_maintenance(self) -> set[tuple[int, str]]:
        """The copies on servers in maintenance, and those on their way there."""
        held = set()
        for index, item in enumerate(self.pool.slices):
            targets = [item.join.target_device_id] if item.join is not None else []
            for device_id in (*(copy.device_id for copy in item.copies), *targets):
                if self.is_in_maintenance(device_id):
                    held.add((index, device_id))
        return held

    def _check_maintenance(self, joins: list[dict[str, object]]) -> None:
        """A server in maintenance keeps its copies, unless they are broken or badly placed."""
        for join in joins:
            replaced = join["replaces"]
            if replaced is None or replaced == join["target"] or not self.is_in_maintenance(str(replaced)):
                continue
            assert join["reason"] == "rebuild", "data moves off a server in maintenance"
            units = [self.unit(copy.device_id) for copy in self.pool.slices[int(str(join["slice"]))].copies]
            broken = self.state.devices[str(replaced)].error is not None
            assert broken or len(set(units)) < len(units), "a copy is remade because of maintenance"
        if any(self.is_in_maintenance(device_id) for device_id in self.state.devices):
            assert all(join["reason"] != "rebalance" for join in joins), "rebalancing during maintenance"

    def _has_one_unit(self) -> bool:
        return len({self.unit(id) for id in self.state.devices if self.is_up(id)}) == 1

    def _register(self, random: Random | None) -> None:
        for server_id in self.state.servers:
            if self.up[server_id] and (random is None or random.random() < 0.5):
                self.registered.add(server_id)

    def _copy(self, random: Random | None) -> None:
        """Let every join go on for half a second."""
        for server_id in self.state.servers:
            if self.up[server_id]:
                self.carried_out[server_id] = self.state.version
        current = {item.join.job_id: index for index, item in enumerate(self.pool.slices) if item.join}
        self.copying = {job_id: job for job_id, job in self.copying.items() if job_id in current}
        for job_id, index in current.items():
            join = self.pool.slices[index].join
            assert join is not None
            if not self.is_up(join.source_device_id):
                continue
            if job_id not in self.copying:
                held = self.disks[join.target_device_id].writes.get(index, 0)
                lacking = self.chunks[index] if join.reason != "resync" else self.newest[index] - held
                self.copying[job_id] = Copying(min(self.chunks[index], lacking))
            copying = self.copying[job_id]
            if not self.is_up(join.target_device_id) or (random is not None and random.random() < 0.01):
                copying.state, copying.error = "failed", "the connection broke"
            if copying.state == "copying":
                copying.copied = min(copying.total, copying.copied + 3)
                if copying.copied == copying.total:
                    copying.state = "mirrored"
                    source = self.disks[join.source_device_id]
                    self.disks[join.target_device_id].writes[index] = source.writes.get(index, 0)

    # --- what must always hold

    def check(self) -> None:
        """What holds after every pass, whatever happened before it."""
        in_flight: dict[tuple[str, str], int] = {}
        for index, item in enumerate(self.pool.slices):
            assert len(item.copies) <= 2
            for copy in item.copies:
                if copy.state == CopyState.IN_SYNC and self.newest[index]:
                    held = self.disks[copy.device_id].writes.get(index, 0)
                    assert held == self.newest[index], f"slice {index} on {copy.device_id} lacks writes"
            if item.join is None:
                continue
            staying = [c.device_id for c in item.copies if c.device_id != item.join.replaces]
            target = item.join.target_device_id
            assert self.unit(target) not in {self.unit(device_id) for device_id in staying}
            kind = "rebuild" if item.join.reason in ("resync", "rebuild") else "rebalance"
            for device_id in (item.join.source_device_id, target):
                in_flight[device_id, kind] = in_flight.get((device_id, kind), 0) + 1
        for (device_id, kind), count in in_flight.items():
            allowed = joins_allowed(self.pool, kind, 0, True, self.policy)
            assert count <= allowed, f"{count} joins ({kind}) at {device_id}, {allowed} are allowed"

    def run_until_quiet(self, passes: int) -> int:
        """Passes until five in a row had nothing to do; fails if that never comes."""
        quiet = 0
        for count in range(passes):
            quiet = 0 if self.step() or self.joins() else quiet + 1
            if quiet == 5:
                return count + 1
        raise AssertionError(f"not quiet after {passes} passes: {self.step()} {self.joins()} {self.warnings}")

    def copies_of(self, device_id: str) -> int:
        return sum(any(copy.device_id == device_id for copy in item.copies) for item in self.pool.slices)


def random_policy(pool: StoragePool, random: Random) -> None:
    """Some policy for each kind of healing."""
    pool.rebuild_policy = random.choice(list(RebuildPolicy))
    pool.rebalance_policy = random.choice(list(RebuildPolicy))
    pool.rebuild_concurrency = random.randint(1, 4)
    pool.rebalance_concurrency = random.randint(1, 4)
