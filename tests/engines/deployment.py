"""What the conformance suite needs of machines, and an engine on them, made as scheduler and agents do it."""

from __future__ import annotations

import os
import secrets
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

import pytest

from artesian.engines.node_port import NodeEngine, NodeEngineError
from artesian.engines.port import ChangeRefused, Engine, EngineUnreachable, NotYet
from artesian.model.assignment import Assignment
from artesian.model.changes import (
    AddClient,
    AddDevice,
    AddDomain,
    AddFaultSet,
    AddPool,
    AddServer,
    CreateEngine,
    EngineChange,
    RemoveDevice,
)
from artesian.model.disk import PoolName
from artesian.model.engine import EngineSeen, ManagerPlace, SeenVolume
from artesian.model.names import client_guid
from artesian.model.plan import Step
from artesian.model.state import EngineIdentity, FrameworkState
from artesian.model.topology import ManagerRole
from artesian.planner.assigning import assignment_of
from artesian.planner.recording import complete, intend
from tests.engines.blocks import Blocks, open_blocks

NODES = ("n1", "n2", "n3", "n4")
RACKS = {"n1": "rack-1", "n2": "rack-2", "n3": "rack-3", "n4": "rack-1"}
SERVING = NODES[:3]  # have managers, servers and disks; the fourth uses volumes only
DOMAIN = "main"
POOL = PoolName(DOMAIN, "pool")
SPARE_PERCENTAGE = 10
SECOND_POOL = PoolName(DOMAIN, "second")  # made by the tests that need one more, in the same domain
ELSEWHERE = PoolName("elsewhere", "pool")  # or in another one


class Capability(StrEnum):
    """What not every engine can."""

    FAULT_SETS = "fault sets"
    THICK = "thick volumes"
    MAINTENANCE = "maintenance"
    SNAPSHOTS = "snapshots"
    STEADY_CONNECTIONS = "connections that outlive a volume's growth"


@dataclass(frozen=True, slots=True)
class RawDisk:
    """A disk in a node."""

    node: str
    path: str
    identity: str
    size_bytes: int


class Handle(ABC):
    """Four bare machines, NODES, in a network of their own, and what only their owner can do with them.

    `patience_s` is how long anything may take on them, `answer_s` how long one call, and every `look_s` it is
    looked how far something is; what is told of how much is used may be older by `figures_lag_s`.
    """

    capabilities: frozenset[Capability]
    patience_s = 40.0
    figures_lag_s = 0.0
    answer_s = 15.0
    look_s = 0.05

    @abstractmethod
    def address(self, node: str) -> str:
        """A node's address."""

    @abstractmethod
    def new_identity(self) -> EngineIdentity:
        """What an engine that is made now would be."""

    @abstractmethod
    def connect(self, identity: EngineIdentity) -> Engine:
        """The scheduler's side: a new object that knows nothing but what the scheduler remembers."""

    @abstractmethod
    def node_engine(self, node: str) -> NodeEngine:
        """The node's side: a new object, as an agent has that was started again."""

    @abstractmethod
    def add_disk(self, node: str) -> RawDisk:
        """Put a raw disk into a node; all of them have the same size, 2 GiB or more."""

    @abstractmethod
    def add_foreign_disk(self, node: str) -> RawDisk:
        """Put a disk into a node that carries what somebody else has written."""

    @abstractmethod
    def content(self, disk: RawDisk) -> str:
        """A digest of all that is on a disk."""

    def kill(self, node: str) -> None:
        """End all processes of the engine on a node at once, as a loss of power does."""
        self._signal(node, signal.SIGKILL)
        deadline = time.monotonic() + self.patience_s
        while any(one.running for one in self.node_engine(node).processes()):
            assert time.monotonic() < deadline, f"{node} does not die"
            time.sleep(0.05)

    def freeze(self, node: str) -> None:
        """Let all processes of the engine on a node hang."""
        self._signal(node, signal.SIGSTOP)

    def thaw(self, node: str) -> None:
        """Let them go on."""
        self._signal(node, signal.SIGCONT)

    def _signal(self, node: str, number: signal.Signals) -> None:
        for one in self.node_engine(node).processes():
            if one.running and one.process_id is not None:
                with suppress(ProcessLookupError):
                    os.kill(one.process_id, number)


def shape(seen: EngineSeen) -> dict[str, object]:
    """Everything in an engine that stays as it is while nobody changes it."""
    return {
        "system": seen.system_id,
        "managers": sorted((one.address, one.role) for one in seen.managers),
        "domains": sorted(seen.domains),
        "fault sets": sorted(seen.fault_sets),
        "pools": sorted((one.id, one.name, one.spare_percentage) for one in seen.pools),
        "servers": sorted((one.id, one.name, one.domain, one.fault_set or "") for one in seen.servers),
        "devices": sorted((one.id, one.name, one.server, one.pool) for one in seen.devices),
        "volumes": sorted(
            (
                *(one.id, one.name, one.pool, one.size_bytes, one.thick, one.mapped_to),
                *sorted((each.id, each.name, each.size_bytes, each.taken_at_s) for each in one.snapshots),
            )
            for one in seen.volumes
        ),
    }


class Deployment:
    """One engine. Nodes get their assignments by what was decided, and before the engine is told of it."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.state = FrameworkState()
        self.off: set[str] = set()
        self.disks: dict[str, RawDisk] = {}
        self._new = handle.new_identity()
        self._engine: Engine | None = None
        self._engine_of: EngineIdentity | None = None
        self._assigned: dict[str, Assignment] = {}

    def deploy(self) -> None:
        """From bare machines to a pool on three nodes that four can use."""
        self.disks = {node: self.handle.add_disk(node) for node in SERVING}
        roles = (ManagerRole.MANAGER, ManagerRole.MANAGER, ManagerRole.TIEBREAKER)
        managers = tuple(self.place(node, role) for node, role in zip(SERVING, roles, strict=True))
        racks = [AddFaultSet(DOMAIN, rack) for rack in sorted(set(RACKS.values()))]
        changes = (
            CreateEngine(managers),
            AddDomain(DOMAIN),
            *(racks if Capability.FAULT_SETS in self.handle.capabilities else ()),
            AddPool(POOL, SPARE_PERCENTAGE),
            *(self.server(node) for node in SERVING),
            *(self.device(disk) for disk in self.disks.values()),
            *(AddClient(node) for node in NODES),
        )
        self.intend(*changes)  # all at once, so that each node starts everything in one go
        for change in changes:
            self.do(change)
        self.settle()

    def server(self, node: str, domain: str = DOMAIN) -> AddServer:
        """A node as a server, in its fault set if its domain has some."""
        in_racks = domain == DOMAIN and Capability.FAULT_SETS in self.handle.capabilities
        return AddServer(node, self.handle.address(node), domain, RACKS[node] if in_racks else None)

    def device(self, disk: RawDisk, pool: PoolName = POOL) -> AddDevice:
        """A disk as a device."""
        return AddDevice(disk.node, disk.identity, disk.path, pool, disk.size_bytes, disk.path)

    # --- changes

    @property
    def identity(self) -> EngineIdentity:
        """What is remembered of the engine."""
        return self.state.engine or self._new

    @property
    def engine(self) -> Engine:
        """The scheduler's side of the engine as it is remembered now."""
        if self._engine is None or self._engine_of != self.identity:
            self.close()
            self._engine, self._engine_of = self.handle.connect(self.identity), self.identity
        return self._engine

    def make(self, *changes: EngineChange) -> EngineSeen:
        """Make changes so, one after the other; each once more when it is done, also by somebody new."""
        self.intend(*changes)
        for change in changes:
            self.until_done(change)
            self._repeat(change)
            self._complete(change)
        self.assign()
        return self.observe()

    def do(self, *changes: EngineChange) -> None:
        """Make changes so, one after the other, when they are not what is tested."""
        self.intend(*changes)
        for change in changes:
            self.until_done(change)
            self._complete(change)
        self.assign()

    def intend(self, *changes: EngineChange) -> None:
        """Remember what is going to be, and let the nodes prepare for it."""
        steps = [Step(change, "the suite wants it") for change in changes]
        addresses = {node: self.handle.address(node) for node in NODES}
        self.state = intend(self.state, steps, self._new, addresses)
        self.assign()

    def _complete(self, change: EngineChange) -> None:
        self.state = complete(self.state, [Step(change, "the suite wants it")])
        if isinstance(change, CreateEngine):
            self.state = replace(self.state, engine_seen_once=True)

    def until_refused(self, change: EngineChange) -> str:
        """Take a change further until it is refused; the words of that. Nodes may have to look at something,
        and so are told of it."""
        if isinstance(change, AddDevice) and change.identity not in self.state.claims:
            self.intend(change)
            try:
                return self._until_refused(change)
            finally:
                self._complete(RemoveDevice(change.node, change.identity, change.pool))
                self.assign()
        return self._until_refused(change)

    def _until_refused(self, change: EngineChange) -> str:
        deadline = time.monotonic() + self.handle.patience_s
        while True:
            try:
                self.attempt(change)
            except ChangeRefused as error:
                return str(error)
            except NotYet as error:
                assert time.monotonic() < deadline, f"{change}: {error}"
                time.sleep(self.handle.look_s)
            else:
                raise AssertionError(f"{change} was not refused")

    def until_done(self, change: EngineChange) -> None:
        """Take a change further until it is done; a refusal comes through."""
        deadline = time.monotonic() + self.handle.patience_s
        while True:
            try:
                self.attempt(change)
                return
            except (NotYet, EngineUnreachable) as error:
                assert str(error), change
                assert time.monotonic() < deadline, f"{change}: {error}"
                time.sleep(self.handle.look_s)

    def waiting(self, change: EngineChange) -> str:
        """What a change waits for, that cannot be done now."""
        try:
            self.attempt(change)
        except NotYet as error:
            return str(error)
        raise AssertionError(f"{change} does not wait")

    def attempt(self, change: EngineChange) -> None:
        """Take a change one step further."""
        began = time.monotonic()
        try:
            self.engine.carry_out(change)
        finally:
            assert time.monotonic() - began < self.handle.answer_s, f"{change} took too long"

    def _repeat(self, change: EngineChange) -> None:
        before = shape(self.observe())
        self.until_done(change)  # somebody may be elected just now
        other = self.handle.connect(self.identity)
        try:
            other.carry_out(change)
            assert shape(other.observe()) == before, change
        finally:
            other.close()

    # --- observations

    def observe(self) -> EngineSeen:
        """The engine as it is now; it has to answer in the end."""
        deadline = time.monotonic() + self.handle.patience_s
        while True:
            try:
                return self.engine.observe()
            except EngineUnreachable:
                assert time.monotonic() < deadline
                time.sleep(self.handle.look_s)

    def until(self, what: str, condition: Callable[[EngineSeen], object]) -> EngineSeen:
        """Until it is so."""
        deadline = time.monotonic() + self.handle.patience_s
        while not condition(seen := self.observe()):
            assert time.monotonic() < deadline, f"not in time: {what}; {seen}"
            time.sleep(self.handle.look_s)
        return seen

    def settle(self) -> EngineSeen:
        """Until everything is there, twice, and nothing moves."""
        return self.until("everything is whole", _is_settled)

    def volume(self, name: str) -> SeenVolume:
        """A volume that is there."""
        found = self.observe().volume(name)
        assert found is not None, name
        return found

    def guid(self, node: str) -> str:
        """Of a node's client."""
        return client_guid(self.identity.system_id, node)

    # --- nodes

    def place(self, node: str, role: ManagerRole = ManagerRole.MANAGER) -> ManagerPlace:
        """A manager on a node."""
        return ManagerPlace(node, self.handle.address(node), role)

    def assign(self) -> None:
        """Let every node that has power do what it is to do."""
        wanted = {node: assignment_of(self.state, node, self.handle.address(node)) for node in NODES}
        behind = [node for node in NODES if node not in self.off and self._assigned.get(node) != wanted[node]]
        with ThreadPoolExecutor(len(NODES)) as pool:
            list(pool.map(lambda node: self._ensure(wanted[node]), behind))
        self._assigned |= {node: wanted[node] for node in behind}

    def _ensure(self, assignment: Assignment) -> None:
        """As an agent does: what cannot be done now is tried again."""
        deadline = time.monotonic() + self.handle.patience_s
        node = self.handle.node_engine(assignment.node)
        while True:
            try:
                node.ensure(assignment)
                return
            except NodeEngineError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(self.handle.look_s)

    def switch_off(self, *nodes: str) -> None:
        """Take the power of nodes away."""
        self.off |= set(nodes)
        for node in nodes:
            self.handle.kill(node)
            self._assigned.pop(node, None)

    def switch_on(self, *nodes: str) -> None:
        """Give it back: their agents go on with what was assigned."""
        self.off -= set(nodes)
        self.assign()

    def look_again(self, node: str) -> None:
        """As its agent does all the time."""
        self._assigned.pop(node, None)
        self.assign()

    def recover(self) -> None:
        """Whatever has happened: all nodes do what they are to do, and the engine is whole."""
        for node in NODES:
            self.handle.thaw(node)
        self._assigned.clear()
        self.switch_on(*NODES)
        self.settle()

    def open(self, node: str, volume: str, size_bytes: int = 0) -> Blocks:
        """A volume where it is mapped to, as soon as it is offered there, and is at least so large."""
        address = self.handle.node_engine(node).volume_address(self.volume(volume).id)
        deadline = time.monotonic() + self.handle.patience_s
        while True:
            blocks = open_blocks(address, self.handle.patience_s)
            if blocks.size_bytes >= size_bytes:
                return blocks
            blocks.close()
            assert time.monotonic() < deadline, f"{volume} does not become larger on {node}"
            time.sleep(self.handle.look_s)

    # --- the end

    def close(self) -> None:
        """Let go of the connection."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def stop(self) -> None:
        """End everything on all nodes."""
        self.close()
        for node in NODES:
            self.handle.thaw(node)
            self.handle.node_engine(node).stop()


def _is_settled(seen: EngineSeen) -> bool:
    return (
        all(pool.is_settled for pool in seen.pools)
        and all(server.connected for server in seen.servers)
        and not any(device.failed for device in seen.devices)
        and all(manager.healthy for manager in seen.managers)
    )


def need(deployment: Deployment, capability: Capability) -> None:
    """Skip a test of what this engine cannot do."""
    if capability not in deployment.handle.capabilities:
        pytest.skip(f"this engine has no {capability}")


def with_other_id(identity: EngineIdentity) -> EngineIdentity:
    """An engine that is another, on the same managers."""
    return replace(identity, system_id=secrets.token_hex(8))
