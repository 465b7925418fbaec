"""Which faults are in force at one moment: what a fault-hour is an hour of."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from artesian.model.disk import Disk
from tests.simulation.cloud import CloudFaults, Fate
from tests.simulation.nodes import SimulatedNode
from tests.simulation.system import Device

if TYPE_CHECKING:
    from tests.simulation.world import World

NEARLY_FULL = 0.85


def faults_in_force(world: World) -> Counter[str]:
    """How many of each kind there are now. What follows from a fault, as copies that are missing, is none.

    A pause, maintenance or a remedy that waits for somebody is none either: people want that.
    """
    found: Counter[str] = Counter()
    for node in world.nodes.values():
        _note_node(node, found)
    for device in world.system.devices.values():
        _note_device(world, device, found)
    for kind, is_in_force in _of_the_whole(world):
        if is_in_force:
            found[kind] += 1
    for kind, is_in_force in _of_cloud(world.cloud.faults):
        if is_in_force:
            found[kind] += 1
    for one in world.cloud.disks.values():
        if one.fate is not Fate.FINE:
            found[f"cloud disk {one.fate}"] += 1
    for name, pool in world.system.pools.items():
        if pool.used_bytes > NEARLY_FULL * world.system.room(name) > 0:
            found["pool nearly full"] += 1
    return found


def _note_node(node: SimulatedNode, found: Counter[str]) -> None:
    if not node.powered:
        found["node off"] += 1
    elif not node.agent:
        found["agent dead"] += 1
    if node.cut_off:
        found["node cut off"] += 1
    if node.isolated:
        found["node isolated"] += 1
    for disk in node.away.values():
        if disk.label is not None:  # one that was in use
            found["disk pulled out"] += 1
    for disk in node.disks.values():
        if disk.label is not None and disk.smart is not None and disk.smart.failing:
            found["disk about to fail"] += 1


def _note_device(world: World, device: Device, found: Counter[str]) -> None:
    """A device that is lost with its node is no fault of its own."""
    node = world.nodes.get(device.node)
    disk = node.disks.get(device.identity) if node is not None and node.powered else None
    if disk is None:
        return
    if device.identity in world.system.broken:
        found["disk broken"] += 1
    elif _is_spoiled(disk):
        found["disk spoiled"] += 1
    elif device.identity in world.system.sick:
        found["disk slow or with errors"] += 1


def _is_spoiled(disk: Disk) -> bool:
    """Somebody else has written to a disk of ours, or uses it."""
    return disk.label is None or bool(disk.signatures or disk.mounted_at or disk.partitions)


def _of_the_whole(world: World) -> tuple[tuple[str, bool], ...]:
    faults, system, substrate = world.faults, world.system, world.substrate
    return (
        ("engine away", faults.away),
        ("engine unreliable", max(faults.refused, faults.unreachable, faults.answer_lost) > 0),
        ("rebuild stands still", system.stalled),
        ("figures of pools are old", system.old_figures is not None),
        ("scheduler down", world.scheduler is None),
        ("store away", world.store.unusable),
        ("clock wrong", world.wall.wrong_by_s != 0),
        ("substrate away", substrate.away),
        ("substrate refuses or loses answers", substrate.full or substrate.answer_lost),
    )


def _of_cloud(faults: CloudFaults) -> tuple[tuple[str, bool], ...]:
    return (
        ("provider away", faults.unreachable),
        ("credentials expired", faults.expired),
        ("provider throttles or loses answers", max(faults.throttled, faults.answer_lost) > 0),
        ("new disks are odd", faults.odd > 0),
        ("quota used up", faults.quota is not None),
        ("provider slow", faults.slow > 1),
        ("no slots", bool(faults.no_slot)),
    )
