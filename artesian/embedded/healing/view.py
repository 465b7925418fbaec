"""What healing sees of one pool: its devices with all that matters about them, and which slices need it."""

from __future__ import annotations

from dataclasses import dataclass, field

from artesian.embedded.healing.policy import HealingPolicy
from artesian.embedded.state.live import DeviceLive, Live
from artesian.embedded.state.model import (
    CHUNK_BYTES,
    CopyState,
    Device,
    Lifecycle,
    Server,
    Slice,
    State,
    StoragePool,
)

FOREVER_S = float("inf")


class DeviceView:
    """One device of a pool, as the state and the last reports have it. Sizes are in chunks.

    `up`: reads and writes work. `failed`: it is broken. `lost`: it is broken or has been away so long that
    its copies are to be remade elsewhere. `leaving`: it, or its server, is being removed. `usable`: it may
    receive copies. `sound`: a copy on it needs nothing. `in_maintenance`: its server is, so that it is not
    lost while it is only away. `server`: its server's name. `carried_out`: the version of the last assignment
    that its server has carried out.
    """

    __slots__ = (
        "away_s",
        "carried_out",
        "copies",
        "damaged",
        "device_id",
        "failed",
        "in_flight_rebalance",
        "in_flight_rebuild",
        "in_maintenance",
        "incoming_copies",
        "incoming_slots",
        "leaving",
        "lost",
        "name",
        "outgoing_copies",
        "server",
        "slots",
        "sound",
        "unit",
        "up",
        "usable",
        "used",
    )

    def __init__(self, device_id: str) -> None:
        self.device_id = device_id
        self.name = device_id
        self.server = self.unit = ""
        self.up = self.usable = self.sound = self.damaged = self.leaving = self.in_maintenance = False
        self.failed = self.lost = True
        self.away_s = FOREVER_S
        self.carried_out = 0
        self.slots = self.used = 0
        self.copies = self.incoming_copies = self.outgoing_copies = 0
        self.incoming_slots = 0
        self.in_flight_rebuild = self.in_flight_rebalance = 0

    @property
    def slots_per_slice(self) -> int:
        """About how many chunks each of its slices has."""
        return -(-self.used // self.copies) if self.copies else 0

    @property
    def copies_to_be(self) -> int:
        """How many copies it will hold when what is under way is done."""
        return self.copies + self.incoming_copies - self.outgoing_copies

    def room(self, spare_percentage: int = 0) -> int:
        """Free chunks, less what is still to arrive; `spare_percentage` of the device is left alone."""
        return self.slots * (100 - spare_percentage) // 100 - self.used - self.incoming_slots


class Devices(dict[str, DeviceView]):
    """Devices by id; one that the state does not know is lost."""

    def __missing__(self, device_id: str) -> DeviceView:
        self[device_id] = ghost = DeviceView(device_id)
        return ghost


@dataclass(slots=True)
class PoolView:
    """One pool at one moment. Slices are listed by index."""

    pool: StoragePool
    devices: Devices
    has_volumes: bool
    active: bool  # its protection domain is
    without_copies: list[int] = field(default_factory=list)
    joining: list[int] = field(default_factory=list)
    needy: list[int] = field(default_factory=list)  # something is wrong with them, and no join is under way
    unsound: int = 0  # slices with anything wrong, whether or not a join is under way

    @property
    def in_maintenance(self) -> set[str]:
        """The names of the servers with devices in the pool that are."""
        return {device.server for device in self.devices.values() if device.in_maintenance}

    @property
    def units(self) -> set[str]:
        """The fault units that could receive copies now."""
        return {device.unit for device in self.devices.values() if device.usable}

    @property
    def label(self) -> str:
        return f"Pool {self.pool.name!r}"


def unit_of(server: Server) -> str:
    """What may fail together with a server: its fault set, or else the server itself."""
    return server.fault_set_id or server.id


def view_pools(state: State, live: Live, policy: HealingPolicy) -> list[PoolView]:
    """Every pool, in the order of the state."""
    devices: dict[str, Devices] = {pool_id: Devices() for pool_id in state.storage_pools}
    for device in state.devices.values():
        server = state.servers.get(device.server_id)
        if server is not None and device.storage_pool_id in devices:
            devices[device.storage_pool_id][device.id] = _view_device(device, server, live, policy)
    with_volumes = {volume.storage_pool_id for volume in state.volumes.values()}
    views = []
    for pool_id, pool in state.storage_pools.items():
        domain = state.protection_domains.get(pool.protection_domain_id)
        active = domain is None or domain.active
        view = PoolView(pool, devices[pool_id], pool_id in with_volumes, active)
        _sort_slices(view)
        _count_joins(view, live)
        views.append(view)
    return views


def is_failed(device: Device, seen: DeviceLive | None) -> bool:
    """A device is broken: the state says so, or its server does."""
    return device.error is not None or (seen is not None and seen.state in ("failed", "refused"))


def _view_device(device: Device, server: Server, live: Live, policy: HealingPolicy) -> DeviceView:
    view = DeviceView(device.id)
    seen = live.devices.get(device.id)
    connected = live.servers.get(server.id)
    view.name = f"{device.name or device.path} of {server.name}"
    view.server = server.name
    view.unit = unit_of(server)
    view.failed = is_failed(device, seen)
    view.leaving = Lifecycle.REMOVING in (device.lifecycle, server.lifecycle)
    view.in_maintenance = server.in_maintenance
    view.slots = device.slot_count
    if device.capacity_limit_bytes:
        view.slots = min(view.slots, device.capacity_limit_bytes // CHUNK_BYTES)
    reachable = connected is not None and connected.connected
    view.up = reachable and not view.failed and seen is not None and seen.state == "ready"
    if seen is not None:
        view.used = seen.used_slots
        view.damaged = seen.damaged and view.up
    if connected is not None:
        view.carried_out = connected.version
    if view.up:
        view.away_s = 0.0
    elif connected is not None:
        view.away_s = live.now_s - connected.changed_s
    patience_s = policy.opening_after_s if reachable else policy.rebuild_after_s
    missed_s = view.away_s if connected is None else min(view.away_s, live.now_s - connected.excused_s)
    is_missed = live.settled and not view.in_maintenance and missed_s >= patience_s
    view.lost = view.failed or is_missed
    normal = device.lifecycle is Lifecycle.NORMAL and not view.leaving
    view.usable = view.up and normal and not view.in_maintenance and view.slots > 0
    view.sound = view.up and not view.leaving and not view.damaged
    return view


def _sort_slices(view: PoolView) -> None:
    devices = view.devices
    for index, item in enumerate(view.pool.slices):
        copies = item.copies
        if item.join is not None:
            view.joining.append(index)
        if len(copies) == 2:
            first, second = copies
            one, other = devices[first.device_id], devices[second.device_id]
            one.copies += 1
            other.copies += 1
            if (
                one.sound
                and other.sound
                and one.unit != other.unit
                and first.state == CopyState.IN_SYNC
                and second.state == CopyState.IN_SYNC
            ):
                continue
        else:
            for copy in copies:
                devices[copy.device_id].copies += 1
        view.unsound += 1
        if item.join is not None:
            continue
        if copies:
            view.needy.append(index)
        else:
            view.without_copies.append(index)


def _count_joins(view: PoolView, live: Live) -> None:
    """Account for joins under way: what they will bring, and whom they occupy."""
    for index in view.joining:
        join = view.pool.slices[index].join
        assert join is not None
        source, target = view.devices[join.source_device_id], view.devices[join.target_device_id]
        seen = live.joins.get(join.job_id)
        if seen is None or seen.state == "copying":
            occupy(source, target, join.reason)
        if join.replaces != join.target_device_id:
            target.incoming_copies += 1
            if join.replaces is not None:
                view.devices[join.replaces].outgoing_copies += 1
            if seen is None or not seen.total_bytes:
                target.incoming_slots += source.slots_per_slice
            else:
                target.incoming_slots += max(0, seen.total_bytes - seen.copied_bytes) // CHUNK_BYTES


def occupy(source: DeviceView, target: DeviceView, reason: str) -> None:
    """Count a join at both its ends."""
    for device in (source, target):
        if reason in ("resync", "rebuild"):
            device.in_flight_rebuild += 1
        else:
            device.in_flight_rebalance += 1


def in_sync_ids(item: Slice) -> list[str]:
    """The devices whose copies of a slice may be read."""
    return [copy.device_id for copy in item.copies if copy.state == CopyState.IN_SYNC]
