"""What a node's agent does in one second, as artesian.agent does it: follow, make it so, report."""

from __future__ import annotations

import random

from artesian.model.assignment import AssignedVolume, Assignment
from artesian.model.observation import SeenAttachment, SeenProcess
from artesian.model.report import AgentReport
from tests.simulation.nodes import SimulatedNode
from tests.simulation.system import System

LETTING_GO_S = 4


def wanted_processes(assignment: Assignment) -> set[str]:
    """The engine processes of an assignment."""
    if assignment.stop or not assignment.system_id:
        return set()
    wanted = {f"server:{domain}" for domain in assignment.domains}
    if assignment.manages:
        wanted.add("manager")
    if assignment.is_client:
        wanted.add("client")
    return wanted


def take(node: SimulatedNode, generation: str, assignment: Assignment) -> None:
    """An assignment of another engine is refused: everything stays as it is."""
    known = node.assignment.system_id if node.assignment is not None else ""
    if known and assignment.system_id != known:
        return
    node.generation, node.assignment = generation, assignment


def work(node: SimulatedNode, system: System, chance: random.Random) -> None:
    """One step towards the assignment. Nothing runs any quicker because it is asked for twice."""
    if node.assignment is None:
        return
    _volumes(node, system, chance)
    if node.assignment.stop and node.attached:
        return
    wanted = wanted_processes(node.assignment)
    node.processes &= wanted
    for process in sorted(wanted - node.processes):
        if chance.random() < 0.7:
            node.processes.add(process)


def _is_left_over(node: SimulatedNode, volume_id: str, assigned: dict[str, AssignedVolume]) -> bool:
    """An attachment is adopted only if it is of the generation that is assigned."""
    volume = assigned.get(volume_id)
    return volume is None or node.attached[volume_id].generation != volume.generation


def _volumes(node: SimulatedNode, system: System, chance: random.Random) -> None:
    assert node.assignment is not None
    assigned = {volume.volume_id: volume for volume in node.assignment.volumes}
    guid = node.assignment.client_guid
    for volume_id, left in list(node.going.items()):
        node.going[volume_id] = left - 1
        if left <= 1 or not system.may_use(volume_id, guid):
            del node.going[volume_id]
            node.attached.pop(volume_id, None)
    for volume_id in list(node.attached):
        if _is_left_over(node, volume_id, assigned) and volume_id not in node.going:
            node.going[volume_id] = chance.randint(1, LETTING_GO_S)
    for volume_id, volume in assigned.items():
        known = system.may_use(volume_id, guid) and system.reachable_by_clients
        mine = volume_id not in node.attached or not _is_left_over(node, volume_id, assigned)
        if known and mine and volume_id not in node.going and node.serves("client") and chance.random() < 0.7:
            node.attached[volume_id] = volume


def report_of(node: SimulatedNode) -> AgentReport:
    """What is, as a whole."""
    volumes = node.assignment.volumes if node.assignment is not None else ()
    assigned = {volume.volume_id: volume for volume in volumes}
    left_over = {one for one in node.attached if one in assigned and _is_left_over(node, one, assigned)}
    return AgentReport(
        node=node.name,
        generation=node.generation,
        system_id=node.assignment.system_id if node.assignment is not None else "",
        disks=tuple(sorted(node.disks.values(), key=lambda disk: disk.path)),
        processes=tuple(SeenProcess(name, True) for name in sorted(node.processes)),
        attachments=tuple(
            SeenAttachment(volume_id, node.name, None, None, "it is left over")
            if volume_id in left_over
            else SeenAttachment(volume_id, node.name, f"/dev/artesian/{volume_id}")
            for volume_id in sorted(node.attached)
        ),
    )
