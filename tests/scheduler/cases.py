"""A small cluster for tests of the scheduler and its API, without processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from artesian.clusters.port import AgentCredentials, SubstrateNode
from artesian.model.disk import Claim, Disk, PoolName
from artesian.model.engine import EngineSeen, ManagerPlace, SeenPool, SeenVolume
from artesian.model.event import Event
from artesian.model.node import Node
from artesian.model.observation import Observation
from artesian.model.state import EngineIdentity, FrameworkState, NodeRecord
from artesian.model.topology import ManagerRole
from artesian.model.wishes import VolumeWish
from artesian.store.port import NotLeading, StoreUnusable

GIB = 1 << 30
POOL = PoolName("default", "default")


class MemoryStore:
    """A store that forgets with the process. `broken`: it cannot be written."""

    def __init__(self, documents: Mapping[str, str] | None = None) -> None:
        self.documents = dict(documents or {})
        self.kept: list[Event] = []
        self.commits: list[dict[str, str | None]] = []
        self.broken = False
        self.led = False
        self.lost: NotLeading | StoreUnusable | None = None  # why it may not lead any more

    def confirm(self) -> None:
        if self.lost is not None:
            raise self.lost

    def lead(self) -> None:
        if self.led:
            raise NotLeading("another scheduler leads")
        self.led = True

    def load(self) -> dict[str, str]:
        return dict(self.documents)

    def commit(self, changes: Mapping[str, str | None], events: Sequence[Event] = ()) -> None:
        if changes or events:  # nothing is stored without a word, so whoever has an effect asks first
            self.confirm()
        if self.broken:
            raise StoreUnusable("the store cannot be written")
        self.commits.append(dict(changes))
        for key, body in changes.items():
            self.documents.pop(key, None)
            if body is not None:
                self.documents[key] = body
        for event in events:
            number = len(self.kept) + 1
            self.kept.append(Event(event.kind, event.subject, event.because, event.at_s, number))

    def events(self, after: int, limit: int) -> list[Event]:
        return [event for event in self.kept if event.number > after][:limit]

    def close(self) -> None:
        self.led = False


class FakeSubstrate:
    """Nodes by name, in memory; agents that run are names in a set."""

    def __init__(self, *names: str) -> None:
        self.known = {name: SubstrateNode(name, f"10.0.0.{at}") for at, name in enumerate(names, 1)}
        self.running: set[str] = set()
        self.credentials: dict[str, AgentCredentials] = {}

    def nodes(self) -> tuple[SubstrateNode, ...]:
        return tuple(self.known.values())

    def ensure_agent(self, node: str, credentials: AgentCredentials, roles: object = None) -> bool:
        self.credentials[node] = credentials
        started = node not in self.running
        self.running.add(node)
        return started

    def stop_agent(self, node: str) -> bool:
        ran = node in self.running
        self.running.discard(node)
        return ran

    def listen(self, listener: Callable[[], None]) -> None:
        """Nothing is ever new."""

    def leave(self) -> list[str]:
        ended, self.running = sorted(self.running), set()
        return [f"ended the agent of {one}" for one in ended]

    def close(self) -> None:
        """There is nothing to let go of."""


def disk(node: str, name: str) -> Disk:
    """A free disk."""
    return Disk(f"/dev/{name}", f"serial:{node}-{name}", 10 * GIB, other_paths=(f"/dev/disk/by-id/{name}",))


def a_node(name: str, *disks: str) -> Node:
    """A node that reports."""
    return Node(name, f"10.0.0.{name[-1]}", disks=tuple(disk(name, one) for one in disks))


def claim(node: str, name: str) -> Claim:
    """A disk that was given to the pool."""
    return Claim(f"serial:{node}-{name}", node, f"/dev/{name}", POOL, 10 * GIB, "it was free")


SEEN = Observation(
    nodes=(a_node("n1", "sdb"), a_node("n2", "sdb"), a_node("n3", "sdb", "sdc"), a_node("n4", "sdb")),
    engine=EngineSeen(
        "abc",
        pools=(SeenPool("p1", POOL),),
        volumes=(SeenVolume("v1", "data", POOL, 8 * GIB), SeenVolume("v2", "theirs", POOL, 8 * GIB)),
    ),
)
_ENGINE = EngineIdentity(
    "embedded", "abc", "artesian", (ManagerPlace("n1", "10.0.0.1", ManagerRole.MANAGER),)
)
_USED = NodeRecord(joined=True, is_client=True, domains=("default",))
STATE = FrameworkState(
    engine=_ENGINE,
    engine_seen_once=True,
    nodes=MappingProxyType({"n1": _USED, "n2": _USED, "n3": NodeRecord(joined=True, domains=("default",))}),
    claims=MappingProxyType({one.identity: one for one in (claim("n1", "sdb"), claim("n3", "sdb"))}),
    volumes=MappingProxyType(
        {
            "data": VolumeWish("data", POOL, 8 * GIB, node="n2", mount_path="/data", engine_id="v1"),
            "idle": VolumeWish("idle", POOL, 8 * GIB, engine_id="v3"),
            "new": VolumeWish("new", POOL, 8 * GIB),
            "going": VolumeWish("going", POOL, 8 * GIB, engine_id="v4", deleted=True),
        }
    ),
)
