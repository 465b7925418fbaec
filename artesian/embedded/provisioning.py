"""How much a thick volume could take now: a pure function of the state and the leader's observations.

Chunks of a volume go to all slices alike, so that a volume fits if every device that holds slices has room
for its share, and if the room that is left can hold two copies in two fault units. The spare share is left
alone, and so is what other thick volumes are still to allocate.
"""

from __future__ import annotations

from collections import Counter

from artesian.embedded.state.live import DeviceLive, Live
from artesian.embedded.state.model import CHUNK_BYTES, Device, Lifecycle, State, StoragePool, Volume
from artesian.embedded.state.slices import fault_unit


def usable_slots(device: Device) -> int:
    """The chunks that a device may hold: all, or as many as its capacity limit allows."""
    if device.capacity_limit_bytes:
        return min(device.slot_count, device.capacity_limit_bytes // CHUNK_BYTES)
    return device.slot_count


def allocatable_slots(device: Device, pool: StoragePool) -> int:
    """The chunks that applications may use of a device: without the spare share, rounded down."""
    return usable_slots(device) * (100 - pool.spare_percentage) // 100


def answers(state: State, live: Live, device_id: str) -> bool:
    """Whether a device can be read and written now, as far as is known."""
    device = state.devices.get(device_id)
    if device is None or device.error is not None:
        return False
    server, report = live.servers.get(device.server_id), live.devices.get(device_id)
    return server is not None and server.connected and report is not None and report.state == "ready"


def available_bytes(state: State, live: Live, pool_id: str) -> int:
    """Raw bytes, both copies counted, that a new thick volume could take in this pool."""
    pool = state.storage_pools[pool_id]
    thick = [
        volume for volume in state.volumes.values() if volume.storage_pool_id == pool_id and not volume.thin
    ]
    held = _held(pool)
    room_of_units: Counter[str] = Counter()
    fits: list[int] = []  # chunks of a volume, by each device
    for device in state.devices.values():
        if device.storage_pool_id != pool_id or not answers(state, live, device.id):
            continue
        report, copies = live.devices[device.id], held[device.id]
        promised = sum(_promised(pool, volume, copies, report) for volume in thick)
        free = max(0, allocatable_slots(device, pool) - report.used_slots - promised)
        if copies:
            fits.append(free * len(pool.slices) // copies)
        if device.lifecycle is Lifecycle.NORMAL:
            room_of_units[fault_unit(state, device.id)] += free
    whole = sum(room_of_units.values())
    chunks = whole // 2
    if len(room_of_units) > 1:
        chunks = min(chunks, whole - max(room_of_units.values()))
    return 2 * min([chunks, *fits]) * CHUNK_BYTES


def _held(pool: StoragePool) -> Counter[str]:
    """How many slices each device holds, or will when the joins under way are done."""
    held: Counter[str] = Counter()
    for one in pool.slices:
        members = {copy.device_id for copy in one.copies}
        if one.join is not None:
            members.add(one.join.target_device_id)
        held.update(members)
    return held


def _promised(pool: StoragePool, volume: Volume, copies: int, report: DeviceLive) -> int:
    """Chunks of a thick volume that a device has yet to allocate."""
    chunks = volume.size_bytes // CHUNK_BYTES
    share = -(-chunks * copies // len(pool.slices))
    return max(0, share - report.volume_slots.get(str(volume.number), 0))
