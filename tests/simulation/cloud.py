"""A provider of disks that takes its time and has faults of its own, behind the real port."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from artesian.model.disk import Disk
from artesian.model.provided import DiskRequest, ProvidedDisk, ProvidedState, Quote
from artesian.providers.port import ProviderRefused, ProviderUnreachable
from tests.simulation.nodes import GIB, SimulatedNode

STUCK_AFTER_S = 120.0


class Fate(StrEnum):
    """What becomes of a disk that was made."""

    FINE = "fine"
    STUCK = "stuck"  # it is never attached
    HIDDEN = "hidden"  # it is attached, and its node never sees it
    ASTRAY = "astray"  # it appears on another node


@dataclass
class CloudFaults:
    """How often answers fail, and what else is wrong. `quota`: how many disks there may be."""

    chance: random.Random
    unreachable: bool = False
    expired: bool = False  # credentials
    throttled: float = 0.0
    answer_lost: float = 0.0
    odd: float = 0.0  # how many new disks have another fate than to be fine
    quota: int | None = None
    slow: float = 1.0  # times the lead time
    no_slot: set[str] = field(default_factory=set)  # nodes that can have no other disk

    @property
    def are_active(self) -> bool:
        """Whether anything is wrong now."""
        return (
            self.unreachable
            or self.expired
            or self.quota is not None
            or bool(self.no_slot)
            or self.slow > 1
            or max(self.throttled, self.answer_lost, self.odd) > 0
        )

    def end(self) -> None:
        """All is well from now on, but for the disks that were made meanwhile."""
        self.unreachable = self.expired = False
        self.throttled = self.answer_lost = self.odd = 0.0
        self.quota, self.slow = None, 1.0
        self.no_slot.clear()

    def meet(self) -> None:
        """Raises ProviderUnreachable."""
        if self.unreachable:
            raise ProviderUnreachable("the cloud does not answer (drawn)")
        if self.expired:
            raise ProviderUnreachable("the credentials have expired (drawn)")
        if self.throttled and self.chance.random() < self.throttled:
            raise ProviderUnreachable("too many requests (drawn)")

    def meet_after(self) -> None:
        """Everything was done, and nobody hears of it. Raises ProviderUnreachable."""
        if self.answer_lost and self.chance.random() < self.answer_lost:
            raise ProviderUnreachable("the cloud's answer is lost (drawn)")


@dataclass
class CloudDisk:
    """A disk, from the first request until it is gone. `next_s`: when its state ends."""

    id: str
    token: str
    provider: str
    node: str
    size_bytes: int
    cost_per_month: float
    fate: Fate
    made_s: float
    lead_s: float
    state: ProvidedState = ProvidedState.MAKING
    next_s: float = 0.0
    on: str = ""  # the node that sees it

    @property
    def identity(self) -> str:
        """What its node calls it."""
        return f"serial:{self.id}"

    def shown(self) -> ProvidedDisk:
        """As the provider tells it."""
        return ProvidedDisk(
            self.id, self.token, self.node, self.size_bytes, self.state, self.id, self.cost_per_month,
            "it is stuck (drawn)" if self.state is ProvidedState.STUCK else "",
        )  # fmt: skip


@dataclass
class Cloud:
    """All disks that were made. `making` and `releasing` are told before anything else happens."""

    nodes: Mapping[str, SimulatedNode]
    clock: Callable[[], float]
    chance: random.Random
    faults: CloudFaults
    making: Callable[[str, DiskRequest], None] = field(default=lambda provider, request: None)
    releasing: Callable[[CloudDisk], None] = field(default=lambda disk: None)
    disks: dict[str, CloudDisk] = field(default_factory=dict)  # by id
    made: int = 0
    stick: set[int] = field(default_factory=set)  # which of them are never attached, counted from 1

    def tick(self) -> None:
        """Disks get on."""
        now_s = self.clock()
        for disk in self.disks.values():
            if disk.state is ProvidedState.ATTACHING and now_s >= disk.next_s:
                if disk.fate is Fate.STUCK:
                    disk.state = ProvidedState.STUCK
                else:
                    disk.state = ProvidedState.ATTACHED
                    self._plug_in(disk)

    def show(self, disk: CloudDisk) -> None:
        """A disk that its node did not see is there after all."""
        if disk.fate is Fate.HIDDEN and disk.state is ProvidedState.ATTACHED:
            disk.fate = Fate.FINE
            self._plug_in(disk)

    def _plug_in(self, disk: CloudDisk) -> None:
        if disk.fate is Fate.HIDDEN:
            return
        others = sorted(name for name in self.nodes if name != disk.node)
        disk.on = self.chance.choice(others) if disk.fate is Fate.ASTRAY else disk.node
        path, link = f"/dev/xv{disk.id}", f"/dev/disk/by-id/{disk.id}"
        self.nodes[disk.on].disks[disk.identity] = Disk(
            path, disk.identity, disk.size_bytes, stable_path=link
        )

    def unplug(self, disk: CloudDisk) -> None:
        """It is no longer on any node."""
        for node in self.nodes.values():
            node.disks.pop(disk.identity, None)
            node.away.pop(disk.identity, None)

    def make(self, provider: str, request: DiskRequest, lead_s: float, price: float) -> CloudDisk:
        """A new disk."""
        faults = self.faults
        if faults.quota is not None and len(self.disks) >= faults.quota:
            raise ProviderRefused("the quota is used up (drawn)")
        self.making(provider, request)
        self.made += 1
        odd = faults.odd and self.chance.random() < faults.odd
        fate = self.chance.choice((Fate.STUCK, Fate.HIDDEN, Fate.ASTRAY)) if odd else Fate.FINE
        fate = Fate.STUCK if self.made in self.stick else fate
        now_s, size_bytes = self.clock(), rounded(request.size_bytes)
        lead_s *= faults.slow * self.chance.uniform(0.5, 1.0)
        disk = CloudDisk(
            f"vol{self.made:05d}", request.token, provider, request.node, size_bytes,
            price * size_bytes / GIB, fate, now_s, lead_s, next_s=now_s + lead_s / 2,
        )  # fmt: skip
        self.disks[disk.id] = disk
        return disk

    def get_on(self, disk: CloudDisk) -> None:
        """It is attached once it is made."""
        now_s = self.clock()
        if disk.state is ProvidedState.MAKING and now_s >= disk.next_s:
            disk.state = ProvidedState.ATTACHING
            disk.next_s = now_s + (STUCK_AFTER_S if disk.fate is Fate.STUCK else disk.lead_s / 2)

    def release(self, disk: CloudDisk) -> bool:
        """A step towards being gone."""
        now_s = self.clock()
        if disk.state is not ProvidedState.RELEASING:
            self.releasing(disk)
            disk.state = ProvidedState.RELEASING
            disk.next_s = now_s + self.chance.choice((0.0, 20.0, 120.0)) * self.faults.slow
            return False
        if now_s < disk.next_s:
            return False
        self.releasing(disk)
        self.unplug(disk)
        del self.disks[disk.id]
        return True


def rounded(size_bytes: int) -> int:
    """Whole GiB."""
    return -(-size_bytes // GIB) * GIB


class CloudProvider:
    """The port over the cloud."""

    def __init__(self, cloud: Cloud, name: str, lead_s: float, price: float) -> None:
        self._cloud = cloud
        self._name = name
        self._lead_s = lead_s
        self._price = price

    def check(self) -> None:
        """Whether it answers."""
        self._cloud.faults.meet()

    def quote(self, request: DiskRequest) -> Quote:
        """What is known beforehand; a quota is not."""
        self._cloud.faults.meet()
        if request.node in self._cloud.faults.no_slot:
            return Quote(refused=f"node {request.node} has no free slot (drawn)")
        size_bytes = rounded(request.size_bytes)
        return Quote(size_bytes, self._price * size_bytes / GIB, self._lead_s)

    def provide(self, request: DiskRequest) -> ProvidedDisk:
        """The disk of a token, one step further."""
        cloud = self._cloud
        cloud.faults.meet()
        disk = next((one for one in cloud.disks.values() if one.token == request.token), None)
        if disk is None:
            disk = cloud.make(self._name, request, self._lead_s, self._price)
        else:
            cloud.get_on(disk)
        cloud.faults.meet_after()
        return disk.shown()

    def disks(self) -> tuple[ProvidedDisk, ...]:
        """Every disk of this provider."""
        self._cloud.faults.meet()
        return tuple(disk.shown() for disk in self._cloud.disks.values() if disk.provider == self._name)

    def release(self, disk_id: str) -> bool:
        """Towards being gone."""
        self._cloud.faults.meet()
        disk = self._cloud.disks.get(disk_id)
        gone = disk is None or self._cloud.release(disk)
        self._cloud.faults.meet_after()
        return gone
