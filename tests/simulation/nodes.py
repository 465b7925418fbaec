"""Simulated machines with their disks, and the substrate that knows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from artesian.clusters.port import AgentCredentials, NodeRefused, SubstrateNode, SubstrateUnusable
from artesian.model.assignment import AssignedVolume, Assignment
from artesian.model.disk import Disk, EngineLabel

GIB = 1 << 30
DISK_BYTES = 100 * GIB


@dataclass
class SimulatedNode:
    """One machine. `cut_off`: its agent and the scheduler do not reach each other, and everything else works.
    `isolated`: the other way round, no other node reaches its processes, and its agent says that all is well.

    `attached` are block devices that it has now, by volume id; `going` those that it is letting go of, with
    the seconds left.
    """

    name: str
    address: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    disks: dict[str, Disk] = field(default_factory=dict)  # by identity; or path, without one
    away: dict[str, Disk] = field(default_factory=dict)  # disks that have been pulled out
    powered: bool = True
    gone: bool = False  # what the substrate says
    leaving: bool = False  # whoever runs the machines wants it empty
    cut_off: bool = False
    isolated: bool = False
    agent: bool = False
    assignment: Assignment | None = None
    generation: str = ""
    processes: set[str] = field(default_factory=set)
    attached: dict[str, AssignedVolume] = field(default_factory=dict)
    going: dict[str, int] = field(default_factory=dict)

    @property
    def reaches_scheduler(self) -> bool:
        """Whether its agent can speak with the scheduler."""
        return self.powered and self.agent and not self.cut_off

    def power_off(self) -> None:
        """Everything that runs ends, nothing is attached any more."""
        self.powered = self.agent = False
        self.processes.clear()
        self.attached.clear()
        self.going.clear()

    def runs(self, process: str) -> bool:
        """Whether an engine process runs here now."""
        return self.powered and process in self.processes

    def serves(self, process: str) -> bool:
        """Whether an engine process runs here now, and others reach it."""
        return self.runs(process) and not self.isolated

    def disk_called(self, path: str) -> Disk | None:
        """The disk that has this name now."""
        return next((disk for disk in self.disks.values() if path in (disk.path, disk.stable_path)), None)

    def change_disk(self, key: str, **facts: object) -> None:
        """Something happens to a disk."""
        self.disks[key] = replace(self.disks[key], **facts)  # type: ignore[arg-type]

    def label(self, identity: str, label: EngineLabel | None) -> None:
        """The engine writes or wipes its superblock, if the disk is there."""
        if identity in self.disks:
            self.change_disk(identity, label=label)


@dataclass
class SimulatedSubstrate:
    """The substrate's port over the machines."""

    machines: dict[str, SimulatedNode] = field(default_factory=dict)
    away: bool = False
    full: bool = False  # it makes no machines
    answer_lost: bool = False  # of makings, that have come about all the same
    making: Callable[[str], None] = field(default=lambda name: None)
    made: int = 0

    def make_node(self, name: str, disk_bytes: Sequence[int]) -> None:
        """A machine of this name with bare disks; nothing if there is one."""
        self._reach()
        if self.full:
            raise NodeRefused("there is no room for another machine (drawn)")
        if name not in self.machines:
            self.making(name)
            self.made += 1
            node = make_node(10_000 + self.made, 0)
            node.name = name
            for letter, size_bytes in zip("bcdefghij", disk_bytes, strict=False):
                disk = make_disk(name, letter, size_bytes=size_bytes)
                node.disks[disk.identity or disk.path] = disk
            self.machines[name] = node
        if self.answer_lost:
            raise SubstrateUnusable("the substrate's answer is lost (drawn)")

    def _reach(self) -> None:
        if self.away:
            raise SubstrateUnusable("the substrate does not answer (drawn)")

    def listen(self, listener: Callable[[], None]) -> None:
        """It never tells anything unasked."""

    def leave(self) -> list[str]:
        """End all agents."""
        return [f"ended the agent of {name}" for name in self.machines if self.stop_agent(name)]

    def close(self) -> None:
        """There is nothing to let go of."""

    def nodes(self) -> tuple[SubstrateNode, ...]:
        """Every node, also those that are gone."""
        self._reach()
        return tuple(
            SubstrateNode(
                node.name,
                node.address,
                node.attributes,
                node.gone,
                unreachable=not (node.powered or node.gone),
                leaving=node.leaving and node.powered,
            )
            for node in self.machines.values()
        )

    def ensure_agent(self, node: str, credentials: AgentCredentials, roles: object = None) -> bool:
        """Start the agent if it does not run."""
        self._reach()
        machine = self.machines[node]
        if machine.leaving:  # nothing is begun there, and the agent ends once it has let go of everything
            machine.agent = machine.agent and bool(machine.attached or machine.going)
            return False
        if machine.agent or not machine.powered:
            return False
        machine.agent = True
        return True

    def stop_agent(self, node: str) -> bool:
        """End a node's agent; what it started goes on."""
        machine = self.machines[node]
        ran, machine.agent = machine.agent, False
        return ran


def make_disk(node: str, letter: str, **facts: object) -> Disk:
    """An empty disk with an identity of its own."""
    values: dict[str, object] = {
        "path": f"/dev/sd{letter}",
        "identity": f"wwn:{node}-{letter}",
        "size_bytes": DISK_BYTES,
        **facts,
    }
    if values["identity"] is not None:
        values.setdefault("stable_path", f"/dev/disk/by-id/{values['identity']}")
    return Disk(**values)  # type: ignore[arg-type]


def make_node(number: int, disks: int = 3, **facts: object) -> SimulatedNode:
    """A bare node: its system disk, and empty ones."""
    name = f"node-{number:05d}"
    address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    node = SimulatedNode(name, address, **facts)  # type: ignore[arg-type]
    for letter in "bcdefghijklmnopq"[:disks]:
        disk = make_disk(name, letter)
        node.disks[disk.identity or disk.path] = disk
    return node
