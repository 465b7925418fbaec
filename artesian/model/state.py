"""What the framework remembers between passes: nothing that can be seen, only what was decided or asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from posixpath import normpath
from types import MappingProxyType
from typing import TypeVar

from artesian.model.disk import Claim, Tombstone
from artesian.model.drill import Drill
from artesian.model.engine import CephSettings, ExistingEngine, ManagerPlace
from artesian.model.names import client_guid
from artesian.model.pause import EVERYTHING, Pause
from artesian.model.remedy import Remedy
from artesian.model.restart import Restart, RestartPart
from artesian.model.wishes import VolumeWish

Value = TypeVar("Value")


class Stopping(StrEnum):
    """How much is to be let go of and ended; the data stays."""

    NO = "no"
    VOLUMES = "volumes"  # nodes let go of volumes, and nothing is changed any more
    DISCARD = "discard"  # also of those whose storage does not answer: what was not written is lost
    ALL = "all"  # and then end their processes


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """The engine that was made, or is to be made.

    `managers` are the members of its quorum; those of one that was `adopted` are not ours, and not listed.
    Guids of clients are made of `client_root`, or of the engine's id: several clusters may use one engine.
    Nodes take no other secret than that of `secret_digest`; any if it is empty.
    """

    kind: str
    system_id: str
    name: str
    managers: tuple[ManagerPlace, ...] = ()
    adopted: ExistingEngine | None = None
    client_root: str = ""
    secret_digest: str = ""
    ceph: CephSettings | None = None

    def guid_of(self, node: str) -> str:
        """The guid of a node's client."""
        return client_guid(self.client_root or self.system_id, node)


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """What was decided about a node. `domains` are those in which it is a server.

    Numbers are those of restarts: `rests_for` that for which its servers are in maintenance, the others those
    under which its managers and its servers have to have been started.
    """

    joined: bool = False
    in_maintenance: bool = False
    leaving: bool = False
    is_client: bool = False
    domains: tuple[str, ...] = ()
    address: str = ""
    revision: int = 0  # grows whenever a volume is to come or to go: no two assignments look the same
    without_manager: bool = False  # the one that it has is to be replaced by one elsewhere
    drained: bool = False  # it is in maintenance because whoever runs the machines wants it empty
    rests_for: int = 0
    managers_since: int = 0
    servers_since: int = 0

    @property
    def is_usable(self) -> bool:
        """Whether it is in use, and to stay so."""
        return self.joined and not (self.leaving or self.in_maintenance)

    def since(self, part: RestartPart) -> int:
        """The restart under which this part has to have been started."""
        return self.managers_since if part is RestartPart.MANAGERS else self.servers_since

    @property
    def gives_up_manager(self) -> bool:
        """Whether the manager that it may have is to go."""
        return self.leaving or self.without_manager


_NOTHING_DECIDED = NodeRecord()


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody has agreed to a plan: to these of its steps, which are not done yet, and to no others."""

    plan_id: str
    step_ids: tuple[str, ...]
    who: str


@dataclass(frozen=True, slots=True)
class FrameworkState:
    """Everything that is stored. `engine_seen_once`: it has answered, so it is never made anew.

    `paused`: everything is. `pauses` are by what they are of; that of everything says who, why and how long.
    """

    spec_text: str = ""
    engine: EngineIdentity | None = None
    engine_seen_once: bool = False
    paused: bool = False
    stopping: Stopping = Stopping.NO
    nodes: Mapping[str, NodeRecord] = field(default_factory=lambda: MappingProxyType({}))
    claims: Mapping[str, Claim] = field(default_factory=lambda: MappingProxyType({}))
    tombstones: Mapping[str, Tombstone] = field(default_factory=lambda: MappingProxyType({}))
    volumes: Mapping[str, VolumeWish] = field(default_factory=lambda: MappingProxyType({}))
    approval: Approval | None = None
    remedies: Mapping[str, Remedy] = field(default_factory=lambda: MappingProxyType({}))
    drills: Mapping[str, Drill] = field(default_factory=lambda: MappingProxyType({}))
    pauses: Mapping[str, Pause] = field(default_factory=lambda: MappingProxyType({}))
    restart: Restart | None = None

    def guid_of(self, node: str) -> str:
        """The guid of a node's client; empty as long as there is no engine."""
        return self.engine.guid_of(node) if self.engine is not None else ""

    def node(self, name: str) -> NodeRecord:
        """What was decided about a node; nothing if it is not known."""
        return self.nodes.get(name, _NOTHING_DECIDED)

    def pauses_in_force(self) -> tuple[Pause, ...]:
        """Every pause, that of everything first."""
        whole = (self.pauses.get(EVERYTHING, Pause(EVERYTHING)),) if self.paused else ()
        return (*whole, *(one for key, one in sorted(self.pauses.items()) if key != EVERYTHING))

    def paused_because(self, *scopes: str) -> str | None:
        """Which pause holds one of these, or everything; None if none does."""
        if not (self.paused or self.pauses):
            return None
        wanted = {EVERYTHING, *scopes}
        return next((one.sentence for one in self.pauses_in_force() if one.scope in wanted), None)

    @property
    def open_drill(self) -> Drill | None:
        """The drill that is under way; there is never a second one."""
        return next((one for _, one in sorted(self.drills.items()) if one.state.is_open), None)

    def volume_mounted_at(self, node: str | None, path: str | None, but: str = "") -> VolumeWish | None:
        """The volume that is to be mounted at this path of a node; `but`: another one than this."""
        if node is None or path is None:
            return None
        for name, one in sorted(self.volumes.items()):
            there = one.node == node and not one.deleted and name != but
            if there and one.mount_path and normpath(one.mount_path) == normpath(path):
                return one
        return None

    def with_remedy(self, remedy: Remedy) -> FrameworkState:
        """The state with this remedy as it is now."""
        return replace(self, remedies=with_item(self.remedies, remedy.id, remedy))

    def with_new_assignment(self, *nodes: str) -> FrameworkState:
        """The state in which these nodes are assigned what they never were: what they say of older
        assignments, which may read the same, is no answer to this one."""
        state = self
        for name in nodes:
            state = state.with_node(name, revision=state.node(name).revision + 1)
        return state

    def with_node(self, name: str, **values: object) -> FrameworkState:
        """The state with other values of a node's record."""
        record = replace(self.node(name), **values)  # type: ignore[arg-type]
        return replace(self, nodes=with_item(self.nodes, name, record))

    def with_volume(self, wish: VolumeWish) -> FrameworkState:
        """The state with this wish.

        A node that a volume comes to, or goes from, gets a new assignment. The volume gets a new generation,
        so that nothing is taken for its attachment that a node has kept from before.
        """
        before = self.volumes.get(wish.name)
        changed = {wish.node} ^ {before.node if before is not None else None}
        if changed:
            wish = replace(wish, generation=(before.generation if before is not None else 0) + 1)
        state = replace(self, volumes=with_item(self.volumes, wish.name, wish))
        return state.with_new_assignment(*sorted(one for one in changed if one is not None))


def with_item(items: Mapping[str, Value], key: str, value: Value) -> Mapping[str, Value]:
    """The same items, and this one."""
    return MappingProxyType({**items, key: value})
