"""Clusters for tests of the planner, and an engine in which every change takes effect at once."""

from __future__ import annotations

from dataclasses import replace

from artesian.model import changes as c
from artesian.model.disk import Disk, PoolName
from artesian.model.engine import (
    EngineSeen,
    ManagerPlace,
    SeenClient,
    SeenDevice,
    SeenLimits,
    SeenManager,
    SeenPool,
    SeenServer,
    SeenVolume,
)
from artesian.model.names import client_guid, device_name, server_name
from artesian.model.node import Node, NodeState
from artesian.model.observation import Observation, SeenAttachment
from artesian.model.plan import Consent, Step
from artesian.model.spec import Spec
from artesian.model.state import Approval, EngineIdentity, FrameworkState
from artesian.planner.planning import Decision, decide
from artesian.planner.recording import complete, intend, learn

GIB = 1 << 30
POOL = PoolName("default", "default")
IDENTITY = EngineIdentity("embedded", "0123456789abcdef", "test")


def disk(name: str, node: int = 1, **facts: object) -> Disk:
    """A raw disk of 10 GiB."""
    return Disk(f"/dev/{name}", f"serial:{node}-{name}", 10 * GIB, **facts)  # type: ignore[arg-type]


def node(number: int, disks: int = 2, state: NodeState = NodeState.ALIVE) -> Node:
    """node-N with raw disks."""
    names = "bcdefgh"[:disks]
    found = tuple(disk(f"sd{one}", number) for one in names)
    return Node(f"node-{number}", f"10.0.0.{number}", state, disks=found)


def nodes(count: int) -> tuple[Node, ...]:
    """Nodes node-1 and so on."""
    return tuple(node(number) for number in range(1, count + 1))


class World:
    """What is stored and what is seen, changed by steps as the scheduler changes them."""

    def __init__(self, seen: tuple[Node, ...], spec: Spec | None = None) -> None:
        self.nodes = seen
        self.spec = spec or Spec()
        self.state = FrameworkState()
        self.engine: EngineSeen | None = None
        self.attachments: tuple[SeenAttachment, ...] = ()
        self.done: list[Step] = []

    @property
    def observation(self) -> Observation:
        """What is seen now."""
        return Observation(self.nodes, self.engine, attachments=self.attachments)

    def decide(self) -> Decision:
        """What follows from it."""
        return decide(self.spec, self.observation, self.state)

    def approve(self) -> None:
        """Agree to the present plan."""
        plan = self.decide().plan
        asked = tuple(step.id for step in plan.steps if step.consent is Consent.NEEDED)
        self.state = replace(self.state, approval=Approval(plan.id, asked, "test"))

    def step(self) -> bool:
        """One pass; whether anything was done."""
        self.state = learn(self.state, self.observation)
        ready = self.decide().guarded.ready
        for one in ready:
            self.take(one)
        return bool(ready)

    def take(self, step: Step) -> None:
        """Intent, effect, done."""
        addresses = {one.name: one.address for one in self.nodes}
        self.state = intend(self.state, [step], IDENTITY, addresses)
        self._effect(step.change)
        self.state = complete(self.state, [step])
        self.done.append(step)

    def converge(self, passes: int = 20) -> None:
        """Until nothing is left that may be done."""
        for _ in range(passes):
            if not self.step():
                return
        raise AssertionError("the plan never ends")

    def deploy(self) -> World:
        """From bare to storage."""
        self.approve()
        self.converge()
        return self

    def _effect(self, change: c.Change) -> None:
        if isinstance(change, c.CreateEngine):
            self.engine = EngineSeen(IDENTITY.system_id, tuple(map(_manager, change.managers)))
        elif self.engine is not None:
            self.engine = affected(self.engine, change)


def _manager(place: ManagerPlace) -> SeenManager:
    return SeenManager(f"mdm-{place.node}", f"{place.address}:6611", place.role, healthy=True, leads=False)


def affected(engine: EngineSeen, change: c.Change) -> EngineSeen:
    """The engine after a change."""
    match change:
        case c.AddManager(place):
            return replace(engine, managers=(*engine.managers, _manager(place)))
        case c.RemoveManager(place):
            staying = tuple(one for one in engine.managers if one.name != f"mdm-{place.node}")
            return replace(engine, managers=staying)
        case c.AddDomain(domain):
            return replace(engine, domains=(*engine.domains, domain))
        case c.AddFaultSet(domain, name):
            return replace(engine, fault_sets=(*engine.fault_sets, (domain, name)))
        case c.AddPool(pool, spare):
            made = SeenPool(str(pool), pool, 60 * GIB, 0, 20 * GIB, spare)
            return replace(engine, pools=(*engine.pools, made))
        case c.SetSpare(pool, spare):
            pools = tuple(
                replace(one, spare_percentage=spare) if one.name == pool else one for one in engine.pools
            )
            return replace(engine, pools=pools)
        case c.SetHealing(pool, healing):
            pools = tuple(replace(one, healing=healing) if one.name == pool else one for one in engine.pools)
            return replace(engine, pools=pools)
        case c.AddServer(name, _, domain, fault_set):
            server = SeenServer("s", server_name(name, domain), domain, fault_set, connected=True)
            return replace(engine, servers=(*engine.servers, server))
        case c.AddDevice(name, identity, path, pool, size, _):
            server_of = server_name(name, pool.domain)
            device = SeenDevice("d", device_name(identity), server_of, path, pool, size)
            return replace(engine, devices=(*engine.devices, device))
        case c.AddClient(name):
            client = SeenClient("c", client_guid(engine.system_id, name), name, connected=True)
            return replace(engine, clients=(*engine.clients, client))
        case c.RemoveDevice(_, identity, _):
            left = tuple(one for one in engine.devices if one.name != device_name(identity))
            return replace(engine, devices=left)
        case c.RemoveServer(name, domain):
            servers = tuple(one for one in engine.servers if one.name != server_name(name, domain))
            return replace(engine, servers=servers)
        case c.EnterMaintenance(name, domain) | c.ExitMaintenance(name, domain):
            resting = isinstance(change, c.EnterMaintenance)
            servers = tuple(
                replace(one, in_maintenance=resting) if one.name == server_name(name, domain) else one
                for one in engine.servers
            )
            return replace(engine, servers=servers)
        case c.RemoveClient(name):
            guid = client_guid(engine.system_id, name)
            return replace(engine, clients=tuple(one for one in engine.clients if one.guid != guid))
    return _with_volume(engine, change)


def _with_volume(engine: EngineSeen, change: c.Change) -> EngineSeen:
    match change:
        case c.CreateVolume(name, pool, size, thick):
            return replace(
                engine, volumes=(*engine.volumes, SeenVolume(f"id-{name}", name, pool, size, thick))
            )
        case c.DeleteVolume(name):
            return replace(engine, volumes=tuple(one for one in engine.volumes if one.name != name))
        case c.GrowVolume(name, size):
            return _change_volume(engine, name, size_bytes=size)
        case c.RenameVolume(old, new):
            return _change_volume(engine, old, name=new)
        case c.MapVolume(name, where):
            return _change_volume(engine, name, mapped_to=(client_guid(engine.system_id, where),))
        case c.SetLimits(name, where, iops, bandwidth):
            limits = ((client_guid(engine.system_id, where), SeenLimits(iops, bandwidth)),)
            return _change_volume(engine, name, limits=limits)
        case c.UnmapVolume(name, _):
            return _change_volume(engine, name, mapped_to=(), limits=())
    return engine


def _change_volume(engine: EngineSeen, which: str, **values: object) -> EngineSeen:
    volumes = tuple(
        replace(one, **values) if one.name == which else one  # type: ignore[arg-type]
        for one in engine.volumes
    )
    return replace(engine, volumes=volumes)
